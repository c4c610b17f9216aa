"""Types of the InferenceService fields that the emulation reads, for a cluster without CRD files.

With CRD files the schema says the same and more; without, a text where a number belongs must still
be refused here and not break a controller later. Pure.
"""

from collections.abc import Iterator
from typing import Any

from tidegate.sandbox.api.errors import Cause
from tidegate.sandbox.api.kinds import Json

_INTEGERS = (
    "minReplicas", "maxReplicas", "canaryTrafficPercent", "containerConcurrency", "scaleTarget",
    "timeout",
)  # fmt: skip
_OBJECTS = ("model", "labels", "annotations", "triton", "logger", "batcher")
_MODEL_TEXTS = ("storageUri", "runtime", "runtimeVersion", "protocolVersion", "image")
_TYPES: dict[str, type] = {"integer": int, "object": dict, "string": str, "array": list}


def causes(isvc: Json) -> Iterator[Cause]:
    """What is of a wrong type."""
    spec = isvc.get("spec")
    yield from _check(spec, "spec", "object", required=True)
    predictor = spec.get("predictor") if isinstance(spec, dict) else None
    if not isinstance(predictor, dict):
        yield from _check(predictor, "spec.predictor", "object", required=True)
        return
    for field in _INTEGERS:
        yield from _check(predictor.get(field), f"spec.predictor.{field}", "integer")
    for field in _OBJECTS:
        yield from _check(predictor.get(field), f"spec.predictor.{field}", "object")
    for field in ("labels", "annotations"):
        yield from _strings(predictor.get(field), f"spec.predictor.{field}")
    yield from _model(predictor.get("model"), "spec.predictor.model")


def _model(model: Any, path: str) -> Iterator[Cause]:
    if not isinstance(model, dict):
        return
    yield from _check(model.get("modelFormat"), f"{path}.modelFormat", "object", required=True)
    for field in _MODEL_TEXTS:
        yield from _check(model.get(field), f"{path}.{field}", "string")
    for field, inner in (("args", "string"), ("env", "object")):
        values = model.get(field)
        yield from _check(values, f"{path}.{field}", "array")
        for index, value in enumerate(values if isinstance(values, list) else []):
            yield from _check(value, f"{path}.{field}[{index}]", inner)


def _strings(values: Any, path: str) -> Iterator[Cause]:
    for key, value in (values if isinstance(values, dict) else {}).items():
        yield from _check(value, f"{path}.{key}", "string")


def _check(value: Any, path: str, wanted: str, *, required: bool = False) -> Iterator[Cause]:
    if value is None:
        if required:
            yield Cause(path, "Required value", "FieldValueRequired")
    elif not isinstance(value, _TYPES[wanted]) or isinstance(value, bool):
        text = f"{path} in body must be of type {wanted}"
        yield Cause(path, f"Invalid value: {value!r}: {text}", "FieldValueTypeInvalid")
