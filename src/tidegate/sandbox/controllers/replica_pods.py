"""The Pods of one template, one for each of its servers, and the Events about what ails them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegate.sandbox.api import metadata
from tidegate.sandbox.api.kinds import PODS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import pods, troubles
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.interfaces import RevisionStatus

_NUMBERED = re.compile(r"-r(\d+)-[^-]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose pods they are."""

    namespace: str
    uid: str
    manifest: Json  # of one pod, without its status
    told: Json  # the ReplicaSet that Events are about


class ReplicaPods:
    """Writes a Pod for every server."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._events = Events(store, clock, "kubelet")

    def write(self, owner: Owner, seen: Sequence[RevisionStatus]) -> None:
        """Make the pods agree with what is seen of each server; a quota leaves none."""
        wanted = {n: one for n, one in enumerate(seen) if one.reason not in troubles.NO_POD}
        mine = self._of(owner)
        for number in mine.keys() - wanted.keys():
            self._store.delete(PODS, *address(mine.pop(number)))
        for number in sorted(wanted.keys() - mine.keys()):
            made = _numbered(owner.manifest, number)
            mine[number] = self._store.create(PODS, made, owner.namespace)
        for number, one in wanted.items():  # first: a kubelet tells before it backs off
            self._tell(mine[number], one)
        for one in dict.fromkeys(seen):
            for told in troubles.replica_set_events(one):
                self._events.tell(owner.told, told)
        for number, one in wanted.items():
            pod = mine[number]
            status = pods.status(one, pod["spec"])
            stamped = _stamped(pod, status, metadata.timestamp(self._clock()))
            self._store.write_status(PODS, *address(pod), stamped)

    def _of(self, owner: Owner) -> dict[int, Json]:
        return {
            replica_of(pod["metadata"]["name"]): pod
            for pod in self._store.items(PODS, owner.namespace)
            if any(o["uid"] == owner.uid for o in pod["metadata"].get("ownerReferences", []))
        }

    def _tell(self, pod: Json, seen: RevisionStatus) -> None:
        image = str(pod["spec"]["containers"][0].get("image", ""))
        for told in troubles.pod_events(seen, image):
            self._events.tell(pod, told)


def replica_of(pod: str) -> int:
    """Which server a pod's name stands for: `...-r1-x7k2p` for the second, the first has no number."""
    found = _NUMBERED.search(pod)
    return int(found[1]) if found else 0


def _stamped(pod: Json, status: Json, now: str) -> Json:
    """Since when it runs, and since when it is ready or not: what an HPA tells a start by."""
    before = pod.get("status") or {}
    held = {entry["type"]: entry for entry in before.get("conditions") or ()}
    every = [
        entry | _changed(entry, held.get(entry["type"]), now) for entry in status["conditions"]
    ]
    started = {"startTime": before.get("startTime", now)} if "podIP" in status else {}
    return status | {"conditions": every} | started


def _changed(entry: Json, old: Json | None, now: str) -> Json:
    is_kept = old is not None and old["status"] == entry["status"]
    return {"lastTransitionTime": old["lastTransitionTime"] if is_kept and old else now}


def _numbered(manifest: Json, number: int) -> Json:
    """The end of the name is generated, as a ReplicaSet would."""
    if not number:
        return manifest
    meta = manifest["metadata"]
    return manifest | {"metadata": meta | {"generateName": f"{meta['generateName']}r{number}-"}}
