"""Runs revisions: started while something refers to them, stopped a grace period after nothing does.

`minReplicas` above 1 is emulated by as many pod objects over ONE server: `actualReplicas` and the
pods say what a cluster would say, so that clients which wait for replicas can be tried; the capacity
of one machine is what it is. Scaling to zero for lack of requests is not emulated, only for lack of
a reference: `minReplicas: 0` runs one server.
"""

from collections.abc import Callable, Set

from tidegate.sandbox.api.kinds import CONFIGURATIONS, PODS, REVISIONS, ROUTES, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions, pods, revision_status, troubles
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.knative import RETENTION, duration_s, progress_deadline_s
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.controllers.template import MIN_SCALE
from tidegate.sandbox.interfaces import RevisionRuntime, RevisionStatus

Key = tuple[str, str]  # (namespace, revision)


class RevisionController:
    """Revision -> a running server, pods, conditions."""

    def __init__(
        self, store: Store, runtime: RevisionRuntime, clock: Callable[[], float], grace_s: float
    ) -> None:
        self._store, self._runtime, self._clock, self._grace_s = store, runtime, clock, grace_s
        self._running: dict[Key, float] = {}  # since when
        self._uids: dict[
            Key, str
        ] = {}  # whose server it is; a revision may be deleted and made again
        self._idle_since: dict[Key, float] = {}
        self._events = Events(store, clock, "kubelet")

    def reconcile(self, routed: Set[Key]) -> None:
        """Every Revision, once; `routed` is what the ingress sends requests to right now."""
        revisions = {address(r): r for r in self._store.items(REVISIONS)}
        for key in tuple(self._running):
            if key not in revisions or revisions[key]["metadata"]["uid"] != self._uids[key]:
                self._stop(key)
        needed = routed | self._referenced()
        for key, revision in revisions.items():
            self._reconcile(key, revision, is_needed=key in needed)

    def statuses(self) -> dict[Key, RevisionStatus]:
        """What the runtime says of all that runs; the loop polls it to notice a change."""
        return {key: self._runtime.status(*key) for key in tuple(self._running)}

    def serves(self, namespace: str, name: str) -> bool:
        """Can take requests now."""
        key = (namespace, name)
        return key in self._running and self._runtime.status(*key).phase == "Ready"

    def _reconcile(self, key: Key, revision: Json, *, is_needed: bool) -> None:
        before = revision.get("status") or {}
        if self._keeps_running(key, revision, is_needed) and not revision_status.has_expired(
            before
        ):
            self._start(key, revision)
        else:
            self._stop(key)
        active = key in self._running
        seen = self._runtime.status(*key) if active else RevisionStatus(phase="Stopped")
        overdue = active and self._clock() - self._running[key] > progress_deadline_s(revision)
        judged = revision_status.judge(before, seen, active=active, overdue=overdue)
        self._write_pods(key, revision, seen, active=active)
        replicas = _replicas(revision) if seen.phase == "Ready" else 0
        status = {
            "observedGeneration": revision["metadata"]["generation"],
            "conditions": conditions.as_json(judged, before, timestamp(self._clock())),
            "actualReplicas": replicas,
            "desiredReplicas": _replicas(revision) if active else 0,
        }
        self._store.write_status(REVISIONS, *key, status)

    def _keeps_running(self, key: Key, revision: Json, is_needed: bool) -> bool:
        if is_needed:
            self._idle_since.pop(key, None)
            return True
        since = self._idle_since.setdefault(key, self._clock())
        grace = max(self._grace_s, duration_s(revision, RETENTION))
        return key in self._running and self._clock() - since < grace

    def _start(self, key: Key, revision: Json) -> None:
        self._running.setdefault(key, self._clock())
        self._uids[key] = revision["metadata"]["uid"]
        self._runtime.start(pods.spec(revision))

    def _stop(self, key: Key) -> None:
        if self._running.pop(key, None) is not None:
            self._runtime.stop(*key)

    def _referenced(self) -> set[Key]:
        """What Knative's labeler finds: all targets of Routes, and each latest created revision."""
        found: set[Key] = set()
        for route in self._store.items(ROUTES):
            targets = [*route["spec"]["traffic"], *(route.get("status") or {}).get("traffic", [])]
            names = {target.get("revisionName", "") for target in targets}
            found |= {(route["metadata"]["namespace"], name) for name in names - {""}}
        for configuration in self._store.items(CONFIGURATIONS):
            newest = (configuration.get("status") or {}).get("latestCreatedRevisionName", "")
            found.add((configuration["metadata"]["namespace"], newest))
        return found

    def _write_pods(self, key: Key, revision: Json, seen: RevisionStatus, *, active: bool) -> None:
        namespace, name = key
        mine = [
            pod
            for pod in self._store.items(PODS, namespace)
            if pod["metadata"].get("labels", {}).get(pods.REVISION) == name
        ]
        wanted = _replicas(revision) if active and seen.reason not in troubles.NO_POD else 0
        for pod in mine[wanted:]:
            self._store.delete(PODS, *address(pod))
        missing = range(wanted - len(mine))
        mine += [self._store.create(PODS, pods.manifest(revision), namespace) for _ in missing]
        if active:  # before the statuses: a kubelet tells of a failed pull before it backs off
            self._tell(revision, mine[:wanted], seen)
        for pod in mine[:wanted]:
            self._store.write_status(PODS, *address(pod), pods.status(seen, pod["spec"]))

    def _tell(self, revision: Json, mine: list[Json], seen: RevisionStatus) -> None:
        image = str(revision["spec"]["containers"][0].get("image", ""))
        for pod in mine:
            for told in troubles.pod_events(seen, image):
                self._events.tell(pod, told)
        for told in troubles.replica_set_events(seen):
            self._events.tell(_replica_set(revision), told)


def _replica_set(revision: Json) -> Json:
    """The ReplicaSet that Events are about; nothing reads it, so it is no object here."""
    meta = {**revision["metadata"], "name": f"{revision['metadata']['name']}-deployment-0"}
    return {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": meta}


def _replicas(revision: Json) -> int:
    return max(1, int(revision["metadata"].get("annotations", {}).get(MIN_SCALE, "1")))
