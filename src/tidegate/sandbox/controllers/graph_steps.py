"""The URLs of an InferenceGraph's steps, by KServe's rules (utils.go: GetPredictorEndpoint). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.sandbox.api.kinds import Json

_PATHS = {"v1": "/v1/models/{}:predict", "v2": "/v2/models/{}/infer"}
_MLSERVER = "MLSERVER_MODEL_NAME"
_MODEL_NAME = "--model_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unresolved:
    """A service that a graph cannot be made with, and why."""

    reason: str
    message: str


def resolved(
    graph: Json, services: Mapping[str, Json], runtimes: Mapping[str, Json]
) -> Json | Unresolved:
    """The spec with a URL in each step; `services` and `runtimes` are those of the namespace, by name."""
    nodes: Json = {}
    for name, node in graph["spec"]["nodes"].items():
        steps = []
        for step in node.get("steps") or ():
            made = _with_url(step, services, runtimes)
            if isinstance(made, Unresolved):
                return made
            steps.append(made)
        nodes[name] = {**node, "steps": steps}
    return {**graph["spec"], "nodes": nodes}


def _with_url(
    step: Json, services: Mapping[str, Json], runtimes: Mapping[str, Json]
) -> Json | Unresolved:
    name = step.get("serviceName")
    if not name:
        return step
    if name not in services:
        text = f"Failed to find graph service {name}"
        return Unresolved(reason="ServiceNotFound", message=text)
    url = endpoint(services[name], runtimes)
    if not url:
        return Unresolved(reason="ServiceNotReady", message=f"service {name} is not ready")
    return {**step, "serviceUrl": step.get("serviceUrl") or url}


def endpoint(isvc: Json, runtimes: Mapping[str, Json]) -> str:
    """Where the router asks a service; empty while its status has no address.

    The protocol of a named runtime is the first of its own that a graph can speak, whatever the service
    says: one of v1 and v2 is asked by v1.
    """
    address = ((isvc.get("status") or {}).get("address") or {}).get("url", "")
    path = _PATHS.get(_protocol(isvc, runtimes), "")
    return f"{address}{path.format(_model_name(isvc))}" if address else ""


def _protocol(isvc: Json, runtimes: Mapping[str, Json]) -> str:
    spec = isvc["spec"]
    if transformer := spec.get("transformer"):
        return _of_containers(transformer)
    model = spec["predictor"].get("model") or {}
    runtime = runtimes.get(str(model.get("runtime") or ""))
    offered = (runtime or {"spec": {}})["spec"].get("protocolVersions") or ()
    spoken = next((one for one in offered if one in _PATHS), "")
    return spoken or str(model.get("protocolVersion") or "v1")


def _of_containers(component: Json) -> str:
    """A custom component says its protocol in its environment (transformer_custom.go: GetProtocol)."""
    container: Json = next(iter(component.get("containers") or ()), {})
    return _environment(container).get("PROTOCOL", "v1")


def _model_name(isvc: Json) -> str:
    spec = isvc["spec"]
    model = spec["predictor"].get("model") or {}
    transformer: Json = next(iter((spec.get("transformer") or {}).get("containers") or ()), {})
    return (
        _named(transformer)
        or _environment(model).get(_MLSERVER, "")
        or _named(model)
        or str(isvc["metadata"]["name"])
    )


def _named(container: Mapping[str, Any]) -> str:
    words = [str(word) for word in container.get("args") or ()]
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag == _MODEL_NAME and (equals or at + 1 < len(words)):
            return value if equals else words[at + 1]
    return ""


def _environment(container: Mapping[str, Any]) -> dict[str, str]:
    return {e["name"]: str(e.get("value", "")) for e in container.get("env") or ()}
