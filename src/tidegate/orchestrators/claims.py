"""A PersistentVolumeClaim of published models in a drawing: mounted for the steps that write or read them.

Compiled in, and no parameter of a run: a pod whose volume names a claim that is not there never starts,
and neither orchestrator can leave a volume out by a parameter.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tidegate.config import VARIABLES
from tidegate.errors import UsageError
from tidegate.orchestrators.yaml_text import written

Json = dict[str, Any]
# Step -> whether it only reads. The report compares the config.pbtxt of both versions.
USERS: Mapping[str, bool] = {"publish": False, "report": True}
VOLUME = "storage"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def folder_of(claim: str) -> str:
    """Where a step finds it."""
    return f"/mnt/claims/{claim}"


def with_claim(text: str, claim: str) -> str:
    """The drawing of either orchestrator with the claim mounted; as it is where no step of it wants it.

    Raises UsageError for what is no name of a claim.
    """
    if not _NAME.fullmatch(claim):
        raise UsageError(
            f"--storage-claim {claim!r} is no name of a PersistentVolumeClaim; write the CLAIM of "
            "pvc://CLAIM/PATH"
        )
    documents = list(yaml.safe_load_all(text))
    is_pipeline = "deploymentSpec" in documents[0]
    changed = (_pipeline if is_pipeline else _workflow)(documents, claim)
    return written(documents, before=text) if changed else text


def _told(claim: str) -> Json:
    return {"name": VARIABLES["claim_mounts"], "value": f"{claim}={folder_of(claim)}"}


def _workflow(documents: list[Json], claim: str) -> bool:
    """One volume of the workflow; a pod has only those of it that its container mounts."""
    (document,) = documents
    spec = document["spec"]
    users = [one for one in spec.get("templates", []) if one["name"] in USERS]
    for template in users:
        container = template["container"]
        container.setdefault("env", []).append(_told(claim))
        mount: Json = {"name": VOLUME, "mountPath": folder_of(claim)}
        mount |= {"readOnly": True} if USERS[template["name"]] else {}
        container["volumeMounts"].append(mount)
    if users:
        spec["volumes"].append({"name": VOLUME, "persistentVolumeClaim": {"claimName": claim}})
    return bool(users)


def _pipeline(documents: list[Json], claim: str) -> bool:
    """As kfp-kubernetes' `mount_pvc` and kfp's `set_env_variable` write it; it knows no read-only mount."""
    pipeline, platform = documents
    containers = pipeline["deploymentSpec"]["executors"]
    configured = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for executor in (f"exec-{step}" for step in USERS):
        containers[executor]["container"].setdefault("env", []).append(_told(claim))
        configured[executor].setdefault("pvcMount", []).append(
            {
                "constant": claim,
                "mountPath": folder_of(claim),
                "pvcNameParameter": {"runtimeValue": {"constant": claim}},
            }
        )
    return True
