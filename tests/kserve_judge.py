"""What judges a manifest: KServe's own Python models, unknown fields refused."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

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
