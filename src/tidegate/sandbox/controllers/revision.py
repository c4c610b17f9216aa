"""Runs revisions: started while something refers to them, stopped a grace period after nothing does.

Each replica is a server and a pod of its own; how many there are is Knative's autoscaler's to say.
"""

from collections.abc import Callable, Set

from tidegate.sandbox.api.kinds import CONFIGURATIONS, REVISIONS, ROUTES, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions, pods, revision_status
from tidegate.sandbox.controllers.autoscaler import Autoscaler
from tidegate.sandbox.controllers.knative import RETENTION, duration_s, progress_deadline_s
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.controllers.replica_pods import Owner, ReplicaPods
from tidegate.sandbox.controllers.replicas import Replicas, together
from tidegate.sandbox.interfaces import Demand, Key, RevisionRuntime, RevisionStatus


class RevisionController:
    """Revision -> running servers, pods, conditions."""

    def __init__(
        self, store: Store, runtime: RevisionRuntime, clock: Callable[[], float], grace_s: float,
        demand: Demand | None = None,
    ) -> None:  # fmt: skip
        self._store, self._clock, self._grace_s = store, clock, grace_s
        self._replicas, self._pods = Replicas(runtime), ReplicaPods(store, clock)
        self._autoscaler = Autoscaler(demand, clock, grace_s)
        self._running: dict[Key, float] = {}  # since when
        self._uids: dict[
            Key, str
        ] = {}  # whose server it is; a revision may be deleted and made again
        self._idle_since: dict[Key, float] = {}

    def reconcile(self, routed: Set[Key]) -> None:
        """Every Revision, once; `routed` is what the ingress sends requests to right now."""
        revisions = {address(r): r for r in self._store.items(REVISIONS)}
        for key in tuple(self._running):
            if key not in revisions or revisions[key]["metadata"]["uid"] != self._uids[key]:
                self._stop(key)
        needed = routed | self._referenced()
        for key, revision in revisions.items():
            self._reconcile(key, revision, is_needed=key in needed)
        self._autoscaler.tell()

    def statuses(self) -> dict[Key, tuple[RevisionStatus, ...]]:
        """What the runtime says of all that runs; the loop polls it to notice a change."""
        return {key: self._replicas.seen(key) for key in tuple(self._running)}

    def serves(self, namespace: str, name: str) -> bool:
        """Can take requests now, or the activator can for it."""
        key = (namespace, name)
        return self._autoscaler.takes_requests(key) or self._replicas.ready(key) > 0

    def _reconcile(self, key: Key, revision: Json, *, is_needed: bool) -> None:
        before = revision.get("status") or {}
        if self._keeps_running(key, revision, is_needed) and not revision_status.has_expired(
            before
        ):
            self._start(key, revision)
        else:
            self._stop(key)
        servers = self._replicas.seen(key)
        active = bool(servers)
        seen = together(servers, was_ready=_was_ready(revision))
        overdue = active and self._clock() - self._running[key] > progress_deadline_s(revision)
        judged = revision_status.judge(before, seen, active=active, overdue=overdue)
        self._pods.write(_owner(revision), servers)
        status = {
            "observedGeneration": revision["metadata"]["generation"],
            "conditions": conditions.as_json(judged, before, timestamp(self._clock())),
            "actualReplicas": self._replicas.ready(key),
            "desiredReplicas": len(servers),
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
        self._uids[key] = revision["metadata"]["uid"]
        ready = self._replicas.ready(key)
        count = self._autoscaler.pods(revision, ready=ready, was_ready=_was_ready(revision))
        if not self._replicas.seen(key):  # from none: it has the whole deadline again
            self._running[key] = self._clock()
        self._replicas.scale(pods.spec(revision), count)

    def _stop(self, key: Key) -> None:
        if self._running.pop(key, None) is not None:
            self._replicas.stop(key)
            self._autoscaler.forget(key)

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


def _owner(revision: Json) -> Owner:
    meta = revision["metadata"]
    return Owner(
        namespace=meta["namespace"], uid=meta["uid"], manifest=pods.manifest(revision),
        told=_replica_set(revision),
    )  # fmt: skip


def _replica_set(revision: Json) -> Json:
    """The ReplicaSet that Events are about; nothing reads it, so it is no object here."""
    meta = {**revision["metadata"], "name": f"{revision['metadata']['name']}-deployment-0"}
    return {"kind": "ReplicaSet", "apiVersion": "apps/v1", "metadata": meta}


def _was_ready(revision: Json) -> bool:
    return conditions.find(revision.get("status") or {}, "Ready").is_true
