"""What `inferenceservice-config` says of the cluster, as KServe's webhook and controllers read it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.sandbox.api.defaults import MODE, MODES
from tidegate.sandbox.api.kinds import Json

NAMESPACE, NAME = "kserve", "inferenceservice-config"
KNATIVE, STANDARD = "Knative", "Standard"
_KNOWN = {KNATIVE, STANDARD, "ModelMesh"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The two switches that decide about Standard mode, which a cluster without the ConfigMap has neither of;
    and how graphs are routed."""

    default_mode: str = ""
    gateway_api: bool = False
    router: Mapping[str, Any] = field(default_factory=dict)


def read(configmap: Json | None) -> Settings:
    """The settings of a ConfigMap. Raises ValueError when one of its documents is no JSON object."""
    data = (configmap or {}).get("data") or {}
    mode = str(_document(data, "deploy").get("defaultDeploymentMode", ""))
    gateway = _document(data, "ingress").get("enableGatewayApi") is True
    return Settings(
        default_mode=MODES.get(mode, mode), gateway_api=gateway, router=_document(data, "router")
    )


def mode(isvc: Json, settings: Settings) -> str:
    """What is recorded, else what the annotation asks for, else the cluster's default (UT:224-248).

    An annotation that names no mode is as good as none.
    """
    if recorded := (isvc.get("status") or {}).get("deploymentMode"):
        return MODES.get(recorded, str(recorded))
    asked = str((isvc["metadata"].get("annotations") or {}).get(MODE, ""))
    asked = MODES.get(asked, asked)
    return asked if asked in _KNOWN else settings.default_mode or KNATIVE


def _document(data: Json, key: str) -> Json:
    found = json.loads(data.get(key) or "{}")
    if not isinstance(found, dict):
        raise ValueError(f"unable to parse {key} config json: it is no object")
    return found
