"""Folders of files: their digest, and building one so that a reader sees all of it or nothing."""

import contextlib
import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tidegate.documents import TreeFile
from tidegate.errors import DocumentError, UnavailableError

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FOLDER = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST)


def file_digest(path: Path) -> str:
    """`sha256:<hex>` of one file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def files_of(root: Path) -> tuple[TreeFile, ...]:
    """Every file below root, sorted by path."""
    paths = sorted(p for p in root.rglob("*") if p.is_file())
    return tuple(
        TreeFile(
            path=path.relative_to(root).as_posix(),
            size=path.stat().st_size,
            sha256=file_digest(path).removeprefix("sha256:"),
        )
        for path in paths
    )


def digest_of(files: tuple[TreeFile, ...]) -> str:
    """`sha256:<hex>` over paths, sizes and contents; the order in which files were found is not in it."""
    lines = sorted(f"{file.path}\0{file.size}\0{file.sha256}\n" for file in files)
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def require(root: Path, digest: str, *, what: str) -> None:
    """Refuse a folder whose content is not the one the document speaks about."""
    if not root.is_dir():
        raise DocumentError(f"{what}: no folder {root}; pass the folder of the step before")
    found = digest_of(files_of(root))
    if found != digest:
        raise DocumentError(
            f"{what} {root} has digest {found[:19]}, its document says {digest[:19]}; "
            "use the folder and the document of one run"
        )


@contextlib.contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what a full or read-only disk says into the one line that names it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (*_FULL, *_NO_FOLDER):
            raise
        remedy = "free space" if error.errno in _FULL else "make it a writable folder"
        raise UnavailableError(
            f"cannot write {target}: {error.strerror or error}; {remedy} or choose another folder"
        ) from error


@contextlib.contextmanager
def building(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes `target` when the block ends well, else is gone.

    Raises UnavailableError when the disk is full or not writable.
    """
    temporary: Path | None = None
    try:
        with disk_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
            temporary.chmod(0o755)  # mkdtemp's 0700 would hide a published model from its server
            yield temporary
            shutil.rmtree(target, ignore_errors=True)
            temporary.replace(target)
            temporary = None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def emptied(target: Path) -> None:
    """Leave an empty folder: the tree of a step that refused."""
    with building(target):
        pass


def carry(source: Path, target: Path, paths: Iterable[str]) -> None:
    """Copy files from one tree into another, under the same paths. Raises DocumentError for a missing one."""
    for path in paths:
        if not (source / path).is_file():
            raise DocumentError(
                f"{path}: the model version has no such file; log it with the model, or correct the policy"
            )
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        with disk_errors(target / path):
            shutil.copyfile(source / path, target / path)
