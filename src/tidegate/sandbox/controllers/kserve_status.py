"""An InferenceService's status from its Knative Service and pods: KServe's propagation rules. Pure."""

from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import conditions, hosts, model_status, targets, traffic
from tidegate.sandbox.controllers.conditions import Condition

MODE = "Knative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What one status is made of."""

    isvc: Json
    ksvc: Json
    pods: list[Json]  # of the latest created revision
    runtime: Json
    domain: str
    stamp: str


def rollout(status: Json) -> traffic.Rollout:
    """The bookkeeping of the predictor."""
    found = (status.get("components") or {}).get("predictor") or {}
    return traffic.Rollout(
        latest_created=found.get("latestCreatedRevision", ""),
        latest_ready=found.get("latestReadyRevision", ""),
        latest_rolledout=found.get("latestRolledoutRevision", ""),
        previous_rolledout=found.get("previousRolledoutRevision", ""),
        traffic=targets.from_json(found.get("traffic", [])),
    )


def observed(ksvc: Json) -> traffic.Observed:
    """What the ksvc says."""
    status = ksvc.get("status") or {}
    return traffic.Observed(
        latest_created=status.get("latestCreatedRevisionName", ""),
        latest_ready=status.get("latestReadyRevisionName", ""),
        traffic=targets.from_json(status.get("traffic", [])),
    )


def propagate(sources: Sources) -> Json:
    """The whole status. `observedGeneration` is the ksvc's: KServe's own quirk, and a trap."""
    before, ksvc = sources.isvc.get("status") or {}, sources.ksvc.get("status") or {}
    is_up = conditions.find(ksvc, "Ready").is_true
    status = {"components": {"predictor": _component(before, sources, is_up=is_up)}}
    status |= _addresses(before, sources, is_up=is_up)
    every = _conditions(ksvc, has_url="url" in status)
    rolled = observed(sources.ksvc)
    is_loaded = every[-1].is_true and rolled.latest_ready == rolled.latest_created
    has_failed = any(c["status"] == "False" for c in ksvc.get("conditions") or [])
    scope = "clusterServingRuntimeName"
    if sources.runtime["metadata"].get("namespace"):
        scope = "servingRuntimeName"
    return status | {
        "deploymentMode": MODE,
        "observedGeneration": ksvc.get("observedGeneration", 0),
        scope: sources.runtime["metadata"]["name"],
        "modelStatus": model_status.from_pods(
            before.get("modelStatus") or {},
            sources.pods,
            is_loaded=is_loaded,
            has_failed=has_failed,
        ),
        "conditions": conditions.as_json(every, before, sources.stamp),
    }


def _component(before: Json, sources: Sources, *, is_up: bool) -> Json:
    rolled = traffic.observe(rollout(before), observed(sources.ksvc))
    names = {
        "latestCreatedRevision": rolled.latest_created,
        "latestReadyRevision": rolled.latest_ready,
        "latestRolledoutRevision": rolled.latest_rolledout,
        "previousRolledoutRevision": rolled.previous_rolledout,
    }
    found: Json = {key: name for key, name in names.items() if name}
    ksvc = sources.ksvc.get("status") or {}
    if ksvc.get("traffic"):
        found["traffic"] = ksvc["traffic"]
    old = (before.get("components") or {}).get("predictor") or {}
    kept = ksvc if is_up else old
    return found | {key: kept[key] for key in ("url", "address") if key in kept}


def _addresses(before: Json, sources: Sources, *, is_up: bool) -> Json:
    """Known once the predictor was up, and never forgotten."""
    if "url" in before:
        return {"url": before["url"], "address": before["address"]}
    if not is_up:
        return {}
    meta = sources.isvc["metadata"]
    host = hosts.host(meta["name"], meta["namespace"], sources.domain)
    inside = f"http://{meta['name']}.{meta['namespace']}.svc.cluster.local"
    return {"url": f"http://{host}", "address": {"url": inside}}


def _conditions(ksvc: Json, *, has_url: bool) -> list[Condition]:
    ready, configured, routed = (
        conditions.find(ksvc, name) for name in ("Ready", "ConfigurationsReady", "RoutesReady")
    )
    predictor = _renamed(ready, "PredictorReady", "")
    ingress = Condition(type="IngressReady", status="True")
    if not has_url:
        reason = "Predictor ingress not created"
        ingress = Condition(type="IngressReady", status="False", reason=reason)
    return [
        predictor,
        ingress,
        _renamed(configured, "PredictorConfigurationReady", "Info"),
        _renamed(routed, "PredictorRouteReady", "Info"),
        _renamed(routed, "RoutesReady", "Info"),
        _latest(configured),
        Condition(type="Stopped", status="False", severity="Info"),
        conditions.all_of("Ready", [predictor, ingress]),
    ]


def _renamed(found: Condition, name: str, severity: str) -> Condition:
    return Condition(
        type=name, status=found.status, reason=found.reason, message=found.message,
        severity=severity,
    )  # fmt: skip


def _latest(configured: Condition) -> Condition:
    reason = "" if configured.is_true else "PredictorConfigurationReady not ready"
    return Condition(
        type="LatestDeploymentReady", status=configured.status, reason=reason, severity="Info"
    )


def refused(before: Json, reason: str, message: str, stamp: str) -> Json:
    """The old status with the predictor not ready: the reconciler could not do its work."""
    failed = Condition(type="PredictorReady", status="False", reason=reason, message=message)
    ready = Condition(type="Ready", status="False", reason=reason, message=message)
    names = [c["type"] for c in before.get("conditions") or []]
    others = [conditions.find(before, n) for n in names if n not in {failed.type, ready.type}]
    return before | {"conditions": conditions.as_json([failed, ready, *others], before, stamp)}


def stopped(stamp: str) -> Json:
    """All forgotten, as KServe does for the `stop` annotation."""
    off = [
        Condition(type="Stopped", status="True", severity="Info"),
        Condition(type="PredictorReady", status="False", reason="Stopped"),
        Condition(type="Ready", status="False", reason="Stopped"),
    ]
    return {"deploymentMode": MODE, "conditions": conditions.as_json(off, {}, stamp)}
