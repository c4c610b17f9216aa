"""An InferenceService's status in Standard mode, from its Deployment and routes: KServe's rules. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.api.settings import STANDARD
from tidegate.sandbox.controllers import canary, conditions, hosts, model_status
from tidegate.sandbox.controllers.canary import Canary, service_name
from tidegate.sandbox.controllers.conditions import Condition

_CANARY = "CanaryPredictorReady"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What one status is made of."""

    isvc: Json
    deployment: Json  # the stable one
    canaries: Sequence[Canary]
    pods: list[Json]  # of the stable Deployment
    routes: (
        Mapping[str, Json | None] | None
    )  # by the component's name; None without the Gateway API
    runtime: Json
    domain: str
    stamp: str


def predictor_ready(deployment: Json) -> Condition:
    """PredictorReady from a Deployment's conditions (ST:332-440): False when they are not there yet.

    A rollout over available pods stays True, until its deadline passes. While it is not True, KServe
    touches no route: what is in force stays, whatever the spec says.
    """
    status = deployment.get("status") or {}
    available, progress = (conditions.find(status, n) for n in ("Available", "Progressing"))
    known = {c["type"] for c in status.get("conditions") or []}
    if (failure := conditions.find(status, "ReplicaFailure")).is_true:
        return _as(failure, "False")
    if available.status == "False":
        return _as(available, "False")
    if progress.status == "False" and progress.message:
        return _as(progress, "False")
    if progress.is_true and progress.reason == "NewReplicaSetAvailable":
        return _as(progress, "True")
    if available.is_true:
        return _as(available, "True")
    return _as(progress, "Unknown" if "Progressing" in known else "False")


def propagate(standing: Standing) -> Json:
    """The whole status. `observedGeneration` is the stable Deployment's: KServe's own quirk, and a trap."""
    before = standing.isvc.get("status") or {}
    ready = predictor_ready(standing.deployment)
    every = _conditions(standing, ready)
    in_pods = model_status.from_pods(
        before.get("modelStatus") or {}, standing.pods, is_loaded=every[-1].is_true, has_failed=False
    )  # fmt: skip
    status: Json = {
        "deploymentMode": STANDARD,
        "components": {"predictor": _component(before, standing, is_ready=ready.is_true)},
        _scope(standing.runtime): standing.runtime["metadata"]["name"],
        "modelStatus": in_pods,
        "conditions": conditions.as_json(every, before, standing.stamp),
    }
    if generation := (standing.deployment.get("status") or {}).get("observedGeneration"):
        status["observedGeneration"] = generation
    if standing.canaries:
        status["canaryStatuses"] = canary.statuses(standing.canaries)
    return status | _addresses(before, standing, is_up=every[1].is_true)


def _scope(runtime: Json) -> str:
    is_namespaced = "namespace" in runtime["metadata"]
    return "servingRuntimeName" if is_namespaced else "clusterServingRuntimeName"


def _component(before: Json, standing: Standing, *, is_ready: bool) -> Json:
    """The URL has `predictor.name` in its host, which no HTTPRoute serves: another trap."""
    found: Json = (before.get("components") or {}).get("predictor") or {}
    if not is_ready:
        return found
    meta = standing.isvc["metadata"]
    return {"url": f"http://{hosts.host(_stable(standing), meta['namespace'], standing.domain)}"}


def _addresses(before: Json, standing: Standing, *, is_up: bool) -> Json:
    """Written while the ingress is ready, else kept. The address follows `predictor.name`."""
    if not is_up:
        return {key: before[key] for key in ("url", "address") if key in before}
    meta = standing.isvc["metadata"]
    inside = f"http://{_stable(standing)}.{meta['namespace']}.svc.cluster.local"
    outside = f"http://{hosts.host(meta['name'], meta['namespace'], standing.domain)}"
    return {"url": outside, "address": {"url": inside}}


def _stable(standing: Standing) -> str:
    isvc = standing.isvc
    return service_name(isvc["metadata"]["name"], isvc["spec"]["predictor"].get("name", ""))


def _conditions(standing: Standing, ready: Condition) -> list[Condition]:
    ingress = _ingress_ready(standing.routes, ready)
    stopped = Condition(type="Stopped", status="False", severity="Info")
    parts = [ready, ingress]
    return [*parts, stopped, *_canary_ready(standing.canaries), conditions.all_of("Ready", parts)]


def _canary_ready(canaries: Sequence[Canary]) -> list[Condition]:
    if not canaries:
        return []
    if all(entry.ready for entry in canaries):
        return [_info(_CANARY, "True", "AllCanariesReady")]
    return [_info(_CANARY, "False", "CanariesNotReady")]


def _info(name: str, state: conditions.State, reason: str) -> Condition:
    return Condition(type=name, status=state, reason=reason, severity="Info")


def _ingress_ready(routes: Mapping[str, Json | None] | None, ready: Condition) -> Condition:
    """True when every HTTPRoute is accepted; routes of an earlier day count (HR:1015-1090)."""
    name = "IngressReady"
    if routes is None:
        reason = "" if ready.is_true else "Predictor ingress not created"
        return Condition(type=name, status="True" if ready.is_true else "False", reason=reason)
    for component, route in routes.items():
        if route is None:
            return Condition(
                type=name, status="False", reason=f"{component} Deployment NotReady",
                message=f"{component} HTTPRoute not created",
            )  # fmt: skip
        if problem := _route_problem(route):
            reason, message = problem
            return Condition(
                type=name, status="False", reason=reason, message=f"{component} {message}"
            )
    return Condition(type=name, status="True")


def _route_problem(route: Json) -> tuple[str, str] | None:
    parents = (route.get("status") or {}).get("parents") or []
    if not parents:
        return "ParentStatusNotAvailable", "HttpRouteNotReady"
    said = [entry for parent in parents for entry in parent.get("conditions") or []]
    return next((_words(entry) for entry in said if entry["status"] == "False"), None)


def _words(entry: Json) -> tuple[str, str]:
    return str(entry.get("reason", "")), str(entry.get("message", ""))


def _as(found: Condition, state: conditions.State) -> Condition:
    return Condition(
        type="PredictorReady", status=state, reason=found.reason, message=found.message
    )


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
            for name in ("PredictorReady", "IngressReady", "Ready")
        ),
    ]
    before = isvc.get("status") or {}
    status: Json = {"deploymentMode": STANDARD}
    status["conditions"] = conditions.as_json(off, before, stamp)
    return status | ({"canaryStatuses": canary.statuses(listed)} if listed else {})
