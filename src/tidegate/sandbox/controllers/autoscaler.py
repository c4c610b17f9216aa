"""Knative's autoscaler at work: every revision's number of pods, from what its pods are asked.

Without a meter of requests (`demand`) nothing is scaled: a revision has its least number of pods, and one
instead of none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import kpa
from tidegate.sandbox.controllers.kpa import Activity, Memory, Settings
from tidegate.sandbox.controllers.kpa_settings import is_kpa, least, settings
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.interfaces import Demand, Key


@dataclass(slots=True, kw_only=True)
class Scaled:
    """One revision as the autoscaler remembers it."""

    pods: int
    activity: Activity
    ticked: float
    memory: Memory = field(default_factory=Memory)


class Autoscaler:
    """Decides every two seconds, and at once when a request waits for a first pod."""

    def __init__(self, demand: Demand | None, clock: Callable[[], float], grace_s: float) -> None:
        self._demand, self._clock, self._grace_s = demand, clock, grace_s
        self._scaled: dict[Key, Scaled] = {}
        self._held: dict[Key, float] = {}

    def pods(self, revision: Json, *, ready: int, was_ready: bool) -> int:
        """How many pods the revision should have now."""
        key = address(revision)
        if self._demand is None or not is_kpa(revision):
            return max(1, least(revision))
        wanted = settings(revision)
        if not was_ready and key not in self._scaled:
            return wanted.first
        if wanted.is_fixed:
            return wanted.low
        scaled = self._scaled.setdefault(key, self._first(wanted, ready))
        self._look(key, scaled, wanted, ready)
        self._hold(key, revision, scaled, wanted, ready)
        return scaled.pods

    def takes_requests(self, key: Key) -> bool:
        """The activator does, in place of its pods."""
        return key in self._held

    def forget(self, key: Key) -> None:
        """It has no pods any more, and wants none."""
        self._scaled.pop(key, None)
        self._held.pop(key, None)

    def tell(self) -> None:
        """Whose requests are to be counted, and whose are to wait at the activator, from now on."""
        if self._demand is not None:
            self._demand.follow(set(self._scaled), dict(self._held))

    def _first(self, wanted: Settings, ready: int) -> Scaled:
        """One that was Ready before and has no pods now waits for a request, if it may have none."""
        now, is_active = self._clock(), ready > 0 or wanted.low > 0
        activity = Activity(is_active=is_active, since=now)
        pods = max(wanted.low, ready)
        return Scaled(pods=pods, activity=activity, ticked=now, memory=_started(ready, now))

    def _look(self, key: Key, scaled: Scaled, wanted: Settings, ready: int) -> None:
        assert self._demand is not None
        now = self._clock()
        if scaled.pods == 0 and self._demand.waiting().get(key, 0):
            scaled.pods = kpa.bounded(wanted, max(1, wanted.activation))
            scaled.activity = Activity(is_active=True, since=now)
        if now - scaled.ticked < kpa.TICK_S:
            return
        scaled.ticked = now
        seen = kpa.observed(wanted, self._demand.seconds(*key), now)
        if seen is None:
            return  # not knowing is no reason to have fewer
        scaled.memory, raw = kpa.decide(wanted, scaled.memory, *seen, ready, now)
        scaled.activity, scaled.pods = kpa.to_zero(
            wanted, scaled.activity, kpa.bounded(wanted, raw), scaled.pods, now,
            grace_s=self._grace_s,
        )  # fmt: skip

    def _hold(self, key: Key, revision: Json, scaled: Scaled, wanted: Settings, ready: int) -> None:
        """An inactive revision's requests go by the activator, and those of one without a ready pod."""
        if wanted.low == 0 and (not scaled.activity.is_active or ready == 0):
            self._held[key] = float(revision["spec"].get("timeoutSeconds") or 300)
        else:
            self._held.pop(key, None)


def _started(ready: int, now: float) -> Memory:
    """It begins in a panic where there are several pods, so as to keep them (autoscaler.go, New)."""
    return Memory(panic_since=now, panic_pods=ready) if ready > 1 else Memory()
