"""Kubernetes' Deployments: a changed template is rolled out, its new pods ready before the old ones go.

Each replica is a server and a pod of its own. A rollout has two steps: the old pods less
`maxUnavailable` beside as many new ones as `maxSurge` allows, then, once those are ready, the new ones
alone; a real one goes on pod by pod. Requests go to one ReplicaSet at a time. Old ReplicaSets are not
kept for `kubectl rollout undo`. Deployments of anything but an InferenceService run nothing.
"""

from collections.abc import Callable

from tidegate.sandbox.api.kinds import DEPLOYMENTS, REPLICASETS, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import deployment_status, replicaset, troubles
from tidegate.sandbox.controllers.deployment_status import Pods
from tidegate.sandbox.controllers.objects import address, ensure
from tidegate.sandbox.controllers.replica_pods import Owner, ReplicaPods
from tidegate.sandbox.controllers.replicas import Replicas
from tidegate.sandbox.controllers.template import ISVC_LABEL
from tidegate.sandbox.interfaces import Key, RevisionRuntime, RevisionStatus


class DeploymentController:
    """Deployment -> ReplicaSets -> servers, pods, status."""

    def __init__(self, store: Store, runtime: RevisionRuntime, clock: Callable[[], float]) -> None:
        self._store, self._clock, self._replicas = store, clock, Replicas(runtime)
        self._since: dict[Key, float] = {}  # of each ReplicaSet's servers
        self._uids: dict[Key, str] = {}  # whose servers they are
        self._serving: dict[tuple[str, str], str] = {}  # (namespace, app) -> ReplicaSet
        self._pods = ReplicaPods(store, clock)

    def reconcile(self) -> None:
        """Every Deployment, once; no server is stopped before `retire`."""
        self._serving = {}
        for deployment in self._store.items(DEPLOYMENTS):
            if _is_of_inferenceservice(deployment):
                self._reconcile(deployment)

    def retire(self) -> None:
        """Stop the servers whose ReplicaSet is gone or wants none, now that no route needs them."""
        wanted = {
            address(item): item["metadata"]["uid"]
            for item in self._store.items(REPLICASETS)
            if item["spec"]["replicas"] > 0
        }
        for key in tuple(self._since):
            if wanted.get(key) != self._uids[key]:
                self._stop(key)

    def statuses(self) -> dict[Key, tuple[RevisionStatus, ...]]:
        """What the runtime says of all that runs; the loop polls it to notice a change."""
        return {key: self._replicas.seen(key) for key in tuple(self._since)}

    def serving(self, namespace: str, app: str) -> str:
        """The ReplicaSet that a Service with this selector leads to; empty without a Deployment."""
        return self._serving.get((namespace, app), "")

    def _reconcile(self, deployment: Json) -> None:
        newest = replicaset.wanted(deployment, 0).name
        olds = [s for s in self._sets(deployment) if s["metadata"]["name"] != newest]
        olds = self._kept(deployment, newest, olds)
        current = self._newest(deployment, has_old=bool(olds))
        sets = [self._run(deployment, item, newest) for item in (current, *olds)]
        key = (current["metadata"]["namespace"], newest)
        limit = deployment["spec"].get("progressDeadlineSeconds", 600)
        overdue = self._clock() - self._since.get(key, self._clock()) > limit
        self._point(deployment, sets)
        status = deployment_status.status(
            deployment, sets, overdue=overdue, stamp=timestamp(self._clock())
        )
        self._store.write_status(DEPLOYMENTS, *address(deployment), status)

    def _sets(self, deployment: Json) -> list[Json]:
        uid, namespace = deployment["metadata"]["uid"], deployment["metadata"]["namespace"]
        return [
            item
            for item in self._store.items(REPLICASETS, namespace)
            if any(owner["uid"] == uid for owner in item["metadata"].get("ownerReferences", []))
        ]

    def _kept(self, deployment: Json, newest: str, olds: list[Json]) -> list[Json]:
        """Old ReplicaSets that still serve; the others are deleted, and all once the new one is up."""
        namespace, count = deployment["metadata"]["namespace"], deployment["spec"]["replicas"]
        rest = count - deployment_status.room(deployment).unavailable
        is_over = rest <= 0 or self._are_ready((namespace, newest))
        kept = []
        for item in olds:
            if is_over or not self._replicas.ready(address(item)):
                self._store.delete(REPLICASETS, *address(item))
            else:
                kept.append(self._scaled(item, rest))
        return kept

    def _scaled(self, item: Json, count: int) -> Json:
        def change(old: Json) -> Json:
            return old | {"spec": old["spec"] | {"replicas": count}}

        return self._store.edit(REPLICASETS, *address(item), change)

    def _newest(self, deployment: Json, *, has_old: bool) -> Json:
        count, room = deployment["spec"]["replicas"], deployment_status.room(deployment)
        most = min(count, room.surge + room.unavailable) if has_old else count
        wanted = replicaset.wanted(deployment, most)
        if self._store.find(REPLICASETS, wanted.namespace, wanted.name) is None:
            self._count(deployment)
        return ensure(self._store, wanted)

    def _count(self, deployment: Json) -> None:
        """One more rollout, noted where `kubectl rollout history` looks for it."""

        def change(old: Json) -> Json:
            notes = old["metadata"].get("annotations") or {}
            number = str(int(notes.get(replicaset.ROLLOUT, "0")) + 1)
            notes = notes | {replicaset.ROLLOUT: number}
            return old | {"metadata": old["metadata"] | {"annotations": notes}}

        self._store.edit(DEPLOYMENTS, *address(deployment), change)

    def _run(self, deployment: Json, item: Json, newest: str) -> Pods:
        key, count = address(item), item["spec"]["replicas"]
        if count > 0:
            self._start(key, item, deployment["metadata"]["name"])
        seen = self._replicas.seen(key) if count > 0 else ()
        ready = sum(one.phase == "Ready" for one in seen)
        self._pods.write(_owner(item), seen)
        refused = [one.message for one in seen if one.reason in troubles.NO_POD]
        count = len(seen) - len(refused)
        counts = {"replicas": count, "readyReplicas": ready, "availableReplicas": ready}
        status = {"observedGeneration": item["metadata"]["generation"], "replicas": count}
        status |= {name: number for name, number in counts.items() if number}
        self._store.write_status(REPLICASETS, *key, status)
        return Pods(
            name=key[1], is_newest=key[1] == newest, replicas=count, ready=ready,
            refused=next(iter(refused), ""),
        )  # fmt: skip

    def _start(self, key: Key, item: Json, service: str) -> None:
        uid = item["metadata"]["uid"]
        if self._uids.get(key, uid) != uid:  # deleted and made again within one pass: new pods
            self._stop(key)
        self._since.setdefault(key, self._clock())
        self._uids[key] = uid
        self._replicas.scale(replicaset.server(item, service), item["spec"]["replicas"])

    def _stop(self, key: Key) -> None:
        self._since.pop(key, None)
        self._uids.pop(key, None)
        self._replicas.stop(key)

    def _are_ready(self, key: Key) -> bool:
        seen = self._replicas.seen(key)
        return bool(seen) and all(one.phase == "Ready" for one in seen)

    def _point(self, deployment: Json, sets: list[Pods]) -> None:
        """Requests go to the newest ReplicaSet that is ready; to the newest, in vain, if none is."""
        chosen = next((s for s in sets if s.ready), sets[0])
        meta = deployment["metadata"]
        app = deployment["spec"]["selector"]["matchLabels"].get("app", "")
        if chosen.replicas:
            self._serving[meta["namespace"], app] = chosen.name


def _owner(item: Json) -> Owner:
    meta = item["metadata"]
    return Owner(
        namespace=meta["namespace"], uid=meta["uid"], manifest=replicaset.pod(item), told=item
    )


def _is_of_inferenceservice(deployment: Json) -> bool:
    template = (deployment.get("spec") or {}).get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    return ISVC_LABEL in labels and "app" in labels
