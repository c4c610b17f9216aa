"""Asks about the objectives that no load report can tell: Prometheus, and services of the user's own.

Shared by the gate and the looks of a bake. Never raises for what the asked do: not knowing has its words.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.core.answered import Answer, Clock, Peak, Queried, Said
from tidegate.core.readings import Answers, Place, Reading, Trouble, clamped, resolve
from tidegate.documents import Deployment, Finding, Word
from tidegate.errors import RejectedError, TidegateError, UnavailableError
from tidegate.policy import CapacitySlo, HttpSlo, JobSlo, Policy, QueriedObjective
from tidegate.steps.stopping import StoppedError, finishing_acts, stop_if_asked

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


def live_answers(asking: Asking) -> tuple[Answer, ...]:
    """What is asked at every look of a bake."""
    asked = enumerate(asking.policy.slo.objectives)
    return tuple(
        Queried(objective=place, answers=_queried(asking, one))
        for place, one in asked
        if isinstance(one, QueriedObjective) and one.live
    )


def gate_answers(asking: Asking) -> tuple[Answer, ...]:
    """What is asked once, before production moves."""
    return tuple(_once(asking))


def _once(asking: Asking) -> Iterator[Answer]:
    for place, objective in enumerate(asking.policy.slo.objectives):
        if isinstance(objective, QueriedObjective):
            yield Queried(objective=place, answers=_queried(asking, objective))
        if isinstance(objective, CapacitySlo):
            yield _peak(asking, objective, place)
        if isinstance(objective, HttpSlo | JobSlo):
            yield Said(finding=_external(asking, objective))


# -- Prometheus


def _queried(asking: Asking, objective: QueriedObjective) -> Answers:
    window_s = clamped(objective.window_s, elapsed_s=asking.elapsed_s)
    place = asking.place
    query = resolve(objective.text, place, window_s=window_s)
    compared = objective.relative is not None and bool(place.incumbent)
    swapped = resolve(objective.text, place.swapped(), window_s=window_s) if compared else ""
    if asking.metrics is None:
        lost = Reading(query=query, trouble=Trouble.UNREACHABLE, detail=asking.why)
        return Answers(now=lost, incumbent=lost if compared else None)
    asked = asking.metrics.prometheus
    now = asked.number(query, window_s=window_s)
    incumbent = asked.number(swapped, window_s=window_s) if compared else None
    try:
        return Answers(
            now=now,
            incumbent=incumbent,
            earlier=_earlier(asking, objective, query, swapped, window_s),
            samples=_samples(asking.metrics, objective, place.revision, window_s),
            exposed=asking.exposed,
        )
    except (UnavailableError, RejectedError) as error:
        lost = Reading(query=query, trouble=Trouble.UNREACHABLE, detail=str(error))
        return Answers(now=lost, incumbent=incumbent)


def _samples(
    metrics: "RevisionMetrics", objective: QueriedObjective, revision: str, window_s: float
) -> int | None:
    if not objective.min_samples:
        return None
    return metrics.requests_within(revision, window_s=window_s)


def _earlier(
    asking: Asking, objective: QueriedObjective, query: str, swapped: str, window_s: float
) -> tuple[tuple[float | None, float | None], ...]:
    """The looks before this one whose whole window lies within the step."""
    failing = objective.failing
    room = math.floor((asking.elapsed_s - window_s) / failing.every_s)
    looks = max(0, min(failing.of - 1, room))
    if not looks or asking.metrics is None:
        return ()
    asked = asking.metrics.prometheus
    values = asked.numbers_before(query, looks=looks, every_s=failing.every_s)
    others: tuple[float | None, ...] = (None,) * looks
    if swapped:
        others = asked.numbers_before(swapped, looks=looks, every_s=failing.every_s)
    return tuple(zip(values, others, strict=True))


def _peak(asking: Asking, objective: CapacitySlo, place: int) -> Peak:
    serving = asking.policy.serving
    replicas = objective.replicas or max(serving.max_replicas, serving.min_replicas)
    if asking.metrics is None:
        peak = Reading(query="", trouble=Trouble.UNREACHABLE, detail=asking.why)
    else:
        peak = asking.metrics.peak(asking.deployed.name, window_s=objective.peak_window_s)
    return Peak(objective=place, reading=peak, replicas=replicas)


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
        blocking=objective.blocks,
        warns=objective.warns,
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
        with finishing_acts(), connect() as kube:
            return job_gate.asked(
                kube,
                objective,
                told,
                namespace=deployed.namespace,
                release_id=deployed.release_id,
                stop=stop_if_asked,
            )
    except StoppedError:
        raise  # its Job is removed by now; a second try of the step asks anew
    except TidegateError as error:
        return Word.INVALID, str(error)


# -- clocks


def clock(asking: Asking, *, interval_s: float) -> tuple[Clock, ...]:
    """How far Prometheus' clock is from this machine's, if it can be asked; a scrape interval is allowed."""
    if asking.metrics is None:
        return ()
    try:
        skew = asking.metrics.prometheus.skew_s()
    except (UnavailableError, RejectedError):
        return ()  # every reading says it
    return (Clock(skew_s=skew, interval_s=interval_s),)
