"""What KServe's validating webhook refuses of an InferenceService, in its words. Pure."""

import re
from collections.abc import Iterator
from typing import Any

from tidegate.sandbox.api import webhook_canary
from tidegate.sandbox.api.defaults import MODE
from tidegate.sandbox.api.kinds import Json

NAME = "inferenceservice.kserve-webhook-server.validator"
DEFAULTER = "inferenceservice.kserve-webhook-server.defaulter"
_NAME_REGEX = "[a-z]([-a-z0-9]*[a-z0-9])?"
_AUTOSCALERS = {"hpa", "external", "keda", "none"}
_KPA_METRICS = {"concurrency", "rps"}
_LOGGERS = {"all", "request", "response"}
_RESERVED_ENV = {"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}


def complaints(new: Json, old: Json | None) -> Iterator[str]:
    """Every reason to refuse, the first of which the webhook would say."""
    yield from _name(str(new["metadata"].get("name", "")))
    yield from _mode(new, old)
    yield from _autoscaler(new)
    spec = new.get("spec") or {}
    predictor = spec.get("predictor")
    if not isinstance(predictor, dict):
        yield "exactly one of [model, containers] must be specified in PredictorSpec"
        return
    yield from webhook_canary.name_change(new, old)
    yield from webhook_canary.implementation(predictor)
    yield from _model(predictor.get("model"))
    yield from _one_of(spec.get("transformer"), ("containers",), "TransformerSpec")
    yield from _one_of(spec.get("explainer"), ("art", "containers"), "ExplainerSpec")
    for component in ("predictor", "transformer", "explainer"):
        yield from _extension(spec.get(component) or {}, new)
    yield from webhook_canary.complaints(new)


def _name(name: str) -> Iterator[str]:
    if name and not re.fullmatch(_NAME_REGEX, name):
        yield (
            f'the InferenceService "{name}" is invalid: a InferenceService name must consist of'
            " lower case alphanumeric characters or '-', and must start with alphabetical"
            f' character. (e.g. "my-name" or "abc-123", regex used for validation is'
            f" '{_NAME_REGEX}')"
        )


def _annotation(item: Json, key: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(key, ""))


def _mode(new: Json, old: Json | None) -> Iterator[str]:
    recorded = ((old or {}).get("status") or {}).get("deploymentMode", "")
    wanted = _annotation(new, MODE)
    if recorded and wanted and wanted != recorded:
        yield f"update rejected: deploymentMode cannot be changed from '{recorded}' to '{wanted}'"


def _autoscaler(item: Json) -> Iterator[str]:
    wanted = _annotation(item, "serving.kserve.io/autoscalerClass")
    if wanted and wanted not in _AUTOSCALERS:
        yield f"[{wanted}] is not a supported autoscaler class type"


def _one_of(component: Any, names: tuple[str, ...], what: str) -> Iterator[str]:
    if component is None:
        return
    given = component if isinstance(component, dict) else {}
    used = [name for name in names if given.get(name) not in (None, [])]
    if len(used) != 1:
        yield f"exactly one of [{', '.join(names)}] must be specified in {what}, found {used}"


def _model(model: Any) -> Iterator[str]:
    if not isinstance(model, dict):
        return
    if model.get("name"):
        yield "the 'name' field of the predictor model must be empty"
    if model.get("storageUri") and (model.get("storage") or {}).get("path"):
        yield "storageUri and storage.path cannot be specified at the same time"
    if model.get("storageUri") and model.get("storageUris"):
        yield "storageUri and storageUris cannot be specified at the same time"
    for entry in model.get("env") or []:
        if entry.get("name") in _RESERVED_ENV:
            yield f"the environment variable {entry['name']} is reserved"


def _extension(component: Json, item: Json) -> Iterator[str]:
    low, high = component.get("minReplicas"), component.get("maxReplicas") or 0
    low = 1 if low is None else low
    if low < 0:
        yield "MinReplicas cannot be less than 0"
    if high < 0:
        yield "MaxReplicas cannot be less than 0"
    if 0 < high < low:
        yield "MinReplicas cannot be greater than MaxReplicas"
    if (component.get("containerConcurrency") or 0) < 0:
        yield "Parallelism cannot be less than 0"
    logger = component.get("logger") or {}
    if logger and logger.get("mode", "all") not in _LOGGERS:
        yield "invalid logger type"
    yield from _scaling(component, item)


def _scaling(component: Json, item: Json) -> Iterator[str]:
    if _annotation(item, MODE) == "Standard":
        return
    metric = component.get("scaleMetric")
    is_hpa = _annotation(item, "autoscaling.knative.dev/class").startswith("hpa.")
    if metric and metric not in _KPA_METRICS and not is_hpa:
        yield f"[{metric}] is not a supported metric"
    if (
        metric == "rps"
        and component.get("scaleTarget") is not None
        and component["scaleTarget"] < 1
    ):
        yield "the target for rps should be greater than 1"
    if component.get("deploymentStrategy") is not None:
        yield "customizing deploymentStrategy is only supported for raw deployment mode"
