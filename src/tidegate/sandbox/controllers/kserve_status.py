"""An InferenceService's status from its Knative Services and pods: KServe's propagation rules. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import (
    components,
    conditions,
    hosts,
    model_status,
    targets,
    traffic,
)
from tidegate.sandbox.controllers.components import CONDITIONS, PREDICTOR
from tidegate.sandbox.controllers.conditions import Condition

MODE = "Knative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What one status is made of."""

    isvc: Json
    ksvcs: Mapping[str, Json]  # by component, in KServe's order; fewer when a later one was refused
    pods: list[Json]  # of the predictor's latest created revision
    runtime: Json
    domain: str
    stamp: str


def rollout(status: Json, component: str = PREDICTOR) -> traffic.Rollout:
    """The bookkeeping of a component."""
    found = (status.get("components") or {}).get(component) or {}
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
    """The whole status. `observedGeneration` is the last ksvc's: KServe's own quirk, and a trap.

    What is said of a component that the spec has no more stays, and so does its Knative Service.
    """
    before = sources.isvc.get("status") or {}
    last = list(sources.ksvcs.values())[-1].get("status") or {}
    parts = {name: _component(before, name, ksvc) for name, ksvc in sources.ksvcs.items()}
    status: Json = {"components": (before.get("components") or {}) | parts}
    status |= _addresses(before, status["components"], sources)
    every = _conditions(before, sources, has_url="url" in _front(status["components"], sources))
    return status | {
        "deploymentMode": MODE,
        "observedGeneration": last.get("observedGeneration", 0),
        _scope(sources.runtime): sources.runtime["metadata"]["name"],
        "modelStatus": _model(before, sources, every),
        "conditions": conditions.as_json(every, before, sources.stamp),
    }


def is_whole(status: Json, ksvcs: Iterable[str]) -> bool:
    """All of these components are ready."""
    return all(conditions.find(status, CONDITIONS[name].ready).is_true for name in ksvcs)


def _scope(runtime: Json) -> str:
    is_own = runtime["metadata"].get("namespace")
    return "servingRuntimeName" if is_own else "clusterServingRuntimeName"


def _model(before: Json, sources: Sources, every: list[Condition]) -> Json:
    """Of the predictor alone."""
    ksvc = sources.ksvcs[PREDICTOR]
    rolled, ready = observed(ksvc), next(c for c in every if c.type == "Ready")
    told = (ksvc.get("status") or {}).get("conditions") or []
    return model_status.from_pods(
        before.get("modelStatus") or {},
        sources.pods,
        is_loaded=ready.is_true and rolled.latest_ready == rolled.latest_created,
        has_failed=any(c["status"] == "False" for c in told),
    )


def _component(before: Json, name: str, ksvc: Json) -> Json:
    rolled = traffic.observe(rollout(before, name), observed(ksvc))
    names = {
        "latestCreatedRevision": rolled.latest_created,
        "latestReadyRevision": rolled.latest_ready,
        "latestRolledoutRevision": rolled.latest_rolledout,
        "previousRolledoutRevision": rolled.previous_rolledout,
    }
    found: Json = {key: value for key, value in names.items() if value}
    told = ksvc.get("status") or {}
    if told.get("traffic"):
        found["traffic"] = told["traffic"]
    old = (before.get("components") or {}).get(name) or {}
    kept = told if conditions.find(told, "Ready").is_true else old
    return found | {key: kept[key] for key in ("url", "address") if key in kept}


def _front(parts: Json, sources: Sources) -> Json:
    found: Json = parts.get(components.front(sources.isvc)) or {}
    return found


def _addresses(before: Json, parts: Json, sources: Sources) -> Json:
    """Known once the transformer was up, or without one the predictor, and never forgotten (ING:110-130)."""
    if "url" not in _front(parts, sources):
        return {key: before[key] for key in ("url", "address") if key in before}
    meta = sources.isvc["metadata"]
    host = hosts.host(meta["name"], meta["namespace"], sources.domain)
    inside = hosts.inside(meta["name"], meta["namespace"])
    return {"url": f"http://{host}", "address": {"url": f"http://{inside}"}}


def _conditions(before: Json, sources: Sources, *, has_url: bool) -> list[Condition]:
    found = [one for name, ksvc in sources.ksvcs.items() for one in _of_component(name, ksvc)]
    if tuple(sources.ksvcs) == components.of(sources.isvc):
        found += _across(found, sources.ksvcs)
        found.append(_ingress(found, sources.ksvcs, has_url=has_url))
    found.append(Condition(type="Stopped", status="False", severity="Info"))
    made = {one.type for one in found} | {"Ready"}
    names = [entry["type"] for entry in before.get("conditions") or []]
    found += [conditions.find(before, name) for name in names if name not in made]
    parts = {one.type: one for one in found}
    needed = [parts.get(n) or Condition(type=n, status="Unknown") for n in _DEPENDENTS]
    return [*found, conditions.all_of("Ready", needed)]


_DEPENDENTS = ("PredictorReady", "IngressReady")  # ST:295-298: the others are for information


def _of_component(name: str, ksvc: Json) -> list[Condition]:
    told, words = ksvc.get("status") or {}, CONDITIONS[name]
    renamed = (
        (words.ready, "Ready"), (words.configured, "ConfigurationsReady"), (words.routed, "RoutesReady")
    )  # fmt: skip
    return [
        _renamed(conditions.find(told, theirs), ours, "" if ours in _DEPENDENTS else "Info")
        for ours, theirs in renamed
    ]


def _across(found: Iterable[Condition], ksvcs: Iterable[str]) -> list[Condition]:
    """RoutesReady and LatestDeploymentReady: those of all components (ST: PropagateCrossComponentStatus)."""
    by_type = {one.type: one for one in found}
    routes = [by_type[CONDITIONS[name].routed] for name in ksvcs]
    routed = _renamed(conditions.all_of("RoutesReady", routes), "RoutesReady", "Info")
    latest = Condition(type="LatestDeploymentReady", status="True", severity="Info")
    for name in ksvcs:  # the last of them that is not is the one that is named
        one = by_type[CONDITIONS[name].configured]
        if not one.is_true:
            latest = _renamed(one, "LatestDeploymentReady", "Info", f"{one.type} not ready")
    return [routed, latest]


def _ingress(found: Iterable[Condition], ksvcs: Iterable[str], *, has_url: bool) -> Condition:
    """True as soon as there is a URL, though a component that is not ready keeps its routes from being
    written (ING:103-123, 430-500)."""
    by_type = {one.type: one for one in found}
    for name in () if has_url else ksvcs:
        ready = by_type[CONDITIONS[name].ready]
        if not ready.is_true:
            reason = f"{name.capitalize()} ingress not created"
            return Condition(type="IngressReady", status=ready.status, reason=reason)
    return Condition(type="IngressReady", status="True")


def _renamed(found: Condition, name: str, severity: str, reason: str = "") -> Condition:
    return Condition(
        type=name, status=found.status, reason=reason or found.reason,
        message="" if reason else found.message, severity=severity,
    )  # fmt: skip


def refused(
    before: Json, reason: str, message: str, stamp: str, component: str = PREDICTOR
) -> Json:
    """The old status with a component not ready: the reconciler could not do its work."""
    name = CONDITIONS[component].ready
    severity = "" if component == PREDICTOR else "Info"
    failed = Condition(type=name, status="False", reason=reason, message=message, severity=severity)
    made = [failed]
    if component == PREDICTOR:
        made.append(Condition(type="Ready", status="False", reason=reason, message=message))
    names = [c["type"] for c in before.get("conditions") or []]
    others = [conditions.find(before, n) for n in names if n not in {one.type for one in made}]
    return before | {"conditions": conditions.as_json([*made, *others], before, stamp)}


def stopped(parts: Iterable[str], stamp: str) -> Json:
    """All forgotten, as KServe does for the `stop` annotation."""
    off = [Condition(type="Stopped", status="True", severity="Info")]
    for name in [*(CONDITIONS[one].ready for one in parts), "Ready"]:
        severity = "" if name in {*_DEPENDENTS, "Ready"} else "Info"
        off.append(Condition(type=name, status="False", reason="Stopped", severity=severity))
    return {"deploymentMode": MODE, "conditions": conditions.as_json(off, {}, stamp)}
