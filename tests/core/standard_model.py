"""A model of KServe in Standard mode, one controller's turn at a time.

Each method is one reconcile of one controller; a test calls them in any order, which is how delays and
races come about. The rules are those of KServe's predictor and httproute reconcilers: canaries first, then
orphaned Deployments are deleted, then the stable predictor, and the routes last and only while that is ready.
"""

import copy
import math
from dataclasses import dataclass, field
from typing import Any

from tidegate.core.observation import SOURCE_URI, Observation
from tidegate.core.standard_readiness import ROLLOUT, observe_standard

Json = dict[str, Any]
NAME = "m"
ROUTES = (NAME, f"{NAME}-predictor")
SCALING = ("name", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget")


@dataclass
class Deployment:
    """Its template, its pods, and what its own controller last said of it."""

    template: Json
    replicas: int
    rollout: int = 1
    generation: int = 1
    observed: int = 0
    pods: list[bool | None] = field(default_factory=list)  # of this template: up, down, undecided
    said: Json = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return str(self.template["model"]["storageUri"])

    @property
    def available(self) -> int:
        return sum(pod is True for pod in self.pods)


@dataclass
class Cluster:
    """The InferenceService `m` and what came of it."""

    spec: Json = field(default_factory=lambda: {"predictor": {}})
    version: int = 1
    statuses: list[Json] = field(default_factory=list)
    stable_ready: bool = False
    deployments: dict[str, Deployment] = field(default_factory=dict)
    routes: dict[str, Json] = field(default_factory=dict)  # as KServe wrote them
    programmed: dict[str, dict[str, int]] = field(default_factory=dict)  # as the gateway serves
    loads: dict[str, bool] = field(default_factory=dict)  # by URI: what its pods will do
    lost: list[str] = field(default_factory=list)  # Deployments that vanished under their share

    # -- what a client does

    def merge(self, patch: Json) -> None:
        self.version += 1
        _merge(self.spec, patch["spec"])

    # -- the controllers' turns

    def kserve(self) -> None:
        self.kserve_objects()
        self.kserve_routes()

    def kserve_objects(self) -> None:
        """As far as a reconcile comes that fails at the routes; the status is written all the same."""
        entries = self.spec.get("canary") or []
        stable = self.spec["predictor"]
        for entry in entries:
            self._ensure(_overlaid(stable, entry["predictor"]), _count(stable, entry))
        self.statuses = [self._status(entry) for entry in entries]
        names = {_deployment(p) for p in (stable, *(e["predictor"] for e in entries))}
        for name in set(self.deployments) - names:
            del self.deployments[name]
            self.lost += [name for table in self.programmed.values() if table.get(name)]
        ready = {one["name"] for one in self.statuses if one["ready"]}
        taken = sum(_count(stable, e) for e in entries if e["predictor"]["name"] in ready)
        floor = stable.get("minReplicas", 1)
        self._ensure(stable, max(floor - taken, 1) if taken else floor)
        self.stable_ready = bool(self.deployments[_deployment(stable)].said.get("available"))

    def kserve_routes(self) -> None:
        if not self.stable_ready:
            return
        stable, ready = self.spec["predictor"], {s["name"] for s in self.statuses if s["ready"]}
        shares = [
            (_deployment(e["predictor"]), e["trafficPercent"])
            for e in self.spec.get("canary") or []
            if e["predictor"]["name"] in ready
        ]
        left = 100 - sum(percent for _, percent in shares)
        refs = [{"name": name, "weight": w} for name, w in [(_deployment(stable), left), *shares]]
        for name in ROUTES:
            held = self.routes.setdefault(name, {"refs": [], "generation": 0, "taken": 0})
            if held["refs"] != refs:
                held |= {"refs": copy.deepcopy(refs), "generation": held["generation"] + 1}

    def deployer(self) -> None:
        """The Deployment controller: pods by the template, and a status of this generation."""
        for one in self.deployments.values():
            one.pods = (one.pods + [None] * one.replicas)[: one.replicas]
            one.observed = one.generation
            one.said = {"available": one.available, "pods": len(one.pods)}

    def start_pods(self) -> None:
        for one in self.deployments.values():
            if one.uri in self.loads:
                one.pods = [self.loads[one.uri] if pod is None else pod for pod in one.pods]
            one.said = {"available": one.available, "pods": len(one.pods)}

    def gateway(self) -> None:
        for name, held in self.routes.items():
            self.programmed[name] = {ref["name"]: ref["weight"] for ref in held["refs"]}
            held["taken"] = held["generation"]

    def settle(self, turns: int = 4) -> None:
        for _ in range(turns):
            for turn in (self.kserve, self.deployer, self.start_pods, self.gateway):
                turn()
        self.kserve()

    # -- what is so, and what is seen

    @property
    def production(self) -> dict[str, int]:
        """The most that any host gives."""
        shares: dict[str, int] = {}
        for table in self.programmed.values():
            for name, percent in table.items():
                shares[name] = max(shares.get(name, 0), percent)
        return {name: percent for name, percent in shares.items() if percent}

    def seen(self) -> Observation:
        isvc = {
            "metadata": {
                "name": NAME, "namespace": "default", "uid": "u", "resourceVersion": str(self.version)
            },
            "spec": copy.deepcopy(self.spec),
            "status": {
                "url": "http://m.example.com",
                "deploymentMode": "Standard",
                "canaryStatuses": copy.deepcopy(self.statuses),
                "conditions": self._conditions(),
            },
        }  # fmt: skip
        deployments = [_seen(name, one) for name, one in self.deployments.items()]
        return observe_standard(isvc, deployments, [_route(n, r) for n, r in self.routes.items()])

    def _conditions(self) -> list[Json]:
        said = {"Ready": self.stable_ready, "PredictorReady": self.stable_ready}
        if self.statuses:
            said["CanaryPredictorReady"] = all(one["ready"] for one in self.statuses)
        return [{"type": name, "status": str(value)} for name, value in said.items()]

    def _status(self, entry: Json) -> Json:
        held = self.deployments.get(_deployment(entry["predictor"]))
        ready = held is not None and bool(held.said.get("available"))
        name, percent = entry["predictor"]["name"], entry["trafficPercent"]
        return {"name": name, "ready": ready, "trafficPercent": percent}

    def _ensure(self, predictor: Json, replicas: int) -> None:
        name, template = _deployment(predictor), copy.deepcopy(_template(predictor))
        held = self.deployments.get(name)
        if held is None:
            self.deployments[name] = Deployment(template, replicas)
            return
        if held.template != template:
            held.template, held.pods, held.rollout = template, [], held.rollout + 1
            held.generation += 1
        if held.replicas != replicas:
            held.replicas, held.generation = replicas, held.generation + 1


def _deployment(predictor: Json) -> str:
    name = predictor.get("name", "")
    return f"{NAME}-{name}-predictor" if name else f"{NAME}-predictor"


def _template(predictor: Json) -> Json:
    return {key: value for key, value in predictor.items() if key not in SCALING}


def _count(stable: Json, entry: Json) -> int:
    own = entry["predictor"].get("minReplicas")
    if own is not None:
        return int(own)
    floor, percent = int(stable.get("minReplicas", 1)), int(entry["trafficPercent"])
    return math.ceil(floor * percent / 100)


def _overlaid(stable: Json, canary: Json) -> Json:
    merged = copy.deepcopy(stable)
    for key, value in canary.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _overlaid(merged[key], value)
        elif value:
            merged[key] = value
    return merged


def _seen(name: str, one: Deployment) -> Json:
    pods = one.said.get("pods", 0)
    return {
        "metadata": {
            "name": name, "generation": one.generation, "annotations": {ROLLOUT: str(one.rollout)}
        },
        "spec": {"template": {"metadata": {"annotations": {SOURCE_URI: one.uri}}}},
        "status": {
            "observedGeneration": one.observed,
            "replicas": pods,
            "updatedReplicas": pods,
            "availableReplicas": one.said.get("available", 0),
            "conditions": [_progress(one)],
        },
    }  # fmt: skip


def _progress(one: Deployment) -> Json:
    """A pod that will never come up is told of when the progress deadline is over."""
    stuck = bool(one.pods) and all(pod is False for pod in one.pods)
    reason = "ProgressDeadlineExceeded" if stuck else "NewReplicaSetAvailable"
    return {
        "type": "Progressing",
        "status": str(not stuck),
        "reason": reason,
        "message": "it crashed",
    }


def _route(name: str, held: Json) -> Json:
    said = [
        {"type": kind, "status": "True", "observedGeneration": held["taken"]}
        for kind in ("Accepted", "ResolvedRefs")
    ]
    return {
        "metadata": {"name": name, "generation": held["generation"]},
        "spec": {"rules": [{"backendRefs": held["refs"]}]},
        "status": {"parents": [{"conditions": said}] if held["taken"] else []},
    }


def _merge(target: Json, patch: Json) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = copy.deepcopy(value)


def serving(uri: str, *, name: str = "blue", replicas: int = 1) -> Cluster:
    """A cluster in which this serves everything."""
    cluster = Cluster(loads={uri: True})
    named = {"name": name} if name else {}
    predictor = {**named, "minReplicas": replicas, "model": {"storageUri": uri}}
    cluster.merge({"spec": {"predictor": predictor}})
    cluster.settle()
    return cluster
