"""Asks about the objectives that no load report can tell: Prometheus, and services of the user's own.

Shared by the gate and the looks of a bake. Never raises for what the asked do: not knowing has its words.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.core.readings import Answers, Place, Reading, Trouble, clamped, judge_reading, resolve
from tidegate.documents import Capacity, Deployment, Finding, Word
from tidegate.errors import RejectedError, TidegateError, UnavailableError
from tidegate.policy import CapacitySlo, HttpSlo, JobSlo, Policy, QueriedObjective

if TYPE_CHECKING:
    from tidegate.adapters.revision_metrics import RevisionMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """Whom it is about, since when, and who can be asked; without metrics, why not.

    `exposed`: the candidate is known to answer requests, so that its series must be there.
    """

    deployed: Deployment
    policy: Policy
    elapsed_s: float
    metrics: "RevisionMetrics | None"
    why: str = ""
    exposed: bool = False

    @property
    def place(self) -> Place:
        """Whom the placeholders speak of."""
        incumbent = self.deployed.incumbent
        return Place(
            revision=self.deployed.candidate_revision,
            incumbent=incumbent.revision if incumbent else "",
            namespace=self.deployed.namespace,
            name=self.deployed.name,
        )


def live_readings(asking: Asking) -> tuple[Finding, ...]:
    """What is judged at every look of a bake."""
    asked = (o for o in asking.policy.slo.objectives if isinstance(o, QueriedObjective))
    return tuple(_queried(asking, one) for one in asked if one.live)


def gate_readings(asking: Asking, capacity: Capacity | None) -> tuple[Finding, ...]:
    """What is judged once, before production moves."""
    return tuple(_once(asking, capacity))


def _once(asking: Asking, capacity: Capacity | None) -> Iterator[Finding]:
    for objective in asking.policy.slo.objectives:
        if isinstance(objective, QueriedObjective):
            yield _queried(asking, objective)
        if isinstance(objective, CapacitySlo):
            yield _capacity(asking, objective, capacity)
        if isinstance(objective, HttpSlo | JobSlo):
            yield _external(asking, objective)


# -- Prometheus


def _queried(asking: Asking, objective: QueriedObjective) -> Finding:
    window_s = clamped(objective.window_s, elapsed_s=asking.elapsed_s)
    place = asking.place
    query = resolve(objective.text, place, window_s=window_s)
    compared = objective.relative is not None and bool(place.incumbent)
    swapped = resolve(objective.text, place.swapped(), window_s=window_s) if compared else ""
    if asking.metrics is None:
        lost = Reading(query=query, trouble=Trouble.UNREACHABLE, detail=asking.why)
        return judge_reading(objective, Answers(now=lost, incumbent=lost if compared else None))
    asked = asking.metrics.prometheus
    now = asked.number(query, window_s=window_s)
    incumbent = asked.number(swapped, window_s=window_s) if compared else None
    try:
        answers = Answers(
            now=now,
            incumbent=incumbent,
            earlier=_earlier(asking, objective, query, swapped, window_s),
            samples=_samples(asking.metrics, objective, place.revision, window_s),
            exposed=asking.exposed,
        )
    except (UnavailableError, RejectedError) as error:
        lost = Reading(query=query, trouble=Trouble.UNREACHABLE, detail=str(error))
        answers = Answers(now=lost, incumbent=incumbent)
    return judge_reading(objective, answers)


def _samples(
    metrics: "RevisionMetrics", objective: QueriedObjective, revision: str, window_s: float
) -> int | None:
    if not objective.min_samples:
        return None
    return metrics.requests_within(revision, window_s=window_s)


def _earlier(
    asking: Asking, objective: QueriedObjective, query: str, swapped: str, window_s: float
) -> tuple[tuple[float, float], ...]:
    """The looks before this one whose whole window lies within the step."""
    failing = objective.failing
    room = math.floor((asking.elapsed_s - window_s) / failing.every_s)
    looks = max(0, min(failing.of - 1, room))
    if not looks or asking.metrics is None:
        return ()
    asked = asking.metrics.prometheus
    values = asked.numbers_before(query, looks=looks, every_s=failing.every_s)
    others = (math.nan,) * looks
    if swapped:
        others = asked.numbers_before(swapped, looks=looks, every_s=failing.every_s)
    return tuple(zip(values, others, strict=True))


def _capacity(asking: Asking, objective: CapacitySlo, capacity: Capacity | None) -> Finding:
    from tidegate.core.slo import judge_capacity

    serving = asking.policy.serving
    replicas = objective.replicas or max(serving.max_replicas, serving.min_replicas)
    if asking.metrics is None:
        peak = Reading(query="", trouble=Trouble.UNREACHABLE, detail=asking.why)
    else:
        peak = asking.metrics.peak(asking.deployed.name, window_s=objective.peak_window_s)
    return judge_capacity(objective, capacity, peak, replicas=replicas)


# -- a service or a Job of the user's own


def _external(asking: Asking, objective: HttpSlo | JobSlo) -> Finding:
    from tidegate.adapters import http_gate

    told = _told(asking.deployed)
    if isinstance(objective, HttpSlo):
        word, why = http_gate.asked(objective, told)
        query = f"POST {objective.url}"
    else:
        word, why = _job(asking.deployed, objective, told)
        query = f"Job {objective.name}"
    return Finding(
        name=objective.name,
        word=word,
        message=f"{objective.name}: {why}",
        blocking=objective.severity == "blocking",
        query=query,
    )


def _told(deployed: Deployment) -> dict[str, str]:
    return {
        "subject": str(deployed.subject),
        "namespace": deployed.namespace,
        "name": deployed.name,
        "revision": deployed.candidate_revision,
        "host": deployed.candidate_host,
        "release_id": deployed.release_id,
    }


def _job(deployed: Deployment, objective: JobSlo, told: dict[str, str]) -> tuple[Word, str]:
    from tidegate.adapters import job_gate
    from tidegate.adapters.kubernetes import connect

    try:
        with connect() as kube:
            return job_gate.asked(
                kube,
                objective,
                told,
                namespace=deployed.namespace,
                release_id=deployed.release_id,
            )
    except TidegateError as error:
        return Word.INVALID, str(error)


# -- clocks


def clock_trouble(asking: Asking, *, interval_s: float) -> tuple[Finding, ...]:
    """INVALID when Prometheus' clock is further from this machine's than a scrape interval."""
    if asking.metrics is None:
        return ()
    try:
        skew = asking.metrics.prometheus.skew_s()
    except (UnavailableError, RejectedError):
        return ()  # every reading says it
    if abs(skew) <= interval_s:
        return ()
    message = (
        f"Prometheus' clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} this machine's, "
        f"more than a scrape interval of {interval_s:g} s; set both by NTP"
    )
    return (
        Finding(name="clock", word=Word.INVALID, observed=skew, limit=interval_s, message=message),
    )
