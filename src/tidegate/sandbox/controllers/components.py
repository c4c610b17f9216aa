"""The components of an InferenceService: a Knative Service each, or in Standard mode a Deployment. Pure."""

from dataclasses import dataclass

from tidegate.sandbox import program
from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import template

PREDICTOR, TRANSFORMER, EXPLAINER = "predictor", "transformer", "explainer"
ALL = (PREDICTOR, TRANSFORMER, EXPLAINER)  # in the order of KServe's reconcile (CTL:277-286)
_PORT = "8080"
_STORAGE = "STORAGE_URI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the conditions of one component are called (ST:271-287)."""

    ready: str
    routed: str
    configured: str


CONDITIONS = {
    PREDICTOR: Words(
        ready="PredictorReady", routed="PredictorRouteReady", configured="PredictorConfigurationReady"
    ),
    TRANSFORMER: Words(
        ready="TransformerReady",
        routed="TransformerRouteReady",
        configured="TransformerConfigurationReady",
    ),
    EXPLAINER: Words(
        ready="ExplainerReady", routed="ExplainerRoutesReady", configured="ExplainerConfigurationReady"
    ),
}  # fmt: skip


def of(isvc: Json) -> tuple[str, ...]:
    """Those that the spec has."""
    return tuple(one for one in ALL if isvc["spec"].get(one))


def front(isvc: Json) -> str:
    """The one that predictions are sent to: a transformer takes the predictor's place (ING:445-460)."""
    return TRANSFORMER if TRANSFORMER in of(isvc) else PREDICTOR


def service_name(isvc: str, component: str) -> str:
    """Its Knative Service, or Deployment and Service, by which its hosts and pods are named."""
    return f"{isvc}-{component}"


def revision_template(isvc: Json, component: str, runtime: Json) -> Json:
    """What its revisions are made of."""
    if component == PREDICTOR:
        return template.revision_template(isvc, runtime)
    predictor = service_name(isvc["metadata"]["name"], PREDICTOR)
    return template.component_template(isvc, component, containers(isvc, component, predictor))


def containers(isvc: Json, component: str, predictor: str) -> list[Json]:
    """Those of its pods; `predictor` is the Service that it is told to ask."""
    return [container(isvc, component, predictor), *isvc["spec"][component]["containers"][1:]]


def container(isvc: Json, component: str, predictor: str) -> Json:
    """Its container with what KServe adds (transformer_custom.go, explainer_custom.go: GetContainer).

    An explainer gets the port even when it has one already; a transformer only when it has none.
    """
    meta, spec = isvc["metadata"], isvc["spec"][component]
    found: Json = spec["containers"][0]
    own = [str(word) for word in found.get("args") or []]
    host = f"{predictor}.{meta['namespace']}"
    given = [("--model_name", meta["name"]), ("--predictor_host", host)]
    added = [word for flag, value in given if not _includes(own, flag) for word in (flag, value)]
    if component == EXPLAINER or not _includes(own, "--http_port"):
        added += ["--http_port", _PORT]
    if (workers := spec.get("containerConcurrency")) is not None and not _includes(
        own, "--workers"
    ):
        added += ["--workers", str(workers)]
    name = {"name": found.get("name") or "kserve-container"}
    return found | name | {"args": [*own, *added]} | _named(found, meta["name"], component)


def _includes(words: list[str], flag: str) -> bool:
    """By prefix, as KServe looks (pkg/utils/collections.go: IncludesArg)."""
    return any(word.startswith(flag) for word in words)


def _named(found: Json, isvc: str, component: str) -> Json:
    """A transformer is told its InferenceService by its environment, too (transformer.go)."""
    if component != TRANSFORMER:
        return {}
    kept = [e for e in found.get("env") or [] if e.get("name") != "INFERENCE_SERVICE_NAME"]
    return {"env": [*kept, {"name": "INFERENCE_SERVICE_NAME", "value": isvc}]}


def not_run(isvc: Json, component: str) -> str:
    """Why its program cannot be run on this machine; empty when it can."""
    spec = isvc["spec"][component]
    if "art" in spec:
        return f"spec.{component}.art: no image is run here; use a container whose command is a program"
    containers = spec.get("containers") or []
    if len(containers) != 1:
        return f"spec.{component} with {len(containers)} containers is not emulated; use one"
    command = containers[0].get("command") or []
    if not program.exists(command):
        return (
            f"spec.{component}: no image is run here, and its command {command} names no program of this "
            "machine; name one in `command`"
        )
    if any(e.get("name") == _STORAGE for e in containers[0].get("env") or []):
        return (
            f"spec.{component}: env {_STORAGE} is not emulated; let the program fetch what it needs"
        )
    return ""
