"""InferenceGraphs: a Knative Service that runs the router, whose state becomes the graph's.

KServe's rules (pkg/controller/v1alpha1/inferencegraph: controller.go, knative_reconciler.go). While a service
of a graph cannot be asked, KServe logs it and writes no status at all: a graph that was Ready stays so.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.sandbox import router_command
from tidegate.sandbox.api import settings
from tidegate.sandbox.api.kinds import (
    CLUSTERSERVINGRUNTIMES,
    CONFIGMAPS,
    INFERENCEGRAPHS,
    INFERENCESERVICES,
    KSERVICES,
    SERVINGRUNTIMES,
    Json,
)  # fmt: skip
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions, graph_steps, kpa_settings
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.graph_steps import UnresolvedError
from tidegate.sandbox.controllers.objects import Wanted, address, ensure
from tidegate.sandbox.controllers.template import MIN_SCALE
from tidegate.sandbox.router import routing

_log = logging.getLogger(__name__)
_STOP = "serving.kserve.io/stop"
_SCALING = {"maxReplicas": "max-scale", "scaleTarget": "target", "scaleMetric": "metric"}


class InferenceGraphController:
    """InferenceGraph -> ksvc -> status."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._events = Events(store, clock, "InferenceGraphController")
        self._logged: dict[tuple[str, str], str] = {}  # graph -> what was said of it last

    def reconcile(self) -> None:
        """Every InferenceGraph, once."""
        for graph in self._store.items(INFERENCEGRAPHS):
            try:
                status = self._status(graph)
            except (
                UnresolvedError
            ) as error:  # controller.go:160-183 returns before the ksvc and the status
                self._log_once(graph, str(error))
                continue
            self._logged.pop(address(graph), None)
            self._store.write_status(INFERENCEGRAPHS, *address(graph), status)

    def _log_once(self, graph: Json, text: str) -> None:
        if self._logged.get(address(graph)) != text:
            self._logged[address(graph)] = text
            _log.warning("InferenceGraph %s/%s: %s", *address(graph), text)

    def _status(self, graph: Json) -> Json:
        cluster = settings.read(self._store.find(CONFIGMAPS, settings.NAMESPACE, settings.NAME))
        if _is_stopped(graph):
            return self._stop(graph)
        if settings.mode(graph, cluster) != settings.KNATIVE:
            text = "an InferenceGraph is emulated in Knative mode alone; annotate it so"
            return self._not_emulated(graph, text)
        spec = self._resolved(graph)
        if text := routing.not_emulated(routing.read(spec)):
            return self._not_emulated(graph, text)
        return self._propagated(graph, ensure(self._store, _ksvc(graph, spec, cluster.router)))

    def _resolved(self, graph: Json) -> Json:
        namespace = graph["metadata"]["namespace"]
        runtimes = self._store.items(CLUSTERSERVINGRUNTIMES)
        runtimes += self._store.items(SERVINGRUNTIMES, namespace)  # the namespace's own win
        services = self._store.items(INFERENCESERVICES, namespace)
        return graph_steps.resolved(graph, _by_name(services), _by_name(runtimes))

    def _propagated(self, graph: Json, ksvc: Json) -> Json:
        """The ksvc's conditions are the graph's; it has a URL while it is ready."""
        before, found = graph.get("status") or {}, ksvc.get("status") or {}
        told = [conditions.find(found, c["type"]) for c in found.get("conditions") or []]
        every = [*told, Condition(type="Stopped", status="False")]
        url = {"url": found["url"]} if conditions.find(found, "Ready").is_true else {}
        return {"conditions": self._conditions(every, before)} | url

    def _not_emulated(self, graph: Json, text: str) -> Json:
        """Without a URL; the router of before runs on, and answers clients that kept it."""
        self._events.warn(graph, "NotEmulated", text)
        before = graph.get("status") or {}
        ready = Condition(type="Ready", status="False", reason="NotEmulated", message=text)
        return {"conditions": self._conditions([ready], before)}

    def _stop(self, graph: Json) -> Json:
        namespace, name = address(graph)
        if self._store.find(KSERVICES, namespace, name):
            self._store.delete(KSERVICES, namespace, name)
        every = [
            Condition(type="Ready", status="False", reason="Stopped"),
            Condition(type="Stopped", status="True"),
        ]
        return {"conditions": self._conditions(every, graph.get("status") or {})}

    def _conditions(self, every: list[Condition], before: Json) -> list[Json]:
        return conditions.as_json(every, before, timestamp(self._clock()))


def _is_stopped(graph: Json) -> bool:
    annotations = graph["metadata"].get("annotations") or {}
    return str(annotations.get(_STOP, "")).lower() == "true"


def _by_name(items: list[Json]) -> dict[str, Json]:
    return {item["metadata"]["name"]: item for item in items}


def _ksvc(graph: Json, spec: Json, router: Mapping[str, Any]) -> Wanted:
    """knative_reconciler.go: createKnativeService. The annotations are the template's, so that a change of
    one is a new revision of the router."""
    meta = graph["metadata"]
    labels: dict[str, str] = dict(meta.get("labels") or {})
    own = {router_command.LABEL: meta["name"], "serving.kserve.io/kind": "InferenceGraph"}
    template = {
        "metadata": {
            "labels": labels | own,
            "annotations": dict(meta.get("annotations") or {}) | _scaling(spec),
        },
        "spec": {"containers": [_container(spec, router)]} | _timeout(spec),
    }
    return Wanted(
        kind=KSERVICES, namespace=meta["namespace"], name=meta["name"], owner=graph, labels=labels,
        spec={"template": template, "traffic": [{"latestRevision": True, "percent": 100}]},
    )  # fmt: skip


def _scaling(spec: Json) -> dict[str, str]:
    """SetAutoScalingAnnotations."""
    low = spec.get("minReplicas")
    found = {kpa_settings.CLASS: kpa_settings.KPA, MIN_SCALE: str(1 if low is None else low)}
    given = {key: spec.get(field) for field, key in _SCALING.items()}
    return found | {f"{kpa_settings.PREFIX}{k}": str(v) for k, v in given.items() if v}


def _timeout(spec: Json) -> Json:
    return {"timeoutSeconds": spec["timeout"]} if spec.get("timeout") else {}


def _container(spec: Json, router: Mapping[str, Any]) -> Json:
    """The args are the whole graph, so that a change of it is a new revision of the router."""
    patterns = (router.get("headers") or {}).get("propagate")
    env = [] if patterns is None else [{"name": "PROPAGATE_HEADERS", "value": ",".join(patterns)}]
    probe = {"path": router_command.READY_PATH, "port": router_command.PORT, "scheme": "HTTP"}
    return {
        "name": "user-container",  # Knative's default
        "image": router.get("image", ""),
        "args": [router_command.GRAPH, json.dumps(spec, sort_keys=True)],
        "env": env,
        "resources": spec.get("resources") or {},
        "readinessProbe": {"httpGet": probe},
    }
