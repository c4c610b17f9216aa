"""Features of Feast's feature server as rows for a model: what is asked, what an answer is worth. Pure.

Rows are put together by name, for the order of Feast's answers is another after each of its starts. Nothing
is made up: what Feast does not know, has no value of or is too old is refused by name, never a 0 or NaN.
The answer's form is that of POST /get-online-features (feast/feature_server.py, protos/feast/serving, 0.67):
one column a feature, in it one value, status and time an entity. A null is PRESENT there, and so is what is
older than its view's ttl.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

Json = dict[str, Any]
Id = int | str
SAID = 3  # entities and features that a line names; a batch may have hundreds
LARGEST = {"FP32": 3.4028234663852886e38, "FP64": sys.float_info.max}
NOT_FOUND, UNPROCESSABLE, BAD_GATEWAY = 404, 422, 502


class RefusedError(Exception):
    """Why there is no row, in one line; `status` is HTTP's word for whose fault it is."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(" ".join(line.split()))
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The features of one entity, `view:feature`, in the order of the model's columns.

    `service`: Feast's name of a set of features that has them; '' = they are asked by their own names.
    `max_age_s`: how old a value may be; 0 = of any age, for Feast itself hands out what its ttl is over.
    """

    entity: str
    names: tuple[str, ...]
    service: str = ""
    max_age_s: float = 0.0
    datatype: Literal["FP32", "FP64"] = "FP32"

    def of(self, ids: Sequence[Id]) -> str:
        """Who and what a line speaks about."""
        return f"{self.entity} {_some(ids)}: {_some(self.names)}"


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """One feature of one entity, as Feast has it."""

    value: Any
    status: str
    at: str


def question(wanted: Wanted, ids: Sequence[Id]) -> Json:
    """The body of the request; names with their views, as two views may have a feature of one name."""
    asked = {"feature_service": wanted.service} if wanted.service else {"features": [*wanted.names]}
    return {**asked, "entities": {wanted.entity: [*ids]}, "full_feature_names": True}


def rows(wanted: Wanted, ids: Sequence[Id], answer: object, *, now: datetime) -> list[list[float]]:
    """A row an id, a column a feature, in the order asked for. Raises RefusedError."""
    columns = _columns(wanted, ids, answer)
    return [
        [_number(wanted, one, name, columns[name][at], now) for name in wanted.names]
        for at, one in enumerate(ids)
    ]


def _columns(wanted: Wanted, ids: Sequence[Id], answer: object) -> dict[str, list[_Cell]]:
    try:
        return _read(wanted, answer, len(ids))
    except (KeyError, TypeError, ValueError) as error:
        said = f"Feast answered something else than features ({type(error).__name__}: {error})"
        raise RefusedError(BAD_GATEWAY, f"{wanted.of(ids)}: {said}") from error


def _read(wanted: Wanted, answer: Any, count: int) -> dict[str, list[_Cell]]:
    names = answer["metadata"]["feature_names"]
    found = dict(zip(names, answer["results"], strict=True))
    return {
        name: _cells(found[name.replace(":", "__", 1)], count) for name in wanted.names
    }  # fmt: skip


def _cells(column: Any, count: int) -> list[_Cell]:
    parts = (column["values"], column["statuses"], column["event_timestamps"])
    if {len(part) for part in parts} != {count}:
        raise ValueError(f"{[len(part) for part in parts]} values, statuses, times of {count}")
    return [_Cell(value=v, status=s, at=t) for v, s, t in zip(*parts, strict=True)]


def _number(wanted: Wanted, one: Id, name: str, cell: _Cell, now: datetime) -> float:
    of = f"{wanted.entity} {one}: {name}"
    if cell.status == "NOT_FOUND":
        raise RefusedError(NOT_FOUND, f"{of} is not found in Feast")
    if cell.status != "PRESENT":
        raise RefusedError(UNPROCESSABLE, f"{of} is {cell.status} in Feast")
    if cell.value is None:
        raise RefusedError(UNPROCESSABLE, f"{of} is null in Feast")
    if not isinstance(cell.value, int | float) or not _fits(cell.value, wanted.datatype):
        raise RefusedError(UNPROCESSABLE, f"{of} is {cell.value!r} in Feast, no {wanted.datatype}")
    if wanted.max_age_s and (old := _older(cell.at, now, wanted.max_age_s)):
        raise RefusedError(UNPROCESSABLE, f"{of} is {old} in Feast")
    return float(cell.value)


def _fits(value: float, datatype: str) -> bool:
    """NaN fits nothing, and a whole number may be larger than any float."""
    return abs(value) <= LARGEST[datatype]


def _older(at: str, now: datetime, most_s: float) -> str:
    """What to say of a value that is older than it may be; '' when it is not."""
    try:
        age = now - datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return f"of an unknown time ({at!r})"
    return f"of {at}, older than {most_s:g} s" if age > timedelta(seconds=most_s) else ""


def _some(them: Sequence[object]) -> str:
    more = f" and {len(them) - SAID} more" if len(them) > SAID else ""
    return ", ".join(str(one) for one in them[:SAID]) + more
