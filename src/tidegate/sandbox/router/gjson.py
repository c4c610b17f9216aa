"""Whether a GJSON path finds something in a JSON document: the part of the syntax that graphs use. Pure.

Keys, indexes, `#`, `@this`, `[@this]` and `#(path op value)`, by github.com/tidwall/gjson (gjson.go:
parseArrayPath, queryMatches). What else GJSON knows (wildcards, modifiers, `#(...)#`, multipaths, pipes) is
refused by name: a guess would send a request to the wrong model.
"""

import json
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

_QUERY = re.compile(r"(?P<path>[^=!<>%]*?)\s*(?P<op>==|!=|<=|>=|!%|=|<|>|%)\s*(?P<value>.*)")
_PART = re.compile(r'#\((?:"(?:[^"\\]|\\.)*"|[^()"])*\)|(?:[^.\\#]|\\.)+|#')
_WHOLE = re.compile(r"^(\[@this\]|@this)(\.|$)")
_FOREIGN = re.compile(r"(?<!\\)[*?|@{}\[\]!~]")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class _Query:
    path: str
    op: str  # empty: only existence is asked
    value: str


def parsed(text: bytes) -> Any:
    """The document. Raises ValueError where Go's JSON would not take it."""
    return json.loads(text, parse_constant=_no_constant)


def unsupported(path: str) -> str:
    """What of a path is not emulated; empty when all of it is."""
    rest = _WHOLE.sub("", path)
    parts = _parts(rest)
    if ".".join(parts) != rest:
        return f"the GJSON path {path!r}; write keys, indexes and #(path op value)"
    for part in parts:
        found = _FOREIGN.search(part if not part.startswith("#(") else _query(part[2:-1]).path)
        if found or part.startswith("#(~"):
            return f"{found[0] if found else '~'!r} in the GJSON path {path!r}"
    return ""


def exists(document: Any, path: str) -> bool:
    """Whether the path finds a value, null among them; nothing is found by an empty path."""
    inner = [document] if path.startswith("[@this]") else document
    return path != "" and _walk(inner, _parts(_WHOLE.sub("", path))) is not _NOTHING


def _parts(path: str) -> list[str]:
    return _PART.findall(path)


def _walk(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, list) and part == "#":
            return value  # its length, or with more after it a list: there in any case
        if isinstance(value, list):
            value = _in_list(value, part)
        elif isinstance(value, Mapping):
            value = value.get(re.sub(r"\\(.)", r"\1", part), _NOTHING)
        else:
            return _NOTHING
    return value


def _in_list(value: list[Any], part: str) -> Any:
    if part.startswith("#("):
        query = _query(part[2:-1])
        return next((one for one in value if _matches(one, query)), _NOTHING)
    return value[int(part)] if part.isdecimal() and int(part) < len(value) else _NOTHING


def _query(text: str) -> _Query:
    found = _QUERY.fullmatch(text.strip())
    if found is None:
        return _Query(text.strip(), "", "")
    op, value = found["op"], found["value"].strip()
    return _Query(
        found["path"], "=" if op == "==" else op, value.removeprefix('"').removesuffix('"')
    )


def _matches(item: Any, query: _Query) -> bool:
    """Null, objects and lists match no comparison (gjson.go: queryMatches)."""
    if isinstance(item, list | Mapping) != bool(query.path):
        return False
    value = _walk(item, _parts(query.path))
    if value is _NOTHING or not query.op:
        return value is not _NOTHING
    if isinstance(value, bool):
        return _of_boolean(value, query)
    if isinstance(value, str):
        return {**_ORDER, **_LIKE}[query.op](value, query.value)
    is_number = isinstance(value, int | float) and query.op in _ORDER
    return is_number and _ORDER[query.op](value, _number(query.value))


def _of_boolean(value: bool, query: _Query) -> bool:
    """false is less than true; a word that is neither is equal to none."""
    words = {"true": True, "false": False}
    if query.op in {"=", "!="}:
        return (words.get(query.value) is value) == (query.op == "=")
    always = ">=" if value else "<="
    return query.op == always or (query.op == always[0] and words.get(query.value) is (not value))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0  # what strconv.ParseFloat gives beside its error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_like(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
_LIKE: Mapping[str, Callable[[str, str], bool]] = {
    "%": _is_like,
    "!%": lambda text, pattern: not _is_like(text, pattern),
}
