"""The servers of one template, one for each replica, and what they say together."""

from collections.abc import Sequence
from dataclasses import replace

from tidegate.sandbox.interfaces import Key, RevisionRuntime, RevisionSpec, RevisionStatus

STOPPED = RevisionStatus(phase="Stopped")


class Replicas:
    """Starts and stops servers so that there are as many as were asked for."""

    def __init__(self, runtime: RevisionRuntime) -> None:
        self._runtime = runtime
        self._counts: dict[Key, int] = {}

    def scale(self, spec: RevisionSpec, count: int) -> None:
        """As many servers of this template; the last ones go first."""
        key = (spec.namespace, spec.name)
        for replica in range(count):
            self._runtime.start(replace(spec, replica=replica) if replica else spec)
        self._stop(key, count)
        self._counts[key] = count

    def stop(self, key: Key) -> None:
        """All of them."""
        self._stop(key, 0)
        self._counts.pop(key, None)

    def seen(self, key: Key) -> tuple[RevisionStatus, ...]:
        """How each of them is; the loop polls it to notice a change."""
        return tuple(self._runtime.status(*key, n) for n in range(self._counts.get(key, 0)))

    def ready(self, key: Key) -> int:
        """How many can take requests."""
        return sum(one.phase == "Ready" for one in self.seen(key))

    def _stop(self, key: Key, left: int) -> None:
        for replica in reversed(range(left, self._counts.get(key, 0))):
            self._runtime.stop(*key, replica)


def together(seen: Sequence[RevisionStatus], *, was_ready: bool) -> RevisionStatus:
    """What Knative sees of a revision with these pods.

    All of its first pods must be ready for it to become Ready (pkg/reconciler/autoscaling/kpa/kpa.go);
    afterwards one that serves will do. What ails a pod counts only while none is available, and then it is
    the first pod's trouble (pkg/reconciler/revision/reconcile_resources.go).
    """
    if not seen:
        return STOPPED
    up = [one for one in seen if one.phase == "Ready"]
    if up and (was_ready or len(up) == len(seen)):
        return up[0]
    if up:
        late = next(one for one in seen if one.phase != "Ready")
        return replace(late, phase="Loading", reason="", exit_code=None)
    return seen[0]
