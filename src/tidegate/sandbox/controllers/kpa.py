"""Knative's pod autoscaler: how many pods a revision should have. Pure.

The rules are those of knative/serving: pkg/autoscaler/scaling/autoscaler.go (`Scale`), and under
pkg/reconciler/autoscaling/ resources/target.go (`ResolveMetricTarget`) and kpa/scaler.go (`applyBounds`,
`handleScaleToZero`); the defaults those of config/core/configmaps/autoscaler.yaml.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tidegate.sandbox.interfaces import Second

TICK_S = 2.0  # tick-interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the annotations of a revision and the cluster's defaults come to."""

    metric: Literal["concurrency", "rps"] = "concurrency"
    target: float = 70.0  # of the metric, in one pod, at which the autoscaler aims
    low: int = 1
    high: int = 0  # 0 = no bound
    initial: int = 1
    activation: int = 1  # pods that a revision has at least while it has any
    window_s: float = 60.0
    panic_window_s: float = 6.0
    panic_threshold: float = 2.0  # wanted over ready pods
    up_rate: float = 1000.0
    down_rate: float = 2.0
    down_delay_s: float = 0.0
    retention_s: float = 0.0  # of the last pod

    @property
    def first(self) -> int:
        """Pods of a new revision, which is Ready when all of them are."""
        return max(self.low, self.initial)

    @property
    def is_fixed(self) -> bool:
        """Nothing to decide: one number of pods is all there may be."""
        return 0 < self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What one decision leaves to the next."""

    panic_since: float | None = None
    panic_pods: int = 0  # the most that were wanted in this panic
    delayed: tuple[tuple[float, int], ...] = ()  # (when, pods) of the last `down_delay_s`


def observed(
    settings: Settings, seconds: Sequence[Second], now: float
) -> tuple[float, float] | None:
    """The metric's averages over the stable and the panic window; None without a fresh second.

    With less than a window of data the average is over what there is.
    """
    if not seconds or now - seconds[-1].at_s >= settings.panic_window_s:
        return None
    stable, panic = (
        _average(settings, [one for one in seconds if now - one.at_s < window_s])
        for window_s in (settings.window_s, settings.panic_window_s)
    )
    return stable, panic


def _average(settings: Settings, seconds: Sequence[Second]) -> float:
    values = [one.rps if settings.metric == "rps" else one.concurrency for one in seconds]
    return sum(values) / len(values)


def decide(
    settings: Settings, memory: Memory, stable: float, panic: float, ready: int, now: float
) -> tuple[Memory, int]:
    """Pods that are wanted before the revision's own bounds; `stable` and `panic` as `observed`."""
    pods = max(1, ready)
    up, down = math.ceil(settings.up_rate * pods), math.floor(pods / settings.down_rate)
    calm, hurried = (_within(settings, value, down, up) for value in (stable, panic))
    is_over = math.ceil(panic / settings.target) / pods >= settings.panic_threshold
    memory = _panicking(settings, memory, now, is_over=is_over)
    wanted = calm
    if memory.panic_since is not None:  # only ever up
        wanted = max(calm, hurried, memory.panic_pods)
        memory = replace(memory, panic_pods=wanted)
    return _delayed(settings, memory, wanted, now)


def _within(settings: Settings, value: float, down: int, up: int) -> int:
    raw = math.ceil(value / settings.target)
    rated = min(max(raw, down), up)
    return max(rated, settings.activation) if raw > 0 and settings.activation > 1 else rated


def _panicking(settings: Settings, memory: Memory, now: float, *, is_over: bool) -> Memory:
    """A panic goes on for a stable window after the last look that was over the threshold."""
    if is_over:
        return replace(memory, panic_since=now)
    since = memory.panic_since
    if since is not None and since + settings.window_s < now:
        return replace(memory, panic_since=None, panic_pods=0)
    return memory


def _delayed(settings: Settings, memory: Memory, wanted: int, now: float) -> tuple[Memory, int]:
    """The most that was wanted within the scale-down delay (pkg/autoscaler/aggregation/max)."""
    if not settings.down_delay_s:
        return memory, wanted
    kept = [(at, pods) for at, pods in memory.delayed if now - at < settings.down_delay_s]
    listed = (*kept, (now, wanted))
    return replace(memory, delayed=listed), max(pods for _, pods in listed)


def bounded(settings: Settings, wanted: int) -> int:
    """Between `low` and `high`."""
    raised = max(wanted, settings.low)
    return min(raised, settings.high) if settings.high else raised


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Whether the revision counts as active, and since when."""

    is_active: bool
    since: float


def to_zero(
    settings: Settings, before: Activity, wanted: int, current: int, now: float, *, grace_s: float
) -> tuple[Activity, int]:
    """Pods after the rule for the last one: idle for a stable window it goes inactive, and its requests go by
    the activator; after the grace, or its retention if that is longer, it ends."""
    if wanted > 0:
        since = before.since if before.is_active else now
        return Activity(is_active=True, since=since), wanted
    if before.is_active and now - before.since < settings.window_s:
        return before, 1
    if before.is_active:
        return Activity(is_active=False, since=now), current
    is_over = now - before.since >= max(grace_s, settings.retention_s)
    return before, 0 if is_over else current
