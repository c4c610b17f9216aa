"""What asking a monitoring system for one number can lead to, and what each outcome says of an objective.

No number is never a good number, and a monitoring outage is never a bad model.
"""

import math
import string
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from tidegate.documents import Finding, Word
from tidegate.policy import PromqlSlo


class Trouble(StrEnum):
    """Why there is no number to judge."""

    NONE = ""
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    EMPTY = "no data"
    NAN = "not a number"
    INFINITE = "infinite"
    SEVERAL = "several series"
    STALE = "stale"
    PARTIAL = "partial answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The answer to one query: a number, or the trouble that stands in its place."""

    query: str
    value: float | None = None
    trouble: Trouble = Trouble.NONE
    detail: str = ""


def resolve(query: str, *, revision: str, namespace: str) -> str:
    """Fill `$revision` and `$namespace`; every other dollar (a regex's end) is left as it is."""
    return string.Template(query).safe_substitute(revision=revision, namespace=namespace)


def judge_reading(objective: PromqlSlo, reading: Reading) -> Finding:
    """Compare a reading with its limit."""
    word, message = _word(objective, reading)
    return Finding(
        name=objective.name,
        word=word,
        observed=reading.value if _is_number(reading.value) else None,
        limit=objective.limit,
        message=message,
        blocking=objective.severity == "blocking",
        query=reading.query,
    )


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _word(objective: PromqlSlo, reading: Reading) -> tuple[Word, str]:
    name, value = objective.name, reading.value
    if reading.trouble in (Trouble.EMPTY, Trouble.NAN):
        return Word(objective.on_no_data), f"{name}: {reading.trouble} ({reading.detail})"
    if reading.trouble or not _is_number(value):
        return Word.INVALID, f"{name}: {reading.trouble or value} ({reading.detail})"
    kept = value <= objective.limit if objective.comparison == "<=" else value >= objective.limit
    comparison = objective.comparison if kept else {"<=": ">", ">=": "<"}[objective.comparison]
    return (Word.PASS if kept else Word.FAIL), f"{name} {value:g} {comparison} {objective.limit:g}"
