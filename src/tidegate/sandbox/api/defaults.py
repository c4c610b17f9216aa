"""What KServe's mutating webhook makes of an InferenceService before it is stored. Pure."""

from typing import Any

from tidegate.sandbox.api.kinds import Json

MODE = "serving.kserve.io/deploymentMode"
MODES = {"Serverless": "Knative", "RawDeployment": "Standard"}  # old names, still accepted
_WRITTEN = {"Standard", "ModelMesh"}  # cluster defaults that the webhook writes onto an object
_CUSTOM = ("transformer", "explainer")
_SERVING = "kserve-container"
SHORTHANDS = (
    "sklearn", "xgboost", "tensorflow", "pytorch", "triton", "onnx", "huggingface", "pmml",
    "lightgbm", "paddle",
)  # fmt: skip


def defaulted(item: Json, default_mode: str = "") -> Json:
    """The InferenceService as it is stored: `model` for a shorthand, new mode names, v2 for Triton.

    A cluster whose default mode is Standard writes the mode onto the object; one whose default is
    Knative does not (DEF:178-186). Entries of `spec.canary` are left as they came, shorthands included.
    """
    predictor = (item.get("spec") or {}).get("predictor")
    if not isinstance(predictor, dict):
        return item
    predictor = _long_form(predictor)
    model = predictor.get("model")
    if isinstance(model, dict):
        predictor = predictor | {"model": _with_protocol(model)}
    beside = {one: _named(item["spec"][one]) for one in _CUSTOM if one in item["spec"]}
    return item | {
        "spec": item["spec"] | beside | {"predictor": predictor},
        "metadata": _annotated(item.get("metadata") or {}, predictor.get("model"), default_mode),
    }


def _named(component: Any) -> Any:
    """The first container is the serving one, whatever it was called (transformer_custom.go: Default)."""
    containers = component.get("containers") if isinstance(component, dict) else None
    if not isinstance(containers, list) or not containers or not isinstance(containers[0], dict):
        return component
    return component | {"containers": [containers[0] | {"name": _SERVING}, *containers[1:]]}


def _long_form(predictor: Json) -> Json:
    used = [name for name in SHORTHANDS if isinstance(predictor.get(name), dict)]
    if len(used) != 1 or "model" in predictor:
        return predictor  # none, or several: the validating webhook says so
    rest = {key: value for key, value in predictor.items() if key != used[0]}
    return rest | {"model": {"modelFormat": {"name": used[0]}} | predictor[used[0]]}


def _with_protocol(model: Json) -> Json:
    is_triton = format_name(model) == "triton" or model.get("runtime") == "kserve-tritonserver"
    return {"protocolVersion": "v2"} | model if is_triton else model


def format_name(model: Any) -> str:
    """`modelFormat.name`, or empty."""
    declared = model.get("modelFormat") if isinstance(model, dict) else None
    return str(declared.get("name", "")) if isinstance(declared, dict) else ""


def _annotated(meta: Json, model: Any, default_mode: str) -> Json:
    annotations = dict(meta.get("annotations") or {})
    if default_mode in _WRITTEN:
        annotations.setdefault(MODE, default_mode)
    if annotations.get(MODE) in MODES:
        annotations[MODE] = MODES[annotations[MODE]]
    if format_name(model):
        annotations["modelFormat"] = format_name(model)
    return meta | ({"annotations": annotations} if annotations else {})
