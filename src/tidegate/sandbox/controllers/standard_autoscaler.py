"""The HPA that KServe writes for each Deployment of class `hpa`. Pure, but for the writing.

KServe's hpa_reconciler.go: `createHPA`, `shouldCreateHPA`, `shouldDeleteHPA`. It outlives its Deployment: of
a canary that is gone KServe removes Deployment and Service (PRED:1000-1035).
"""

from dataclasses import replace

from tidegate.sandbox.api.kinds import HPAS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers.canary import AUTOSCALER
from tidegate.sandbox.controllers.hpa.spec import CPU_PERCENT
from tidegate.sandbox.controllers.objects import Wanted, address, ensure

HPA = "hpa"


def wanted(deployment: Wanted, extension: Json) -> Wanted:
    """The HPA of this Deployment; `extension` has the component's scaling fields.

    `minReplicas` below 1 is 1, and `maxReplicas` below that is `minReplicas`. `behavior` is always empty:
    KServe hands on none to an HPA.
    """
    low = max(1, extension.get("minReplicas") or 1)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name}
    bounds = {"minReplicas": low, "maxReplicas": max(low, extension.get("maxReplicas") or 0)}
    spec = {"scaleTargetRef": target, **bounds, "metrics": _metrics(extension), "behavior": {}}
    return replace(deployment, kind=HPAS, spec=spec)


def reconcile(store: Store, of: Wanted, extension: Json) -> None:
    """Write it for class `hpa`, delete it for the others; somebody else's of the name is left alone."""
    found = store.find(HPAS, of.namespace, of.name)
    owners = (found or of.owner)["metadata"].get("ownerReferences") or []
    is_foreign = found and of.owner["metadata"]["uid"] not in {one["uid"] for one in owners}
    if is_foreign:
        return
    if of.annotations.get(AUTOSCALER, HPA) == HPA:
        ensure(store, wanted(of, extension))
    elif found:
        store.delete(HPAS, *address(found))


def _metrics(extension: Json) -> list[Json]:
    """getHPAMetrics: CPU at 80 % where nothing is said; memory without a target is no metric."""
    listed = (extension.get("autoScaling") or {}).get("metrics")
    if listed is not None:
        return [_of(one["resource"]) for one in listed if one.get("resource")]
    name, percent = extension.get("scaleMetric") or "cpu", extension.get("scaleTarget")
    if name == "cpu" or (name == "memory" and percent is not None):
        return [_utilization(name, percent or CPU_PERCENT)]
    return []


def _of(resource: Json) -> Json:
    aim = resource.get("target") or {}
    if aim.get("type") == "AverageValue":
        target = {"type": "AverageValue", "averageValue": aim.get("averageValue")}
        return {"type": "Resource", "resource": {"name": resource["name"], "target": target}}
    return _utilization(resource["name"], aim.get("averageUtilization") or CPU_PERCENT)


def _utilization(name: str, percent: int) -> Json:
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": name, "target": target}}
