"""Watches production beside a load test, and stops the load at once when it suffers or cannot be seen."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tidegate.core.production_guard import Watched, blind, harm
from tidegate.documents import Deployment, Finding
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy
from tidegate.steps.progress import say

COMMAND = "load-test"
HOLD_POLL_S = 1.0


@dataclass(slots=True, kw_only=True)
class ProductionGuard:
    """Looks every few seconds, in a thread of its own; `finding` is there once it has stopped the load."""

    policy: Policy
    look: Callable[[float], Watched]
    stop: threading.Event
    finding: Finding | None = None
    unknown: str = ""
    begun: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until the test is over or stopped."""
        while not (self.over.is_set() or self.stop.is_set()):
            self.once()
            self.over.wait(self.policy.load.guard.every_s)

    def once(self) -> None:
        """One look, and what follows of it."""
        watched = self.look(time.monotonic() - self.begun)
        self.unknown = watched.unknown
        found = harm(watched, self.policy.slo)
        if found is None and watched.unknown and self.policy.load.guard.on_no_data == "stop":
            found = blind(watched, 0.0)
        if found:
            self._end(found)

    def await_sight(self) -> None:
        """Between two blocks: send nothing while production cannot be seen, at most max_hold_s."""
        held = time.monotonic()
        if self.unknown and not self.stop.is_set():
            say(COMMAND, f"holding: production cannot be watched ({self.unknown})")
        while self.unknown and not self.stop.is_set():
            if time.monotonic() - held > self.policy.load.guard.max_hold_s:
                self._end(blind(Watched(unknown=self.unknown), time.monotonic() - held))
            else:
                time.sleep(HOLD_POLL_S)
                self.once()

    def _end(self, found: Finding) -> None:
        self.finding = self.finding or found
        say(COMMAND, found.message)
        self.stop.set()


@contextmanager
def guarding(
    deployed: Deployment, policy: Policy, stop: threading.Event
) -> Iterator[ProductionGuard | None]:
    """A guard that looks for as long as the block runs; None: no production, or the policy wants none."""
    guard = guard_of(deployed, policy, stop)
    if guard is None:
        yield None
        return
    guard.once()
    thread = threading.Thread(target=guard.run, daemon=True)
    thread.start()
    try:
        yield guard
    finally:
        guard.over.set()
        thread.join()


def guard_of(deployed: Deployment, policy: Policy, stop: threading.Event) -> ProductionGuard | None:
    """A guard that has not looked yet."""
    look = _look_of(deployed, policy)
    return ProductionGuard(policy=policy, look=look, stop=stop) if look else None


def _look_of(deployed: Deployment, policy: Policy) -> Callable[[float], Watched] | None:
    from tidegate.adapters.revision_metrics import open_metrics

    incumbent = deployed.incumbent
    if incumbent is None or not policy.load.guard.enabled:
        return None
    if not policy.slo.prometheus:
        say(COMMAND, "production is not watched: slo.prometheus is false")
        return None
    metrics, why = open_metrics(policy, deployed)
    if metrics is None:
        return lambda _: Watched(unknown=why)

    def look(elapsed_s: float) -> Watched:
        try:
            served, stale = metrics.served(incumbent.revision, elapsed_s=elapsed_s)
        except (UnavailableError, RejectedError) as error:
            return Watched(unknown=str(error))
        return Watched(served=served, unknown=stale)

    return look
