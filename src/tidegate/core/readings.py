"""What asking a monitoring system for one number can lead to, and what each outcome says of an objective.

No number is never a good number, and a monitoring outage is never a bad model.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from tidegate.documents import Finding, Word, worst
from tidegate.policy import QueriedObjective
from tidegate.policy.promql import filled


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
    SKEWED = "clocks differ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The answer to one query: a number, or the trouble that stands in its place."""

    query: str
    value: float | None = None
    trouble: Trouble = Trouble.NONE
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """All that one objective needs: the number now, the incumbent's (None: not asked), those of the looks
    before (newest first; None where there was none), and the candidate's requests in the window."""

    now: Reading
    incumbent: Reading | None = None
    earlier: tuple[tuple[float | None, float | None], ...] = ()  # candidate's, incumbent's
    samples: int | None = None
    exposed: bool = False  # the candidate has served requests, so its series must be there


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whom the placeholders of a query speak of."""

    revision: str
    incumbent: str
    namespace: str
    name: str

    def swapped(self) -> "Place":
        """The same, with the incumbent in the candidate's place."""
        return Place(
            revision=self.incumbent,
            incumbent=self.revision,
            namespace=self.namespace,
            name=self.name,
        )


def pods_of(revision: str) -> str:
    """A regular expression of the pods of a revision or a Deployment, and of none whose name is longer."""
    return rf"{revision}(-deployment)?-[0-9a-z]{{6,10}}-[0-9a-z]{{5}}"


def resolve(query: str, place: Place, *, window_s: float) -> str:
    """Fill the placeholders; every other dollar (a regex's end) is left as it is."""
    return filled(
        query,
        revision=place.revision,
        incumbent=place.incumbent,
        pods=pods_of(place.revision),
        namespace=place.namespace,
        name=place.name,
        window=f"{max(1, math.floor(window_s))}s",
    )


def clamped(window_s: float, *, elapsed_s: float) -> float:
    """A window that reaches back no further than the step's beginning: a longer one would mix two shares."""
    return max(1.0, min(window_s, elapsed_s))


def judge_reading(objective: QueriedObjective, answers: Answers) -> Finding:
    """Compare a reading with its limits."""
    word, message = _word(objective, answers)
    name = name_of(objective)
    return Finding(
        name=name,
        word=word,
        observed=answers.now.value if _is_number(answers.now.value) else None,
        limit=_limit(objective, answers),
        message=f"{name}{message}",
        blocking=objective.blocks and not _only_relative_alone(objective, answers),
        warns=objective.warns and not _only_relative_alone(objective, answers),
        samples=answers.samples,
        query=answers.now.query,
    )


def name_of(objective: QueriedObjective) -> str:
    """Its name, or what it measures."""
    return objective.name or f"{objective.__class__.__name__.removesuffix('Slo').lower()} " + str(
        getattr(objective, "measure", "")
    )


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)


def _only_relative_alone(objective: QueriedObjective, answers: Answers) -> bool:
    """A first release has no incumbent, so a relative limit alone judges nothing."""
    return objective.limit is None and answers.incumbent is None


def _limit(objective: QueriedObjective, answers: Answers) -> float | None:
    """The stricter of the absolute limit and the multiple of the incumbent's number."""
    known = [] if objective.limit is None else [objective.limit]
    other = answers.incumbent.value if answers.incumbent else None
    if objective.relative is not None and _is_number(other):
        known.append(objective.relative * other)
    if not known:
        return None
    return min(known) if objective.comparison == "<=" else max(known)


def _word(objective: QueriedObjective, answers: Answers) -> tuple[Word, str]:
    if _only_relative_alone(objective, answers):
        return Word.INCONCLUSIVE, ": no incumbent to compare with, not judged"
    readings = [answers.now]
    if objective.relative is not None and answers.incumbent is not None:
        readings.append(answers.incumbent)
    troubles = [_trouble(objective, r, answers) for r in readings if r.trouble or _odd(r)]
    if troubles:
        word = worst(*(word for word, _ in troubles))
        return word, next(message for found, message in troubles if found is word)
    if answers.samples is not None and answers.samples < objective.min_samples:
        few = f": {answers.samples} requests in the window, {objective.min_samples} are needed"
        return Word.INCONCLUSIVE, few
    return _compared(objective, answers)


def _odd(reading: Reading) -> bool:
    return not _is_number(reading.value)


def _trouble(objective: QueriedObjective, reading: Reading, answers: Answers) -> tuple[Word, str]:
    whose = "" if reading is answers.now else " of the incumbent"
    said = f"{whose}: {reading.trouble or reading.value} ({reading.detail})"
    if reading.trouble is Trouble.EMPTY and answers.exposed and not whose:
        more = f"{said} although the candidate answers requests"
        return worst(Word(objective.on_no_data), Word.INVALID), more
    if reading.trouble in (Trouble.EMPTY, Trouble.NAN):
        return Word(objective.on_no_data), said
    return Word.INVALID, said


def _compared(objective: QueriedObjective, answers: Answers) -> tuple[Word, str]:
    value, limit = answers.now.value, _limit(objective, answers)
    assert value is not None  # no trouble
    assert limit is not None  # one of the two is there
    fails = _exceeds(objective, value, limit)
    comparison = {"<=": ">", ">=": "<"}[objective.comparison] if fails else objective.comparison
    message = f" {value:g} {comparison} {limit:g}" + _against(objective, answers)
    looks = 1 + len(answers.earlier)
    failed = fails + sum(_failed_then(objective, *then) for then in answers.earlier)
    wanted = objective.failing
    if wanted.looks > 1 and failed:
        message += f", at {failed} of the last {looks} looks ({wanted.looks} of {wanted.of} fail)"
    if failed >= wanted.looks:
        return Word.FAIL, message
    return (Word.INCONCLUSIVE if fails else Word.PASS), message


def _exceeds(objective: QueriedObjective, value: float, limit: float) -> bool:
    return value > limit if objective.comparison == "<=" else value < limit


def _failed_then(objective: QueriedObjective, value: float | None, incumbent: float | None) -> bool:
    """An earlier look without a number neither fails nor passes."""
    then = Answers(
        now=Reading(query="", value=value),
        incumbent=None if incumbent is None else Reading(query="", value=incumbent),
    )
    limit = _limit(objective, then)
    return _is_number(value) and limit is not None and _exceeds(objective, value, limit)


def _against(objective: QueriedObjective, answers: Answers) -> str:
    if objective.relative is None or answers.incumbent is None:
        return ""
    return f" ({objective.relative:g}x the incumbent's {answers.incumbent.value:g})"
