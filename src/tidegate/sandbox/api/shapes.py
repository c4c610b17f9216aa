"""Types of the InferenceService fields that the emulation reads, for a cluster without CRD files.

With CRD files the schema says the same and more; without, a text where a number belongs must still
be refused here and not break a controller later. Pure.
"""

import re
from collections.abc import Iterator
from typing import Any

from tidegate.sandbox.api.defaults import SHORTHANDS
from tidegate.sandbox.api.errors import Cause
from tidegate.sandbox.api.kinds import Json

_INTEGERS = (
    "minReplicas", "maxReplicas", "canaryTrafficPercent", "containerConcurrency", "scaleTarget",
    "timeout",
)  # fmt: skip
_OBJECTS = ("model", "labels", "annotations", "triton", "logger", "batcher")
_MODEL_TEXTS = ("storageUri", "runtime", "runtimeVersion", "protocolVersion", "image")
_IMPLEMENTATIONS = ("model", *SHORTHANDS)
_VARIANT = "[a-z]([-a-z0-9]*[a-z0-9])?"  # of predictor.name
_TYPES: dict[str, type] = {"integer": int, "object": dict, "string": str, "array": list}


def causes(isvc: Json) -> Iterator[Cause]:
    """What is of a wrong type."""
    spec = isvc.get("spec")
    yield from _check(spec, "spec", "object", required=True)
    if not isinstance(spec, dict):
        return
    yield from _predictor(spec.get("predictor"), "spec.predictor")
    yield from _check(spec.get("canary"), "spec.canary", "array")
    entries = spec.get("canary")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        yield from _canary(entry, f"spec.canary[{index}]")


def job_causes(job: Json) -> Iterator[Cause]:
    """What a real API server refuses of a Job (kubernetes v1.33, pkg/apis/batch/validation/validation.go)."""
    path = "spec.template.spec"
    spec = job.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = pod.get("containers")
    if not isinstance(containers, list) or not containers:
        yield Cause(f"{path}.containers", "Required value", "FieldValueRequired")
        return
    for index, one in enumerate(containers):
        for field in ("name", "image"):
            if not (isinstance(one, dict) and one.get(field)):
                where = f"{path}.containers[{index}].{field}"
                yield Cause(where, "Required value", "FieldValueRequired")
    if pod.get("restartPolicy") not in {"Never", "OnFailure"}:
        text = 'Required value: valid values: "OnFailure", "Never"'
        yield Cause(f"{path}.restartPolicy", text, "FieldValueRequired")


def _canary(entry: Any, path: str) -> Iterator[Cause]:
    yield from _check(entry, path, "object", required=True)
    if isinstance(entry, dict):
        yield from _check(
            entry.get("trafficPercent"), f"{path}.trafficPercent", "integer", required=True
        )
        yield from _predictor(entry.get("predictor"), f"{path}.predictor")
        yield from _container_name(entry.get("predictor"), f"{path}.predictor")


def _container_name(predictor: Any, path: str) -> Iterator[Cause]:
    """KServe's CRD drops the container's mandatory `name` of spec.predictor, and of no canary.

    So an entry needs `model.name`, and `""` is enough (Makefile:222 deletes `required` two levels down).
    """
    for field in _IMPLEMENTATIONS:
        found = predictor.get(field) if isinstance(predictor, dict) else None
        if isinstance(found, dict) and found.get("name") is None:
            yield Cause(f"{path}.{field}.name", "Required value", "FieldValueRequired")


def _predictor(predictor: Any, path: str) -> Iterator[Cause]:
    yield from _check(predictor, path, "object", required=True)
    if not isinstance(predictor, dict):
        return
    for field in _INTEGERS:
        yield from _check(predictor.get(field), f"{path}.{field}", "integer")
    for field in _OBJECTS:
        yield from _check(predictor.get(field), f"{path}.{field}", "object")
    for field in ("labels", "annotations"):
        yield from _strings(predictor.get(field), f"{path}.{field}")
    yield from _name(predictor.get("name"), f"{path}.name")
    yield from _model(predictor.get("model"), f"{path}.model")


def _name(name: Any, path: str) -> Iterator[Cause]:
    yield from _check(name, path, "string")
    if isinstance(name, str) and name and not re.fullmatch(_VARIANT, name):
        text = f"{path} in body should match '^{_VARIANT}$'"
        yield Cause(path, f'Invalid value: "{name}": {text}')


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
