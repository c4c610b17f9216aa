"""KEDA, as far as a release sees it: a ScaledObject is Ready once its Deployment is there.

kedacore/keda controllers/keda/scaledobject_controller.go, reconcileScaledObject. It asks no Prometheus and
scales nothing; that KEDA looks for a missing Deployment again only after its back-off is not emulated.
"""

from collections.abc import Callable

from tidegate.sandbox.api import metadata
from tidegate.sandbox.api.kinds import DEPLOYMENTS, SCALEDOBJECTS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers.objects import address

READY = "ScaledObject is defined correctly and is ready for scaling"
MISSING = "ScaledObject doesn't have correct scaleTargetRef specification"


class KedaController:
    """Writes the Ready condition."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def reconcile(self) -> None:
        """One pass over all ScaledObjects."""
        for item in self._store.items(SCALEDOBJECTS):
            status = item.get("status") or {}
            wanted = self._condition(item)
            held: Json = next(iter(status.get("conditions") or ()), {})
            if {key: held.get(key) for key in wanted} != wanted:
                stamped = wanted | {"lastTransitionTime": metadata.timestamp(self._clock())}
                whole = status | {"conditions": [stamped]}
                self._store.write_status(SCALEDOBJECTS, *address(item), whole)

    def _condition(self, item: Json) -> Json:
        namespace, _ = address(item)
        if self._store.find(DEPLOYMENTS, namespace, _target(item)):
            return {
                "type": "Ready", "status": "True", "reason": "ScaledObjectReady", "message": READY,
            }  # fmt: skip
        return {
            "type": "Ready", "status": "False", "reason": "ScaledObjectCheckFailed",
            "message": MISSING,
        }  # fmt: skip


def _target(item: Json) -> str:
    """The Deployment's name; nothing of an object that names none: the API here has no schema of it."""
    found = (item.get("spec") or {}).get("scaleTargetRef")
    return str(found.get("name", "")) if isinstance(found, dict) else ""
