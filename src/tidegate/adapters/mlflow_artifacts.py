"""Artifacts of MLflow: proxied ones over the tracking server's HTTP API, the rest through the SDK."""

import posixpath
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tidegate.adapters.mlflow_http import BusyError, MlflowHttp, NotFoundError
from tidegate.adapters.trees import disk_errors
from tidegate.errors import RejectedError, TidegateError, UnavailableError, UsageError

_PROXIED = "mlflow-artifacts"
_ROUTE = "mlflow-artifacts/artifacts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifacts:
    """The artifacts of one tracking server."""

    http: MlflowHttp

    def text(self, uri: str, path: str) -> str:
        """One small text file below an artifact URI, line ends as they are. Raises NotFoundError."""
        if self._is_proxied(uri):
            content = self.http.retried(lambda: self._get(_address(self.http.url, uri, path)))
        else:
            content = self._sdk_content(uri, path)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise RejectedError(f"{uri}/{path} is no text; name a text file") from error

    def download(self, uri: str, target: Path) -> None:
        """Every file below an artifact URI into a folder that exists; sizes are checked."""
        if not self._is_proxied(uri):
            self._sdk_download(uri, target)
            return
        files = self._listing(uri, "")
        total = sum(size for _, size in files)
        self.http.say(f"downloading {len(files)} files, {total / 1e6:.1f} MB")
        for path, size in files:
            self._fetch(uri, path, size, target / path)

    def upload(self, uri: str, path: str, source: Path) -> None:
        """One file to a path below an artifact URI."""
        if not self._is_proxied(uri):
            _sdk().MlflowClient().log_artifact(_run_of(uri), str(source), posixpath.dirname(path))
            return
        address = _address(self.http.url, uri, path)

        def once() -> None:
            with source.open("rb") as file:
                self.http.check(self.http.client.put(address, content=file))

        self.http.retried(once)

    def _get(self, address: str) -> bytes:
        response = self.http.client.get(address)
        self.http.check(response)
        return response.content

    def _listing(self, uri: str, below: str) -> list[tuple[str, int]]:
        """(path, size) of every file, folder by folder."""
        root = _path(uri)
        reply = self.http.get(_ROUTE, path=posixpath.join(root, below))
        found: list[tuple[str, int]] = []
        for entry in reply.get("files", []):
            # Some servers answer with the path from the root, some with the name alone.
            path = posixpath.join(below, _name(str(entry["path"])))
            if entry.get("is_dir"):
                found += self._listing(uri, path)
            else:
                found.append((path, int(entry.get("file_size") or 0)))
        return found

    def _fetch(self, uri: str, path: str, size: int, target: Path) -> None:
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        self.http.retried(lambda: self._stream(uri, path, size, target))

    def _stream(self, uri: str, path: str, size: int, target: Path) -> None:
        told, done = time.monotonic(), 0
        address = _address(self.http.url, uri, path)
        with self.http.client.stream("GET", address) as response, disk_errors(target):
            self.http.check(response)
            with target.open("wb") as file:
                for chunk in response.iter_bytes(1 << 20):
                    done += file.write(chunk)
                    if time.monotonic() - told > 3:
                        told = time.monotonic()
                        self.http.say(f"{path}: {done / 1e6:.0f} of {size / 1e6:.0f} MB")
        if size and done != size:
            raise BusyError(f"{uri}/{path}: {done} of {size} bytes arrived; try the download again")

    def _sdk_download(self, uri: str, target: Path) -> None:
        self.http.say(f"downloading {uri} with the MLflow SDK")
        beside = target.parent / f"{target.name}.sdk"
        try:
            root = _sdk().artifacts.download_artifacts(artifact_uri=uri, dst_path=_made(beside))
            with disk_errors(target):
                for entry in list(Path(root).iterdir()):
                    entry.replace(target / entry.name)
        except Exception as error:  # the SDK passes on whatever the storage's client raises
            raise _unavailable(uri, error) from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)

    def _sdk_content(self, uri: str, path: str) -> bytes:
        whole = f"{uri.rstrip('/')}/{path}"
        try:
            with tempfile.TemporaryDirectory() as folder:
                found = _sdk().artifacts.download_artifacts(artifact_uri=whole, dst_path=folder)
                return Path(found).read_bytes()
        except (FileNotFoundError, IsADirectoryError) as error:
            raise NotFoundError(f"{uri} has no {path}; name an artifact that exists") from error
        except Exception as error:  # as above
            raise _unavailable(uri, error) from error

    def _is_proxied(self, uri: str) -> bool:
        """Another host than the tracking server must not see its credentials: the SDK's business."""
        parts = urlsplit(uri)
        return parts.scheme == _PROXIED and parts.netloc in ("", urlsplit(self.http.url).netloc)


def _unavailable(uri: str, error: Exception) -> TidegateError:
    if isinstance(error, TidegateError):
        return error
    return UnavailableError(f"cannot read {uri}: {error}; check the storage and its credentials")


def _made(folder: Path) -> str:
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def _path(uri: str) -> str:
    path = urlsplit(uri).path.strip("/")
    if ".." in path.split("/"):
        raise RejectedError(f"artifact URI {uri} leaves its root; register the model again")
    return path


def _address(server: str, uri: str, path: str) -> str:
    return f"{server}/api/2.0/{_ROUTE}/{quote(posixpath.join(_path(uri), path))}"


def _name(path: str) -> str:
    name = posixpath.basename(path)
    if name in ("", ".", ".."):
        raise RejectedError(f"artifact {path!r} leaves its folder; register the model again")
    return name


def _run_of(uri: str) -> str:
    parts = urlsplit(uri).path.rstrip("/").split("/")
    if len(parts) < 2 or parts[-1] != "artifacts":
        raise RejectedError(f"artifact URI {uri} names no run; log the file yourself")
    return parts[-2]


def _sdk() -> Any:
    try:
        import mlflow
        import mlflow.artifacts
    except ImportError as error:
        raise UsageError(
            "this artifact store is read through the MLflow SDK, which is not installed; "
            "pip install 'tidegate[mlflow]'"
        ) from error
    return mlflow
