"""The storage initializer: puts what a storage URI names into a revision's own model directory.

Follows KServe's rules where a release could trip over them: objects of 0 bytes are not copied and
folders that hold nothing do not exist (as from S3), and a lone .tar/.tar.gz/.zip is unpacked.
Remote schemes are refused: the sandbox has nothing behind them.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tidegate.errors import RejectedError

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")


def initialize(
    uri: str, target: Path, *, claims: Mapping[str, Path] | None = None, skip_empty: bool = True
) -> None:
    """Copy the model repository that the URI names into the empty target.

    `claims` says which folder stands in for which persistent volume claim (pvc://claim/path).
    """
    source = _source(uri, claims or {})
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    files = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    if len(files) == 1 and files[0].name.endswith(_ARCHIVES):
        shutil.unpack_archive(files[0], target)
        return
    copied = 0
    for file in files:
        if skip_empty and file.stat().st_size == 0:
            continue
        copied += 1
        _copy(file, target / file.relative_to(source if source.is_dir() else source.parent))
    if copied == 0:
        raise RejectedError(f"Failed to fetch model. No model found in {uri}")


def _copy(file: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, destination)


def _source(uri: str, claims: Mapping[str, Path]) -> Path:
    parts = urlsplit(uri)
    path = unquote(parts.path)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return _existing(Path(path), uri)
    if parts.scheme == "pvc":
        if parts.netloc not in claims:
            raise RejectedError(f"{uri}: persistentvolumeclaim {parts.netloc!r} not found")
        return _existing(claims[parts.netloc] / path.lstrip("/"), uri)
    if parts.scheme == "" and path.startswith("/"):
        return _existing(Path(path), uri)
    raise RejectedError(
        f"{uri}: the sandbox has no storage behind this scheme; publish to a file:// URI"
    )


def _existing(path: Path, uri: str) -> Path:
    if not path.exists():
        raise RejectedError(f"Failed to fetch model. No model found in {uri}")
    return path
