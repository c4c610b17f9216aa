"""The mark that says a published repository is whole: beside its prefix, written last, and once.

Beside, not inside: what lies inside is what the server reads, and KServe copies it into every pod.
"""

from typing import Literal

from pydantic import Field, ValidationError

from tidegate.adapters.storage.stores import Store
from tidegate.documents import Strict, TreeFile
from tidegate.errors import ConflictError

SUFFIX = ".published.json"


class Stored(Strict):
    """One object of a published repository."""

    path: str
    size: int
    sha256: str
    e_tag: str = Field(default="", description="as the store gave it; it changes with every write")

    @property
    def file(self) -> TreeFile:
        """As it counts in a digest."""
        return TreeFile(path=self.path, size=self.size, sha256=self.sha256)


class Mark(Strict):
    """What was published."""

    schema_version: Literal[1] = 1
    kind: Literal["Published"] = "Published"
    digest: str
    objects: tuple[Stored, ...]


def key(path: str) -> str:
    """Where the mark of a repository lies."""
    return f"{path}{SUFFIX}"


def read(store: Store, path: str) -> Mark | None:
    """The mark, None where nothing was finished. Raises ConflictError for what publish did not write."""
    import obstore

    try:
        text = bytes(obstore.get(store, key(path)).bytes())
    except FileNotFoundError:
        return None
    try:
        return Mark.model_validate_json(text)
    except ValidationError as error:
        raise ConflictError(
            f"{key(path)} in the storage is no mark of publish; move it away and publish again"
        ) from error


def write(store: Store, path: str, mark: Mark) -> bool:
    """Write it unless there is one; whether it was written.

    A store without conditional writes gets it plainly: two releases of one digest write the same.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError, BaseError, NotSupportedError

    text = mark.model_dump_json(indent=2).encode() + b"\n"
    try:
        obstore.put(store, key(path), text, mode="create")
    except AlreadyExistsError:
        return False
    except BaseError as error:
        if not isinstance(error, NotSupportedError) and "status code: 501" not in str(error):
            raise
        obstore.put(store, key(path), text)
    return True
