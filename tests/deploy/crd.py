"""Judges an object by the CRD of its kind, unknown fields too, as `kubectl apply --validate=strict` does."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

CRDS = Path(__file__).parent / "crds"


@cache
def _validator(kind: str) -> Draft202012Validator:
    for path in CRDS.glob("*.yaml"):
        crd = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        if crd["spec"]["names"]["kind"] == kind:
            return Draft202012Validator(
                _strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
            )
    raise LookupError(f"no CRD of {kind} in {CRDS}")


def _strict(schema: Any) -> Any:
    """With every object closed that names its properties."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: _strict(value) for key, value in schema.items() if key != "format"}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in schema and not is_open:
        closed["additionalProperties"] = False
    return closed


def complaints(item: Mapping[str, Any]) -> list[str]:
    """What the CRD says against the object; its metadata is Kubernetes' own business."""
    found = _validator(item["kind"]).iter_errors({**item, "metadata": {}})
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]
