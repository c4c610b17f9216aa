"""Every reference in the Argo documents, broken one at a time."""

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Path = tuple[str | int, ...]

NAMES = {"entrypoint", "onExit", "template"}
WRONG = "nowhere"


def mutants(document: Json) -> Iterator[tuple[str, Json]]:
    """What was broken, and the document with that one thing broken."""
    for path, broken in _broken(document, ()):
        where = "/".join(map(str, path))
        yield f"{document['kind']} {where}: {broken}", _with(document, path, broken)


def _broken(part: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _broken(value, (*path, key))
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from _broken(value, (*path, number))
    elif isinstance(part, str):
        yield from ((path, broken) for broken in _changes(part, path))


def _changes(text: str, path: Path) -> Iterator[str]:
    """Each name that a text refers to, replaced by one that is nowhere."""
    key = path[-1]
    if key in NAMES or path[-2:] == ("workflowTemplateRef", "name"):
        yield WRONG
    elif key == "depends":
        for found in re.finditer(r"[a-zA-Z][-\w]*", text):
            yield text[: found.start()] + WRONG + text[found.end() :]
    elif key == "expression" and "lastRetry" not in text:
        for found in re.finditer(r"(?<=parameters\.)\w+|(?<=tasks\.)\w+|(?<=\[')[-\w]+", text):
            yield text[: found.start()] + WRONG + text[found.end() :]
    elif key == "path" or (key == "name" and _is_port(path)):
        yield f"{text}-{WRONG}"
    for found in re.finditer(r"\{\{[^{}]*?([-\w]+)\}\}", text):
        yield text[: found.start(1)] + WRONG + text[found.end(1) :]


def _is_port(path: Path) -> bool:
    """The name of an argument, or of an input that something refers to."""
    return len(path) > 3 and path[-3] in {"parameters", "artifacts"} and "spec" in path


def _with(part: Any, path: Path, value: str) -> Any:
    """A copy along the path; everything beside it is shared."""
    if not path:
        return value
    copied = part.copy()
    copied[path[0]] = _with(part[path[0]], path[1:], value)
    return copied
