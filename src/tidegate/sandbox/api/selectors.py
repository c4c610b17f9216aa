"""Label and field selectors: text in, predicate out. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.sandbox.api.errors import bad_request
from tidegate.sandbox.api.kinds import Json

Predicate = Callable[[Json], bool]

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUALITY = re.compile(r"^\s*([^=!\s]+)\s*(==|=|!=)\s*(\S*)\s*$")
_OUTSIDE_PARENTHESES = re.compile(r",(?![^(]*\))")


def _label_term(term: str) -> Callable[[Mapping[str, str]], bool]:
    if found := _SET.match(term):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        if operator == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _EQUALITY.match(term):
        key, operator, value = found.groups()
        if operator == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    return _existence_term(term.strip())


def _existence_term(term: str) -> Callable[[Mapping[str, str]], bool]:
    if not re.fullmatch(r"!?[A-Za-z0-9][-A-Za-z0-9_./]*", term):
        raise bad_request(f"unable to parse requirement: {term!r} is no label selector")
    if term.startswith("!"):
        return lambda labels: term[1:] not in labels
    return lambda labels: term in labels


def labels(selector: str) -> Predicate:
    """A predicate for a `labelSelector`."""
    terms = [_label_term(t) for t in _OUTSIDE_PARENTHESES.split(selector) if t.strip()]

    def matches(item: Json) -> bool:
        found = item["metadata"].get("labels") or {}
        return all(term(found) for term in terms)

    return matches


def field(item: Json, path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = item
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def fields(selector: str) -> Predicate:
    """A predicate for a `fieldSelector`; an absent field equals the empty string."""
    terms: list[tuple[str, bool, str]] = []
    for text in filter(None, selector.split(",")):
        found = _EQUALITY.match(text)
        if not found:
            raise bad_request(f"invalid field selector {text!r}: can't understand it")
        terms.append((found[1], found[2] != "!=", found[3]))
    return lambda item: all(
        (str(field(item, path) or "") == value) is wanted for path, wanted, value in terms
    )


def both(label_selector: str, field_selector: str) -> Predicate:
    """Both selectors of one request; each may be empty."""
    by_label, by_field = labels(label_selector), fields(field_selector)
    return lambda item: by_label(item) and by_field(item)
