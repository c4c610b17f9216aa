"""Kubernetes Events, said once per cause: a level-triggered reconciler meets each problem often."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import EVENTS, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an Event says."""

    reason: str
    message: str
    type: str = "Warning"


class Events:
    """Writes Events about objects."""

    def __init__(self, store: Store, clock: Callable[[], float], component: str) -> None:
        self._store, self._clock, self._component = store, clock, component

    def warn(self, item: Json, reason: str, message: str) -> None:
        """One Warning per generation of the object and message."""
        self.tell(item, Told(reason=reason, message=message))

    def tell(self, item: Json, told: Told) -> None:
        """One Event per generation of the object and message."""
        meta = item["metadata"]
        cause = f"{meta['uid']}{meta['generation']}{told.reason}{told.message}"
        digest = hashlib.sha256(cause.encode()).hexdigest()[:16]
        name, namespace = f"{meta['name']}.{digest}", meta["namespace"]
        if self._store.find(EVENTS, namespace, name):
            return
        now = timestamp(self._clock())
        involved = {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion")}
        involved |= {"kind": item["kind"], "apiVersion": item["apiVersion"]}
        event = {
            "metadata": {"name": name}, "involvedObject": involved, "type": told.type,
            "reason": told.reason, "message": told.message, "count": 1, "firstTimestamp": now,
            "lastTimestamp": now, "source": {"component": self._component},
            "reportingComponent": self._component, "reportingInstance": "sandbox",
        }  # fmt: skip
        self._store.create(EVENTS, event, namespace)
