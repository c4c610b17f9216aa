"""Judges an object by a CRD, unknown fields too, as `kubectl apply --validate=strict` does."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

SHARED = os.environ.get("TIDEGATE_SHARED", "")
KSERVE = Path(SHARED) / "data/crds"  # the CRDs that KServe ships, where they are at hand


def complaints(item: Mapping[str, Any], crd: Path) -> list[str]:
    """What the served version of the CRD says against the object."""
    return [f"{found.json_path}: {found.message}" for found in _validator(crd).iter_errors(item)]


@cache
def _validator(crd: Path) -> Draft202012Validator:
    held = yaml.load(crd.read_bytes(), Loader=yaml.CSafeLoader)["spec"]["versions"]
    served = next(one for one in held if one["served"])
    return Draft202012Validator(_strict(served["schema"]["openAPIV3Schema"]))


def _strict(schema: Any) -> Any:
    """With every object closed that names its properties: the API itself drops a field without a word."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    closed = {key: _strict(value) for key, value in schema.items()}
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
