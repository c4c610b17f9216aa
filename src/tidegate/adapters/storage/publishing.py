"""Publishes a model repository: immutable, whole or not there.

What is there counts only once its mark lies beside it. Without one it is the rest of an upload that
died: what is right of it is kept, what is wrong is replaced, what is too much is removed.
"""

from pathlib import Path

from tidegate.adapters import trees
from tidegate.adapters.storage import marks, objects, stores, trouble
from tidegate.adapters.storage.marks import Mark, Stored
from tidegate.adapters.storage.stores import Store
from tidegate.errors import ConflictError, UnavailableError

WITHIN_S = 300.0  # each request is tried again for so long


def publish(
    tree: Path, digest: str, *, parent: str, path: str, within_s: float = WITHIN_S
) -> tuple[str, bool]:
    """Upload a tree to `<parent>/<path>/` unless it lies there; (URI ending in `/`, whether uploaded).

    Raises ConflictError when the place holds something else, UnavailableError for storage that does not
    answer or is full, RejectedError for storage that refuses.
    """
    root = stores.named(parent)
    uri = root.below(path).uri
    with trouble.told(uri):
        store = stores.opened(root, within_s=within_s, making=True)
        if mark := marks.read(store, path):
            _require_whole(store, path, mark, digest, uri)
            return uri, False
        uploaded = _upload(store, path, tree)
        if trees.digest_of(tuple(one.file for one in uploaded)) != digest:
            raise ConflictError(f"{tree} changed while it was uploaded; run publish again")
        _require_there(store, path, uploaded, uri)
        if not marks.write(store, path, Mark(digest=digest, objects=uploaded)):
            _require_whole(store, path, marks.read(store, path), digest, uri)
    return uri, True


def _upload(store: Store, path: str, tree: Path) -> tuple[Stored, ...]:
    """Every file of the tree, and nothing beside them."""
    import obstore

    before = objects.listed(store, path)
    sources = {f.relative_to(tree).as_posix(): f for f in sorted(tree.rglob("*")) if f.is_file()}
    if foreign := [f"{path}/{name}" for name in before if name not in sources]:
        obstore.delete(store, foreign)
    return tuple(
        _kept(store, f"{path}/{name}", source, name, before.get(name))
        or objects.put(store, f"{path}/{name}", source, path=name)
        for name, source in sources.items()
    )


def _kept(
    store: Store, key: str, source: Path, name: str, before: tuple[int, str] | None
) -> Stored | None:
    """What an upload that died left, when it is what the file holds."""
    if before is None or before[0] != source.stat().st_size:
        return None
    sha256 = trees.file_digest(source).removeprefix("sha256:")
    if objects.sha256(store, key, before[0]) != sha256:
        return None
    return Stored(path=name, size=before[0], sha256=sha256, e_tag=before[1])


def _require_there(store: Store, path: str, uploaded: tuple[Stored, ...], uri: str) -> None:
    """That the store lists just what was uploaded; another release of this digest may write it anew."""
    there = objects.listed(store, path)
    if sorted((one.path, one.size) for one in uploaded) != sorted(
        (name, size) for name, (size, _) in there.items()
    ):
        raise UnavailableError(f"{uri} does not list what was uploaded; run publish again")


def _require_whole(store: Store, path: str, mark: Mark | None, digest: str, uri: str) -> None:
    """That the very content lies there, by size and ETag, and by its bytes where an ETag is another one."""
    remedy = "move it away and publish again"
    if mark is None:
        raise UnavailableError(f"{uri} is being removed by somebody; run publish again")
    content = trees.digest_of(tuple(one.file for one in mark.objects))
    if (mark.digest, content) != (digest, digest):
        raise ConflictError(f"{uri} is marked as {mark.digest[:19]}, not {digest[:19]}; {remedy}")
    there = objects.listed(store, path)
    if changed := _changed(store, path, mark, there):
        raise ConflictError(f"{uri} was changed after it was published ({changed}); {remedy}")


def _changed(store: Store, path: str, mark: Mark, there: dict[str, tuple[int, str]]) -> str:
    """The first object that is missing, too much, or not what was published; '' when there is none."""
    known = {one.path: one for one in mark.objects}
    if odd := sorted(known.keys() ^ there.keys()):
        return f"{odd[0]} is {'missing' if odd[0] in known else 'too much'}"
    for name, one in known.items():
        size, e_tag = there[name]
        same = bool(one.e_tag) and e_tag == one.e_tag
        if size != one.size or (
            not same and objects.sha256(store, f"{path}/{name}", size) != one.sha256
        ):
            return name
    return ""
