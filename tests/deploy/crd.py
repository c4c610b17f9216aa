"""Judges an object of deploy/ by the committed CRD of its kind."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests import crd

CRDS = Path(__file__).parent / "crds"


@cache
def _of(kind: str) -> Path:
    for path in CRDS.glob("*.yaml"):
        held = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
        if held["spec"]["names"]["kind"] == kind:
            return path
    raise LookupError(f"no CRD of {kind} in {CRDS}")


def complaints(item: Mapping[str, Any]) -> list[str]:
    """What the CRD says against the object; its metadata is Kubernetes' own business."""
    return crd.complaints({**item, "metadata": {}}, _of(item["kind"]))
