"""A release as a trace: the whole, each act on the cluster, and each step of traffic with its bake."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.core.journal import ActRecord, Journal
from tidegate.documents import Result, TrafficStep, Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time, Unix seconds, and why it failed ('' : it did not)."""

    name: str
    began_s: float
    ended_s: float
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)
    failed: str = ""


def spans(journal: Journal, *, at_s: float) -> list[Span]:
    """The whole first; nothing for a release that never acted."""
    if not journal.acts:
        return []
    subject, promoted = journal.subject, journal.outcome is Result.PROMOTED
    whole = Span(
        name=f"release {journal.name}",
        began_s=journal.acts[0].intended_s,
        ended_s=at_s,
        attributes={
            "release_id": journal.release_id, "model": subject.model, "version": subject.version,
            "mode": journal.mode, "result": journal.outcome.value if journal.outcome else "",
        },
        failed="" if promoted else journal.reason,
    )  # fmt: skip
    return [whole, *(_act(one, at_s) for one in journal.acts), *_bakes(journal)]


def _act(act: ActRecord, at_s: float) -> Span:
    """From the intent until the cluster showed it."""
    shown = {} if act.percent is None else {"percent": act.percent}
    unseen = "" if act.confirmed_s is not None else "never seen in the cluster"
    return Span(
        name=f"act {act.kind.value}",
        began_s=act.intended_s,
        ended_s=at_s if act.confirmed_s is None else act.confirmed_s,
        attributes={"why": act.why, **shown},
        failed=unseen,
    )


def _bakes(journal: Journal) -> list[Span]:
    """From the confirmation of a share until it was judged; a step whose act is unknown has no length."""
    seen = {one.percent: one.confirmed_s for one in journal.acts if one.confirmed_s is not None}
    return [
        _bake(step, min(seen.get(step.percent) or step.at_s, step.at_s)) for step in journal.steps
    ]


def _bake(step: TrafficStep, began_s: float) -> Span:
    return Span(
        name=f"bake {step.percent} %",
        began_s=began_s,
        ended_s=step.at_s,
        attributes={"word": step.word.value, "revision": step.revision, "message": step.message},
        failed="" if step.word is Word.PASS else step.message or step.word.value,
    )
