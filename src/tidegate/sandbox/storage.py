"""The storage initializer: puts what a storage URI names into a revision's own model directory.

Follows KServe's rules where a release could trip over them (python/storage/kserve_storage/
kserve_storage.py): objects of 0 bytes are not copied and folders that hold nothing do not exist, a lone
.tar/.tar.gz/.zip is unpacked, and a prefix that does not end in `/` takes its longer neighbours too
(kserve#3776). Buckets are read with the credentials of whoever runs the sandbox.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tidegate.adapters.storage import objects, stores, trouble
from tidegate.core.storage_place import place_of
from tidegate.errors import RejectedError, UsageError

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_BUCKETS = ("s3", "gs", "https")
WITHIN_S = 20.0


def initialize(
    uri: str, target: Path, *, claims: Mapping[str, Path] | None = None, skip_empty: bool = True
) -> None:
    """Copy the model repository that the URI names into the empty target.

    `claims` says which folder stands in for which persistent volume claim (pvc://claim/path).
    """
    shutil.rmtree(target, ignore_errors=True)
    if urlsplit(uri).scheme in _BUCKETS:
        _pull(uri, target)
        return
    source = _source(uri, claims or {})
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


def _pull(uri: str, target: Path) -> None:
    """Every object whose key begins as the URI says, under what follows that beginning."""
    try:
        place = place_of(uri)
    except UsageError as error:
        raise RejectedError(f"Failed to fetch model. {uri}: {error}") from error
    folder, _, name = place.path.rpartition("/") if not uri.endswith("/") else (place.path, "", "")
    with trouble.told(uri):
        store = stores.opened(place.at(folder), within_s=WITHIN_S)
        found = {key: size for key, (size, _) in objects.listed(store, "").items()}
        wanted = {key: size for key, size in found.items() if key.startswith(name) and size}
        if not wanted:
            raise RejectedError(f"Failed to fetch model. No model found in {uri}")
        for key, size in wanted.items():
            objects.fetch(
                store, key, size, target / (key[len(name) :].lstrip("/") or Path(key).name)
            )


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
    raise RejectedError(f"{uri}: the sandbox has no storage behind this scheme; publish to another")


def _existing(path: Path, uri: str) -> Path:
    if not path.exists():
        raise RejectedError(f"Failed to fetch model. No model found in {uri}")
    return path
