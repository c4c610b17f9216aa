"""An InferenceService of a release's own, which no client knows: brought up, and removed again. Pure.

It comes up by the mode's own rules of a first release, for nothing serves under its name. Nothing is taken
for it, or removed, that its release did not create.
"""

from dataclasses import dataclass

from tidegate.core.decisions import Act, Decision, Done, Refuse, Wait, foreign
from tidegate.core.journal import ActKind, Journal
from tidegate.core.observation import Observation
from tidegate.core.traffic import rules_of

GONE_S = 15.0  # a deletion cannot be undone; finalizers that take longer are not waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkService:
    """One, by what the journal says of it. `uid` is '' until it is known: a death may fall before that."""

    name: str
    uid: str
    made_by: str  # the mark of its creation

    def is_ours(self, seen: Observation) -> bool:
        """By the mark of creation, and by the uid once that is known."""
        return seen.created_by == self.made_by and self.uid in {"", seen.uid}


def next_for_arrival(
    seen: Observation | None,
    dark: DarkService,
    view: Journal,
    waited_s: float,
    *,
    create: Act,
) -> Decision:
    """Bring it up, and see it answer. `view` is the journal as seen from it."""
    if seen is not None and not dark.is_ours(seen):
        return foreign(f"{dark.name} was created by somebody else")
    decided = rules_of(view).next_for_stage(seen, view, waited_s)
    return create if isinstance(decided, Act) else about(dark.name, decided)


def next_for_removal(
    seen: Observation | None, dark: DarkService, waited_s: float, *, kind: ActKind
) -> Decision:
    """Remove it, and nothing but the one that was made."""
    if seen is None:
        return Done(what=f"{dark.name} is gone")
    if not dark.is_ours(seen):
        return Done(what=f"{dark.name} was created by somebody else and is left alone")
    if not seen.deleting:
        return Act(kind=kind, why=f"remove {dark.name}")
    if waited_s > GONE_S:
        return Done(what=f"{dark.name} is being deleted")
    return Wait(what=f"{dark.name} to be gone")


def about(name: str, decided: Decision) -> Decision:
    """A refusal that says of which InferenceService it speaks."""
    if not isinstance(decided, Refuse):
        return decided
    return Refuse(word=decided.word, reason=f"{name}: {decided.reason}", foreign=decided.foreign)
