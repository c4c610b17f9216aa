"""An InferenceService's status in Standard mode, from its Deployment and routes: KServe's rules. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.api.settings import STANDARD
from tidegate.sandbox.controllers import (
    canary,
    components,
    conditions,
    hosts,
    model_status,
    standard_ingress,
)
from tidegate.sandbox.controllers.canary import Canary, service_name
from tidegate.sandbox.controllers.components import CONDITIONS, PREDICTOR
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.standard_ingress import INGRESS

_CANARY = "CanaryPredictorReady"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one status is made of."""

    isvc: Json
    deployments: Mapping[str, Json]  # by component, in KServe's order; the stable predictor's first
    canaries: Sequence[Canary]
    pods: list[Json]  # of the stable predictor's Deployment
    routes: standard_ingress.Routes
    runtime: Json
    domain: str
    stamp: str


def ready_of(component: str, deployment: Json) -> Condition:
    """PredictorReady and its like from a Deployment's conditions (ST:360-440): False when they are not there
    yet.

    A rollout over available pods stays True, until its deadline passes. While it is not True, KServe
    touches no route of it: what is in force stays, whatever the spec says. It has the Deployment's words,
    none of the container's. `Ready` depends on the predictor's and on the routes (ST:295-298), which wait
    for all of them.
    """
    said = _said(deployment)
    return replace(
        said,
        type=CONDITIONS[component].ready,
        severity="" if component == PREDICTOR else "Info",
    )


def _said(deployment: Json) -> Condition:
    status = deployment.get("status") or {}
    available, progress = (conditions.find(status, n) for n in ("Available", "Progressing"))
    known = {c["type"] for c in status.get("conditions") or []}
    if (failure := conditions.find(status, "ReplicaFailure")).is_true:
        return replace(failure, status="False")
    if available.status == "False":
        return available
    if progress.status == "False" and progress.message:
        return progress
    if progress.is_true and progress.reason == "NewReplicaSetAvailable":
        return progress
    if available.is_true:
        return available
    return replace(progress, status="Unknown" if "Progressing" in known else "False")


def propagate(standing: Standing) -> Json:
    """The whole status. `observedGeneration` is the last component's Deployment's: KServe's own quirk, and a
    trap. What is said of a component that the spec has no more stays."""
    before = standing.isvc.get("status") or {}
    every = {one.type: one for one in _conditions(standing, before)}
    in_pods = model_status.from_pods(
        before.get("modelStatus") or {}, standing.pods, is_loaded=every["Ready"].is_true, has_failed=False
    )  # fmt: skip
    parts = {one: _component(before, standing, one, every) for one in standing.deployments}
    status: Json = {
        "deploymentMode": STANDARD,
        "components": (before.get("components") or {}) | parts,
        _scope(standing.runtime): standing.runtime["metadata"]["name"],
        "modelStatus": in_pods,
        "conditions": conditions.as_json(every.values(), before, standing.stamp),
    }
    last = list(standing.deployments.values())[-1]
    if generation := (last.get("status") or {}).get("observedGeneration"):
        status["observedGeneration"] = generation
    if standing.canaries:
        status["canaryStatuses"] = canary.statuses(standing.canaries)
    return status | _addresses(before, standing, is_up=every[INGRESS].is_true)


def _scope(runtime: Json) -> str:
    is_namespaced = "namespace" in runtime["metadata"]
    return "servingRuntimeName" if is_namespaced else "clusterServingRuntimeName"


def _component(
    before: Json, standing: Standing, component: str, every: Mapping[str, Condition]
) -> Json:
    """The predictor's URL has `predictor.name` in its host, which no HTTPRoute serves: another trap."""
    found: Json = (before.get("components") or {}).get(component) or {}
    if not every[CONDITIONS[component].ready].is_true:
        return found
    name = _service(standing.isvc, component)
    host = hosts.host(name, standing.isvc["metadata"]["namespace"], standing.domain)
    return {"url": f"http://{host}"}


def _addresses(before: Json, standing: Standing, *, is_up: bool) -> Json:
    """Written while the ingress is ready, else kept. The address is a transformer's, else it follows
    `predictor.name` (kube_ingress_reconciler.go:147-185)."""
    if not is_up:
        return {key: before[key] for key in ("url", "address") if key in before}
    meta = standing.isvc["metadata"]
    entry = _service(standing.isvc, components.front(standing.isvc))
    outside = f"http://{hosts.host(meta['name'], meta['namespace'], standing.domain)}"
    return {
        "url": outside,
        "address": {"url": f"http://{hosts.inside(entry, meta['namespace'])}"},
    }


def _service(isvc: Json, component: str) -> str:
    name = isvc["metadata"]["name"]
    if component == PREDICTOR:
        return service_name(name, isvc["spec"]["predictor"].get("name", ""))
    return components.service_name(name, component)


def _conditions(standing: Standing, before: Json) -> list[Condition]:
    ready = {name: ready_of(name, one) for name, one in standing.deployments.items()}
    stopped = Condition(type="Stopped", status="False", severity="Info")
    ingress = standard_ingress.ready(standing.isvc, standing.routes, ready)
    needed = [ready[PREDICTOR], ingress]
    return [
        *ready.values(), ingress, stopped, *_canary_ready(standing.canaries),
        *_gone(before, ready), conditions.all_of("Ready", needed),
    ]  # fmt: skip


def _gone(before: Json, ready: Mapping[str, Condition]) -> list[Condition]:
    """What was said of the components that the spec has no more."""
    told = {entry["type"] for entry in before.get("conditions") or []}
    names = [CONDITIONS[one].ready for one in components.ALL if one not in ready]
    return [conditions.find(before, name) for name in names if name in told]


def _canary_ready(canaries: Sequence[Canary]) -> list[Condition]:
    if not canaries:
        return []
    if all(entry.ready for entry in canaries):
        return [_info(_CANARY, "True", "AllCanariesReady")]
    return [_info(_CANARY, "False", "CanariesNotReady")]


def _info(name: str, state: conditions.State, reason: str) -> Condition:
    return Condition(type=name, status=state, reason=reason, severity="Info")


def stopped(isvc: Json, stamp: str) -> Json:
    """All forgotten but the mode, for the `stop` annotation; the canaries are still listed."""
    entries = isvc["spec"].get("canary") or []
    listed = [
        Canary(name=e["predictor"]["name"], percent=e["trafficPercent"], replicas=0, ready=False)
        for e in entries
    ]
    off = [
        _info("Stopped", "True", ""),
        *(_info(_CANARY, "False", "Stopped") for _ in listed[:1]),
        *(
            Condition(type=name, status="False", reason="Stopped")
            for name in (CONDITIONS[PREDICTOR].ready, INGRESS, "Ready")
        ),
        *(
            _info(CONDITIONS[one].ready, "False", "Stopped")
            for one in components.of(isvc)
            if one != PREDICTOR
        ),
    ]
    before = isvc.get("status") or {}
    status: Json = {"deploymentMode": STANDARD}
    status["conditions"] = conditions.as_json(off, before, stamp)
    return status | ({"canaryStatuses": canary.statuses(listed)} if listed else {})
