"""What others were asked while a candidate was judged, as they answered, and the findings that follow. Pure.

Kept in the evidence in this form, so that it is judged again and not believed again; only what a gate of
the user's own has said is a word already, and is taken as it was.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from tidegate.core.readings import Answers, Reading, judge_reading
from tidegate.core.restarts import Restarts, judge_restarts
from tidegate.documents import Capacity, Finding, Word
from tidegate.policy import CapacitySlo, Objective, QueriedObjective, RestartsSlo, Slo


@dataclass(frozen=True, slots=True, kw_only=True)
class Queried:
    """Prometheus, about the objective at this place of slo.objectives."""

    objective: int
    answers: Answers
    kind: Literal["queried"] = "queried"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Prometheus, about production's peak, for a capacity objective; `replicas` are to carry it."""

    objective: int
    reading: Reading
    replicas: int
    kind: Literal["peak"] = "peak"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How far Prometheus' clock is ahead of this machine's, and how far it may be."""

    skew_s: float
    interval_s: float
    kind: Literal["clock"] = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarted:
    """The cluster, about the candidate's containers since the traffic step began."""

    restarts: Restarts
    kind: Literal["restarted"] = "restarted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A service or a Job of the user's own: its word cannot be had again from numbers."""

    finding: Finding
    kind: Literal["said"] = "said"


Answer = Annotated[Queried | Peak | Clock | Restarted | Said, Field(discriminator="kind")]


def findings_of(
    answers: Iterable[Answer], slo: Slo, capacity: Capacity | None = None
) -> tuple[Finding, ...]:
    """What each answer says of its objective; `capacity` is the load test's. Raises ValueError for an
    answer about an objective that the policy does not have."""
    return tuple(finding for answer in answers for finding in _findings(answer, slo, capacity))


def _findings(answer: Answer, slo: Slo, capacity: Capacity | None) -> Iterator[Finding]:
    match answer:
        case Queried():
            yield _queried(answer, slo)
        case Peak():
            yield _peak(answer, slo, capacity)
        case Clock():
            if abs(answer.skew_s) > answer.interval_s:
                yield _clock(answer)
        case Restarted():
            limits = [one for one in slo.objectives if isinstance(one, RestartsSlo)]
            for limit in limits or (None,):
                yield judge_restarts(limit, answer.restarts)
        case Said():
            yield answer.finding


def _queried(answer: Queried, slo: Slo) -> Finding:
    asked = _objective(slo, answer.objective)
    if not isinstance(asked, QueriedObjective):
        raise _mismatch(answer.objective)
    return judge_reading(asked, answer.answers)


def _peak(answer: Peak, slo: Slo, capacity: Capacity | None) -> Finding:
    from tidegate.core.slo.capacity import judge_capacity  # its package computes with scipy

    asked = _objective(slo, answer.objective)
    if not isinstance(asked, CapacitySlo):
        raise _mismatch(answer.objective)
    return judge_capacity(asked, capacity, answer.reading, replicas=answer.replicas)


def _objective(slo: Slo, place: int) -> Objective:
    if not 0 <= place < len(slo.objectives):
        raise _mismatch(place)
    return slo.objectives[place]


def _mismatch(place: int) -> ValueError:
    return ValueError(f"slo.objectives.{place} is not what was asked about")


def _clock(answer: Clock) -> Finding:
    order = "ahead of" if answer.skew_s > 0 else "behind"
    message = (
        f"Prometheus' clock is {abs(answer.skew_s):.0f} s {order} this machine's, "
        f"more than a scrape interval of {answer.interval_s:g} s; set both by NTP"
    )
    return Finding(
        name="clock",
        word=Word.INVALID,
        observed=answer.skew_s,
        limit=answer.interval_s,
        message=message,
    )
