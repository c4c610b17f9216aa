"""What revisions are asked, second by second, from Envoy's own gauges; and the activator before them.

Knative's queue-proxy tells the autoscaler its average of requests in flight. Here Envoy's number of them is
looked at ten times a second, over all pods of a revision, those included that wait at the activator.
Nobody looks while no revision has a number of pods to be decided.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.errors import UnavailableError
from tidegate.sandbox.activator import Activator
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.envoy_config import revision_of
from tidegate.sandbox.interfaces import Key, Second

LOOK_S = 0.1
_KEPT = 3600  # seconds; the longest stable window
_STATS = "/stats?filter=upstream_rq_(active|pending_active|total)$"
_LINE = re.compile(r"cluster\.(?P<cluster>\S+)\.upstream_rq_(?P<what>\w+): (?P<value>\d+)")


@dataclass(slots=True, kw_only=True)
class Asked:
    """One look at a revision: requests in flight now, and those that ever began."""

    in_flight: int = 0
    total: int = 0


@dataclass(slots=True, kw_only=True)
class Meter:
    """One revision's looks within a second, and the seconds before."""

    began: float
    looks: list[int] = field(default_factory=list)
    total: int | None = None  # as the second began
    seconds: deque[Second] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def look(self, asked: Asked, now: float) -> None:
        """Take a look in; a counter that fell began again at 0."""
        self.looks.append(asked.in_flight)
        if self.total is None:
            self.total, self.began = asked.total, now
        if (length := now - self.began) < 1.0:
            return
        begun = asked.total - self.total if asked.total >= self.total else asked.total
        mean = sum(self.looks) / len(self.looks)
        self.seconds.append(Second(at_s=now, concurrency=mean, rps=begun / length))
        self.looks, self.total, self.began = [], asked.total, now


class EnvoyDemand:
    """Implements Demand over Envoy's admin interface."""

    def __init__(
        self, *, admin: Callable[[str], str], ready: Callable[[str, str], Sequence[Endpoint]],
        on_change: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.activator = Activator(ready, on_change)
        self._admin = admin
        self._meters: dict[Key, Meter] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="demand", daemon=True)

    def start(self) -> None:
        """Begin to look, and to hold."""
        self.activator.start()
        self._thread.start()

    def close(self) -> None:
        """End both."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        self.activator.close()

    def follow(self, counted: Collection[Key], held: Mapping[Key, float]) -> None:
        """Count these, hold those."""
        known = self._meters
        self._meters = {key: known.get(key) or Meter(began=time.time()) for key in counted}
        self.activator.hold(held)

    def seconds(self, namespace: str, name: str) -> Sequence[Second]:
        """What a revision was asked, oldest first."""
        meter = self._meters.get((namespace, name))
        return tuple(meter.seconds) if meter else ()

    def waiting(self) -> Mapping[Key, int]:
        """Requests that wait at the activator."""
        return self.activator.waiting()

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_S):
            if meters := self._meters:
                try:
                    asked = read(self._admin(_STATS))
                except UnavailableError:
                    continue  # no second is told; the autoscaler decides nothing then
                now = time.time()
                for key, meter in meters.items():
                    meter.look(asked.get(key, Asked()), now)


def read(text: str) -> dict[Key, Asked]:
    """Envoy's plain statistics, by revision; http and grpc are one."""
    found: dict[Key, Asked] = {}
    for match in _LINE.finditer(text):
        key = revision_of(match["cluster"])
        if key is None:
            continue
        asked = found.setdefault(key, Asked())
        if match["what"] == "total":
            asked.total += int(match["value"])
        else:
            asked.in_flight += int(match["value"])
    return found
