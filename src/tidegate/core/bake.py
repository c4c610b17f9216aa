"""A bake: (the evidence so far, the time baked, the policy) -> go on, next step, or turn back. Pure."""

from collections.abc import Sequence
from typing import Protocol

from tidegate.core.decisions import Done, Refuse, Wait
from tidegate.documents import LiveLook, Word
from tidegate.policy import Traffic

MOST_LOOKS = (
    24  # of each step: the journal is one object of the cluster, and a page is read by people
)
MOST_CHARACTERS = 240


class Evidence(Protocol):
    """What the live gate says of the traffic since the step began."""

    @property
    def word(self) -> Word:
        """FAIL stops at once; PASS waits for the whole bake; anything else may still change."""
        ...

    @property
    def reason(self) -> str:
        """The one line behind the word."""
        ...

    @property
    def is_urgent(self) -> bool:
        """Users get errors: every second counts."""
        ...


def steps_left(traffic: Traffic, passed: set[int]) -> tuple[int, ...]:
    """The shares still to give; a promotion that is taken up again does not go back.

    One that died after its last step bakes there once more, for nobody has watched it since.
    """
    left = tuple(percent for percent in traffic.steps if percent > max(passed, default=0))
    return left or traffic.steps[-1:]


def next_for_bake(
    evidence: Evidence, *, percent: int, baked_s: float, traffic: Traffic
) -> Done | Refuse | Wait:
    """FAIL ends it early, PASS once it has baked long enough, and what is neither at the very latest."""
    said = f"{evidence.word} at {percent} %: {evidence.reason}"
    if evidence.word is Word.FAIL:
        return Refuse(word=Word.FAIL, reason=said, urgent=evidence.is_urgent)
    if evidence.word is Word.PASS:
        return Done(what=said) if baked_s >= traffic.bake_s else Wait(what=said)
    if baked_s < traffic.max_bake_s:
        return Wait(what=said)
    if baked_s < traffic.longest_bake_s:
        left = traffic.longest_bake_s - baked_s
        return Wait(what=f"{said}; held for {left:.0f} s more, `tidegate abort` ends it")
    return Refuse(word=evidence.word, reason=said)


def distilled(looks: Sequence[LiveLook]) -> tuple[LiveLook, ...]:
    """At most MOST_LOOKS of them: the last, where the word changed, and an even choice of the others.

    A message is kept where it says something new, in MOST_CHARACTERS.
    """
    changed = [n for n, look in enumerate(looks) if n == 0 or look.word != looks[n - 1].word]
    kept = {*_evenly(changed, MOST_LOOKS - 1), *range(len(looks))[-1:]}
    others = [n for n in range(len(looks)) if n not in kept]
    kept |= set(_evenly(others, MOST_LOOKS - len(kept)))
    said = {n: looks[n].message[:MOST_CHARACTERS] for n in changed}
    return tuple(looks[n].model_copy(update={"message": said.get(n, "")}) for n in sorted(kept))


def _evenly(items: Sequence[int], most: int) -> list[int]:
    """All of them, or as many evenly spaced ones, the first among them."""
    if len(items) <= most:
        return list(items)
    return [items[n * len(items) // most] for n in range(most)]
