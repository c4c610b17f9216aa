"""Documents and policies as files: read strictly, written atomically."""

import os
import tempfile
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from tidegate.documents import AnyDocument, Document, Refusal, Subject
from tidegate.errors import DocumentError, UnavailableError
from tidegate.policy import Policy

D = TypeVar("D", bound=BaseModel)
_ANY: TypeAdapter[AnyDocument] = TypeAdapter(AnyDocument)


def first_error(error: ValidationError, *, what: str) -> DocumentError:
    """One line: where, which value, and what to write instead."""
    detail = error.errors()[0]
    where = ".".join(str(part) for part in detail["loc"]) or "the document"
    message = detail["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(detail["input"], dict | list) else f" = {detail['input']!r}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if detail["type"] == "extra_forbidden":
        message, shown = "no such field; remove it or correct its spelling", ""
    if detail["type"] == "missing":
        message, shown = "is required; add it", ""
    return DocumentError(f"{what}: {where}{shown}: {message}{more}")


def write_text(path: Path, text: str) -> None:
    """Write through a temporary file and a rename, so a reader sees all or nothing.

    Raises UnavailableError when the disk is full or not writable.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UnavailableError(
            f"cannot write {path}: {error.strerror}; free space or choose another folder"
        ) from error


def write(path: Path, document: BaseModel) -> None:
    """Write a document as indented JSON with a trailing newline."""
    write_text(path, document.model_dump_json(indent=2) + "\n")


def write_policy(path: Path, policy: Policy) -> None:
    """Write what a policy says itself: what is a default must stay one, since fields by hand win over it."""
    write_text(path, policy.model_dump_json(indent=2, exclude_unset=True) + "\n")


def read_text(path: Path) -> str:
    """A file's text. Raises DocumentError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path}: cannot be read ({error}); name an existing file") from error


def read_any(path: Path) -> AnyDocument:
    """Read whichever document lies there."""
    try:
        return _ANY.validate_json(read_text(path))
    except ValidationError as error:
        raise first_error(error, what=str(path)) from error


def read(path: Path, kind: type[D], *, about: Subject | None = None) -> D:
    """Read a document of one kind; refuses one that speaks about another subject.

    Raises DocumentError.
    """
    try:
        document = kind.model_validate_json(read_text(path))
    except ValidationError as error:
        raise first_error(error, what=f"{path} is not a {kind.__name__}") from error
    if about is not None and isinstance(document, Document | Refusal):
        same_subject(document.subject, about, what=str(path))
    return document


def same_subject(subject: Subject, about: Subject, *, what: str) -> None:
    """Refuse a document about another model version."""
    if subject != about:
        raise DocumentError(
            f"{what} is about {subject} ({subject.digest[:19]}), this release is about {about} "
            f"({about.digest[:19]}); use documents of one run"
        )


def parse_policy(text: str, *, what: str) -> Policy:
    """Parse a policy from YAML or JSON text. Raises DocumentError."""
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DocumentError(f"{what}: is not YAML ({error}); correct the file") from error
    if not isinstance(loaded, dict):
        raise DocumentError(f"{what}: is not a mapping; write `name: ...` and `model: ...`")
    try:
        return Policy.model_validate(loaded)
    except ValidationError as error:
        raise first_error(error, what=what) from error


def read_policy(path: Path) -> Policy:
    """Read a policy file. Raises DocumentError."""
    return parse_policy(read_text(path), what=str(path))
