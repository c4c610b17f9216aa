"""A release as gauges: what its journal says, for whoever scrapes or is pushed to.

A state is one series per possible word, 1 for the one that holds and 0 for the rest, so that a word which no
longer holds is overwritten and not left behind. Times are Unix seconds, durations seconds, shares percent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidegate.core.journal import Journal, Phase
from tidegate.documents import Report, Result, Word

HELP: Mapping[str, str] = {
    "tidegate_release_info": "The release whose state the other series of its service tell.",
    "tidegate_release_phase": "1 for the phase that the release is in.",
    "tidegate_release_result": "1 for how the release ended; all 0 while it runs.",
    "tidegate_release_deadline_timestamp_seconds": "When its phase must be over.",
    "tidegate_release_started_timestamp_seconds": "When the release first meant to write to the cluster.",
    "tidegate_release_told_timestamp_seconds": "When these series were written.",
    "tidegate_release_duration_seconds": "From its first act until these series were written.",
    "tidegate_release_traffic_percent": "Share of production by revision, as the cluster last confirmed it.",
    "tidegate_release_step_verdict": "1 for the word that a traffic step was judged with.",
    "tidegate_release_step_p99_seconds": "p99 latency of the candidate while a step was baked.",
    "tidegate_release_step_requests": "Requests of the candidate that a step was judged on.",
    "tidegate_release_traffic_safe": "1: production is on what served before, and it answers. 0: not.",
    "tidegate_release_spec_repaired": "1: the spec asks for what served before. 0: not.",
    "tidegate_release_alarm": "1: a roll-back failed and somebody has to act.",
    "tidegate_release_gate_verdict": "1 for the word of the gate before the first traffic.",
    "tidegate_release_load_p99_seconds": "p99 latency under the load test, by arm.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One gauge's value."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(journal: Journal, *, at_s: float, alarm: bool = False) -> list[Sample]:
    """Everything that the journal says, told at Unix time `at_s`. Unknown is no series, never a 0."""
    who = {"namespace": journal.namespace, "inferenceservice": journal.name}
    made = (*_states(journal), *_times(journal, at_s), *_shares(journal), *_steps(journal))
    named = [Sample(name=n, labels=who | dict(labels), value=value) for n, labels, value in made]
    told = Sample(name="tidegate_release_alarm", labels=who, value=float(alarm))
    return [*named, told]


Made = tuple[str, Mapping[str, str], float]


def _states(journal: Journal) -> Iterator[Made]:
    subject, before = journal.subject, journal.incumbent
    yield (
        "tidegate_release_info",
        {
            "release_id": journal.release_id,
            "model": subject.model,
            "version": subject.version,
            "mode": journal.mode,
            "candidate": journal.candidate_revision,
            "incumbent": before.revision if before else "",
        },
        1.0,
    )
    for phase in Phase:
        yield "tidegate_release_phase", {"phase": phase.value}, float(phase is journal.phase)
    for result in Result:
        yield "tidegate_release_result", {"result": result.value}, float(result is journal.outcome)
    for name in ("traffic_safe", "spec_repaired"):
        known: bool | None = getattr(journal, name)
        if known is not None:
            yield f"tidegate_release_{name}", {}, float(known)


def _times(journal: Journal, at_s: float) -> Iterator[Made]:
    yield "tidegate_release_told_timestamp_seconds", {}, at_s
    yield "tidegate_release_deadline_timestamp_seconds", {}, journal.deadline_s
    if journal.acts:
        started = journal.acts[0].intended_s
        yield "tidegate_release_started_timestamp_seconds", {}, started
        yield "tidegate_release_duration_seconds", {}, max(0.0, at_s - started)


def _shares(journal: Journal) -> Iterator[Made]:
    """Of candidate and incumbent; none during a return, for an act's percent then is another revision's."""
    share = _share(journal)
    if share is None or not journal.candidate_revision:
        return
    roles = [("candidate", journal.candidate_revision, share)]
    if journal.incumbent:
        roles.append(("incumbent", journal.incumbent.revision, 100.0 - share))
    for role, revision, percent in roles:
        yield "tidegate_release_traffic_percent", {"role": role, "revision": revision}, percent


def _share(journal: Journal) -> float | None:
    if journal.outcome is Result.PROMOTED:
        return 100.0
    if journal.is_over or journal.phase is Phase.RETURNING:
        return 0.0 if journal.traffic_safe else None
    seen = [one.percent for one in journal.acts if one.confirmed_s is not None]
    return next((float(percent) for percent in reversed(seen) if percent is not None), None)


def _steps(journal: Journal) -> Iterator[Made]:
    """The last judgement of each share."""
    for step in {step.percent: step for step in journal.steps}.values():
        at = {"percent": str(step.percent)}
        for word in Word:
            yield (
                "tidegate_release_step_verdict",
                at | {"word": word.value},
                float(word is step.word),
            )
        if step.p99_ms is not None:
            yield "tidegate_release_step_p99_seconds", at, step.p99_ms / 1000
        if step.requests is not None:
            yield "tidegate_release_step_requests", at, float(step.requests)


def of_report(report: Report, *, namespace: str, service: str) -> list[Sample]:
    """What the journal does not know: the gate's word, and the latencies that it judged."""
    who = {"namespace": namespace, "inferenceservice": service}
    judged = report.verdict.word if report.verdict else None
    words = [
        Sample(
            name="tidegate_release_gate_verdict",
            labels=who | {"word": word.value},
            value=float(word is judged),
        )
        for word in Word
    ]
    load = report.load
    arms = [arm for arm in (load.candidate, load.baseline) if arm] if load else []
    latencies = [
        Sample(
            name="tidegate_release_load_p99_seconds",
            labels=who | {"arm": arm.arm},
            value=arm.p99_ms / 1000,
        )
        for arm in arms
        if arm.p99_ms is not None
    ]
    return [*words, *latencies]
