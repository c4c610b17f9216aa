"""Single objects of a store: listed, read and written in pieces; memory does not grow with a model."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tidegate.adapters.storage.marks import Stored
from tidegate.adapters.storage.stores import Store

PART = 16 << 20
PARTS_AT_ONCE = 4
MOST_PARTS = 9_000  # S3 takes 10 000


def listed(store: Store, path: str) -> dict[str, tuple[int, str]]:
    """Every object below a prefix, by its path from there: (size, ETag)."""
    import obstore

    found = (one for page in obstore.list(store, prefix=path or None) for one in page)
    below = f"{path}/" if path else ""
    return {one["path"].removeprefix(below): (one["size"], plain(one["e_tag"])) for one in found}


def plain(e_tag: str | None) -> str:
    """Without its quotes, which some listings leave out."""
    return (e_tag or "").strip('"')


def pieces(store: Store, key: str, size: int) -> Iterator[bytes]:
    """What lies there now, `PART` bytes at a time."""
    import obstore

    for start in range(0, size, PART):
        yield bytes(obstore.get_range(store, key, start=start, length=min(PART, size - start)))


def sha256(store: Store, key: str, size: int) -> str:
    """Of what lies there now."""
    digest = hashlib.sha256()
    for piece in pieces(store, key, size):
        digest.update(piece)
    return digest.hexdigest()


def fetch(store: Store, key: str, size: int, target: Path) -> None:
    """Download one object."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        for piece in pieces(store, key, size):
            file.write(piece)


def put(store: Store, key: str, source: Path, *, path: str) -> Stored:
    """Upload one file, as read this once; atomically, in parts where it is large."""
    import obstore

    reading = _Reading(source)
    size = source.stat().st_size
    if size <= PART:
        made = obstore.put(store, key, b"".join(reading), use_multipart=False)
    else:
        part = max(PART, -(-size // MOST_PARTS))
        made = obstore.put(store, key, reading, chunk_size=part, max_concurrency=PARTS_AT_ONCE)
    return Stored(
        path=path, size=reading.size, sha256=reading.digest.hexdigest(), e_tag=plain(made["e_tag"])
    )


class _Reading:
    """The pieces of a file, and the digest of what was read."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self.digest = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        with self._source.open("rb") as file:
            while piece := file.read(PART):
                self.digest.update(piece)
                self.size += len(piece)
                yield piece
