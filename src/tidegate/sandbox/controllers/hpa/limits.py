"""How fast and how far a Deployment may be scaled: the HPA's `behavior`. Pure.

The rules are those of kubernetes/kubernetes pkg/controller/podautoscaler/horizontal.go
(`normalizeDesiredReplicasWithBehaviors` and what it calls); the defaults those of
pkg/apis/autoscaling/v2/defaults.go. An HPA without `behavior` is taken to have its defaults.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Event = tuple[float, int]  # (Unix time, pods): a recommendation, or how many came or went
Policy = tuple[Literal["Pods", "Percent"], int, float]  # (type, value, period in s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """`scaleUp` or `scaleDown`."""

    window_s: float  # stabilizationWindowSeconds
    policies: tuple[Policy, ...]
    select: Literal["Max", "Min", "Disabled"] = "Max"


UP = Side(window_s=0.0, policies=(("Pods", 4, 15.0), ("Percent", 100, 15.0)))
DOWN = Side(window_s=300.0, policies=(("Percent", 100, 15.0),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds and the behaviour of one HPA."""

    low: int
    high: int
    up: Side = UP
    down: Side = DOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What earlier decisions leave to the next."""

    recommended: tuple[Event, ...] = ()
    came: tuple[Event, ...] = ()
    went: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The number of pods, and the words of the two conditions that tell of it."""

    replicas: int
    able: tuple[str, str]  # reason and message of AbleToScale
    limited: tuple[str, str]  # likewise of ScalingLimited
    is_limited: bool


_READY = ("ReadyForNewScale", "recommended size matches current size")
_UP_STABILIZED = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_DOWN_STABILIZED = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_FAST = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_TOO_MANY = (
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
)
_TOO_FAST_DOWN = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")


def judged(
    limits: Limits, memory: Memory, *, current: int, desired: int, now: float
) -> tuple[Verdict, Memory]:
    """What becomes of `desired`: stabilized first, then limited in rate and range."""
    stable = _stabilized(limits, memory, current, desired, now)
    able = _READY
    if stable != desired:
        able = _UP_STABILIZED if desired >= current else _DOWN_STABILIZED
    count, limited = _rated(limits, memory, current, stable, now)
    verdict = Verdict(replicas=count, able=able, limited=limited, is_limited=count != stable)
    return verdict, _recommended(limits, memory, (now, desired))


def scaled(limits: Limits, memory: Memory, *, before: int, after: int, now: float) -> Memory:
    """Remember that pods came or went (storeScaleEvent)."""
    came = _since(memory.came, now - _longest(limits.up))
    went = _since(memory.went, now - _longest(limits.down))
    if after > before:
        came = (*came, (now, after - before))
    if after < before:
        went = (*went, (now, before - after))
    return Memory(recommended=memory.recommended, came=came, went=went)


def _recommended(limits: Limits, memory: Memory, newest: Event) -> Memory:
    window = max(limits.up.window_s, limits.down.window_s)
    kept = (*_since(memory.recommended, newest[0] - window), newest)
    return Memory(recommended=kept, came=memory.came, went=memory.went)


def _stabilized(limits: Limits, memory: Memory, current: int, desired: int, now: float) -> int:
    """stabilizeRecommendationWithBehaviors: between the lowest and the highest of what was said lately."""
    up = _since(memory.recommended, now - limits.up.window_s)
    down = _since(memory.recommended, now - limits.down.window_s)
    lowest = min([desired, *(n for _, n in up)])
    highest = max([desired, *(n for _, n in down)])
    return min(max(current, lowest), highest)


def _rated(
    limits: Limits, memory: Memory, current: int, desired: int, now: float
) -> tuple[int, tuple[str, str]]:
    """convertDesiredReplicasWithBehaviorRate; one that stays is not limited."""
    if desired > current:
        fast = max(_up_limit(limits.up, memory, current, now), current)
        most, why = (fast, _TOO_FAST) if limits.high > fast else (limits.high, _TOO_MANY)
        return (most, why) if desired > most else (desired, _WITHIN)
    if desired < current:
        fast = min(_down_limit(limits.down, memory, current, now), current)
        least, why = (fast, _TOO_FAST_DOWN) if limits.low < fast else (limits.low, _TOO_FEW)
        return (least, why) if desired < least else (desired, _WITHIN)
    return desired, _WITHIN


def _up_limit(side: Side, memory: Memory, current: int, now: float) -> int:
    """calculateScaleUpLimitWithScalingRules."""
    if side.select == "Disabled":
        return current
    found = []
    for kind, value, period in side.policies:
        start = _start(memory, current, now - period)
        more = start + value if kind == "Pods" else math.ceil(start * (1 + value / 100))
        found.append(more)
    return min(found) if side.select == "Min" else max(found)


def _down_limit(side: Side, memory: Memory, current: int, now: float) -> int:
    """calculateScaleDownLimitWithBehaviors."""
    if side.select == "Disabled":
        return current
    found = []
    for kind, value, period in side.policies:
        start = _start(memory, current, now - period)
        found.append(start - value if kind == "Pods" else int(start * (1 - value / 100)))
    return max(found) if side.select == "Min" else min(found)


def _start(memory: Memory, current: int, since: float) -> int:
    """Pods as the period began."""
    came = sum(n for _, n in _since(memory.came, since))
    went = sum(n for _, n in _since(memory.went, since))
    return current - came + went


def _longest(side: Side) -> float:
    return max((period for _, _, period in side.policies), default=0.0)


def _since(events: Sequence[Event], cutoff: float) -> tuple[Event, ...]:
    return tuple(event for event in events if event[0] > cutoff)
