"""The pods of one ReplicaSet, and the Events about what ails them."""

from collections.abc import Callable

from tidegate.sandbox.api.kinds import PODS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import pods, replicaset, troubles
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.interfaces import RevisionStatus


class ReplicaPods:
    """Writes as many pods as there are replicas, all of them as the one server is."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._events = Events(store, clock, "kubelet")

    def write(self, item: Json, seen: RevisionStatus) -> None:
        """Make the pods of the ReplicaSet agree with it; a quota leaves none."""
        namespace, _ = address(item)
        count = 0 if seen.reason in troubles.NO_POD else item["spec"]["replicas"]
        mine = self._of(item)
        for pod in mine[count:]:
            self._store.delete(PODS, *address(pod))
        missing = range(count - len(mine))
        mine += [self._store.create(PODS, replicaset.pod(item), namespace) for _ in missing]
        self._tell(item, mine[:count], seen)  # first: a kubelet tells before it backs off
        for pod in mine[:count]:
            self._store.write_status(PODS, *address(pod), pods.status(seen, pod["spec"]))

    def _of(self, item: Json) -> list[Json]:
        namespace, uid = item["metadata"]["namespace"], item["metadata"]["uid"]
        return [
            pod
            for pod in self._store.items(PODS, namespace)
            if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences", []))
        ]

    def _tell(self, item: Json, mine: list[Json], seen: RevisionStatus) -> None:
        containers = item["spec"]["template"]["spec"]["containers"]
        image = str(containers[0].get("image", ""))
        for pod in mine:
            for told in troubles.pod_events(seen, image):
                self._events.tell(pod, told)
        for told in troubles.replica_set_events(seen):
            self._events.tell(item, told)
