"""The URLs of an InferenceGraph's steps, by KServe's rules (utils.go: GetPredictorEndpoint). Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.sandbox.api.kinds import Json

_PATHS = {"v1": "/v1/models/{}:predict", "v2": "/v2/models/{}/infer"}
_MLSERVER = "MLSERVER_MODEL_NAME"
_MODEL_NAME = "--model_name"


class UnresolvedError(Exception):
    """A service that a graph cannot be made with, and why."""


def resolved(graph: Json, services: Mapping[str, Json], runtimes: Mapping[str, Json]) -> Json:
    """The spec with a URL in each step; `services` and `runtimes` are those of the namespace, by name.

    Raises UnresolvedError for a service that is missing, or that cannot be asked.
    """
    nodes = {
        name: node
        | {"steps": [_with_url(step, services, runtimes) for step in node.get("steps") or ()]}
        for name, node in graph["spec"]["nodes"].items()
    }
    return {**graph["spec"], "nodes": nodes}


def _with_url(step: Json, services: Mapping[str, Json], runtimes: Mapping[str, Json]) -> Json:
    name = step.get("serviceName")
    if not name:
        return step
    if name not in services:
        raise UnresolvedError(f"Failed to find graph service {name}")
    return {**step, "serviceUrl": endpoint(services[name], runtimes)}


def endpoint(isvc: Json, runtimes: Mapping[str, Json]) -> str:
    """Where the router asks a service.

    The protocol of a named runtime is the first of its own that a graph can speak, whatever the service
    says: one of v1 and v2 is asked by v1. Raises UnresolvedError while its status has no address, and for a
    runtime that is missing or speaks neither.
    """
    name = isvc["metadata"]["name"]
    address = ((isvc.get("status") or {}).get("address") or {}).get("url", "")
    if not address:
        raise UnresolvedError(f"service {name} is not ready")
    path = _PATHS.get(_protocol(isvc, runtimes), "")
    return f"{address}{path.format(_model_name(isvc))}"


def _protocol(isvc: Json, runtimes: Mapping[str, Json]) -> str:
    spec = isvc["spec"]
    if transformer := spec.get("transformer"):
        return _of_containers(transformer)
    model = spec["predictor"].get("model") or {}
    offered = _offered(isvc, str(model.get("runtime") or ""), runtimes)
    return offered or str(model.get("protocolVersion") or "v1")


def _offered(isvc: Json, runtime: str, runtimes: Mapping[str, Json]) -> str:
    """Of a named runtime; empty where none is named, or it lists no protocol."""
    if not runtime:
        return ""
    name = isvc["metadata"]["name"]
    if runtime not in runtimes:
        raise UnresolvedError(f"service {name}: no ServingRuntime {runtime}")
    listed = runtimes[runtime]["spec"].get("protocolVersions") or ()
    spoken = next((one for one in listed if one in _PATHS), "")
    if listed and not spoken:
        raise UnresolvedError(
            f"service {name}: the runtime does not support a protocol compatible with Inference Graphs"
        )
    return spoken


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
