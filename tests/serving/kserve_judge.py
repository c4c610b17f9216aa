"""What judges a manifest: KServe's own Python models, and the CRDs' schemas, unknown fields refused."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

Json = dict[str, Any]
SHARED = os.environ.get("TIDEGATE_SHARED", "")
CRDS = Path(SHARED) / "data/crds"

# KServe's SDK and tritonclient need different protobuf versions in one process, so it runs in its own.
_READ = """
import json, sys
import kserve
from kubernetes.client import ApiClient

KINDS = {"InferenceService": kserve.V1beta1InferenceService, "InferenceGraph": kserve.V1alpha1InferenceGraph,
         "ServingRuntime": kserve.V1alpha1ServingRuntime}

def read(given, model):
    names = {json_name: name for name, json_name in model.attribute_map.items()}
    unknown = set(given) - set(names)
    assert not unknown, f"{model.__name__} does not know {sorted(unknown)}"
    values = {names[key]: inner(value, model.openapi_types[names[key]]) for key, value in given.items()}
    return model(**values)

def inner(value, kind):
    if kind.startswith("list[") and isinstance(value, list):
        return [inner(one, kind[5:-1]) for one in value]
    model = getattr(kserve, kind, None)
    return read(value, model) if model and isinstance(value, dict) else value

given = json.load(sys.stdin)
made = [read(one, KINDS[one["kind"]]) for one in given]
print(json.dumps(ApiClient().sanitize_for_serialization(made)))
"""


def read_by_kserve(manifests: Sequence[Json]) -> list[Json]:
    """Every manifest through KServe's own models and back; a field that they do not know fails."""
    ran = subprocess.run(
        [sys.executable, "-c", _READ], input=json.dumps(list(manifests)), capture_output=True,
        text=True, check=False, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: list[Json] = json.loads(ran.stdout.splitlines()[-1])
    for one in found:
        for container in _unnamed(one.get("spec", {})):
            container.pop("name", None)  # their constructor's default
    return found


def _unnamed(spec: Json) -> list[Json]:
    """The containers of ours that KServe names itself."""
    return [spec.get("predictor", {}).get("model", {}), spec.get("explainer", {}).get("art", {})]


def complaints_of_the_crd(manifest: Json, file: str) -> list[str]:
    """What the CRD's schema says against it; a field that it does not name counts."""
    checked = _validator(file).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in checked]


@cache
def _validator(file: str) -> Draft202012Validator:
    held = yaml.safe_load((CRDS / file).read_text())["spec"]["versions"]
    schema = next(one for one in held if one["served"])["schema"]["openAPIV3Schema"]
    return Draft202012Validator(_strict(schema))


def _strict(held: Any) -> Any:
    """The API drops a field that the schema does not name; here it is an error."""
    if isinstance(held, list):
        return [_strict(one) for one in held]
    if not isinstance(held, dict):
        return held
    strict = {key: _strict(value) for key, value in held.items()}
    if "properties" in held and not held.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    if held.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    return strict
