"""The HPA that KEDA makes of a ScaledObject. Pure (kedacore/keda controllers/keda/hpa.go)."""

from collections.abc import Sequence

from tidegate.core.quantity import milli
from tidegate.sandbox.api.kinds import HPAS, Json
from tidegate.sandbox.controllers.keda.rules import MAX_REPLICAS, Trigger
from tidegate.sandbox.controllers.objects import Wanted, address

BY = "scaledobject.keda.sh/name"  # how the metrics' adapter knows whose metric is asked for


def name(scaled_object: Json) -> str:
    """Its own, or `keda-hpa-<name>`."""
    return str(_config(scaled_object).get("name") or f"keda-hpa-{address(scaled_object)[1]}")


def wanted(scaled_object: Json, triggers: Sequence[Trigger]) -> Wanted:
    """One external metric for each trigger; never fewer than one pod, for none is KEDA's own to say."""
    spec = scaled_object["spec"]
    namespace, own = address(scaled_object)
    behavior = _config(scaled_object).get("behavior")
    made: Json = {
        "scaleTargetRef": {
            "apiVersion": "apps/v1", "kind": "Deployment", "name": spec["scaleTargetRef"]["name"],
        },
        "minReplicas": max(1, spec.get("minReplicaCount") or 0),
        "maxReplicas": spec.get("maxReplicaCount") or MAX_REPLICAS,
        "metrics": [_metric(one, own) for one in triggers],
    }  # fmt: skip
    labels = {"app.kubernetes.io/name": name(scaled_object), "app.kubernetes.io/part-of": own}
    labels |= {"app.kubernetes.io/managed-by": "keda-operator"}
    return Wanted(
        kind=HPAS, namespace=namespace, name=name(scaled_object), owner=scaled_object,
        spec=made | ({"behavior": behavior} if behavior else {}),
        labels=labels | (scaled_object["metadata"].get("labels") or {}),
    )  # fmt: skip


def _config(scaled_object: Json) -> Json:
    advanced = (scaled_object.get("spec") or {}).get("advanced") or {}
    found: Json = advanced.get("horizontalPodAutoscalerConfig") or {}
    return found


def _metric(trigger: Trigger, own: str) -> Json:
    field = "value" if trigger.type == "Value" else "averageValue"
    identity = {"name": trigger.metric, "selector": {"matchLabels": {BY: own}}}
    target = {"type": trigger.type, field: milli(trigger.threshold)}
    return {"type": "External", "external": {"metric": identity, "target": target}}
