"""Published repositories as they lie in the storage, and the removal of one."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from tidegate.adapters.storage import marks, stores, trouble
from tidegate.core.retention import RELEASE, Publication

WITHIN_S = 60.0


def published(parent: str, *, within_s: float = WITHIN_S) -> list[Publication]:
    """Every repository below the parent; what publish did not write is not among them.

    Raises RejectedError or UnavailableError.
    """
    import obstore

    root = stores.named(parent)
    with trouble.told(root.uri):
        store = stores.opened(root, within_s=within_s)
        found = [one for page in obstore.list(store) for one in page]
    groups: dict[str, list[Any]] = {}
    for one in found:
        for path in _paths(one["path"]):
            groups.setdefault(path, []).append(one)
    return [_publication(path, root.below(path).uri, objects) for path, objects in groups.items()]


def _paths(key: str) -> Iterator[str]:
    """The repository that an object is of, or marks; none for another object."""
    path = key.removesuffix(marks.SUFFIX) if key.count("/") == 1 else "/".join(key.split("/")[:2])
    if RELEASE.fullmatch(path) and (key.count("/") > 1 or key.endswith(marks.SUFFIX)):
        yield path


def _publication(path: str, uri: str, objects: Iterable[Any]) -> Publication:
    mark = [one for one in objects if one["path"] == marks.key(path)]
    times = [one["last_modified"].timestamp() for one in mark or objects]
    return Publication(
        path=path,
        uri=uri,
        published_s=max(times),
        size=sum(one["size"] for one in objects),
        is_whole=bool(mark),
    )


def remove(parent: str, publication: Publication, *, within_s: float = WITHIN_S) -> None:
    """The mark first: what is half removed is not taken for whole. Twice is as once."""
    import obstore

    root = stores.named(parent)
    with trouble.told(publication.uri):
        store = stores.opened(root, within_s=within_s, cleaning=True)
        inside = [
            one["path"] for page in obstore.list(store, prefix=publication.path) for one in page
        ]
        for key in (marks.key(publication.path), *inside):
            with contextlib.suppress(FileNotFoundError):  # somebody else removes it, too
                obstore.delete(store, key)
