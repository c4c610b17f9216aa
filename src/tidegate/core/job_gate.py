"""A gate that is a Kubernetes Job: its manifest, and what its end says of the candidate. Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.core.symptoms import Pod
from tidegate.documents import Word
from tidegate.policy import JobSlo

Json = dict[str, Any]
# What an exit says; every other one (killed, out of memory, no such command) says nothing of the candidate.
EXITS: Mapping[int, Word] = {0: Word.PASS, 1: Word.FAIL, 2: Word.INCONCLUSIVE}
KEPT_S = 3600  # one that nobody was left to remove; the cluster does it
MADE_OF = "tidegate.dev/made-of"  # annotation: digest of what was asked for


def job_name(objective: JobSlo, release_id: str) -> str:
    """The same for every try of one release, so that a second try finds the first one's Job."""
    which = hashlib.sha256(f"{release_id}/{objective.name}".encode()).hexdigest()[:16]
    return f"tidegate-gate-{which}"


def manifest(objective: JobSlo, name: str, told: Mapping[str, str]) -> Json:
    """The Job: the policy's pod with what it is told in the environment, tried once, ended in time."""
    pod = dict(objective.pod)
    told_env = [{"name": f"TIDEGATE_{key.upper()}", "value": told[key]} for key in sorted(told)]
    pod["containers"] = [
        {**one, "env": [*one.get("env", ()), *told_env]} for one in pod["containers"]
    ]
    labels = {"app.kubernetes.io/managed-by": "tidegate"}
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": max(1, round(objective.timeout_s)),
        "ttlSecondsAfterFinished": KEPT_S,
        "template": {
            "metadata": {"labels": labels},
            "spec": {"restartPolicy": "Never", "automountServiceAccountToken": False, **pod},
        },
    }
    made_of = hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": labels, "annotations": {MADE_OF: made_of}},
        "spec": spec,
    }


def is_same(job: Json, wanted: Json) -> bool:
    """Whether a Job of our name was made of what we ask for: by a try of this gate that died."""
    annotations = job["metadata"].get("annotations") or {}
    return bool(annotations.get(MADE_OF) == wanted["metadata"]["annotations"][MADE_OF])


def ended(job: Json) -> tuple[bool, str]:
    """Whether the Job has come to an end, and the reason of one that failed."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return True, ""
        if condition.get("type") == "Failed":
            return True, str(condition.get("reason") or "Failed")
    return False, ""


def verdict(failed: str, pods: Iterable[Pod], *, name: str) -> tuple[Word, str]:
    """What the end says: the worst exit of its containers decides. Without an exit nothing is known."""
    if not failed:
        return Word.PASS, f"Job {name} exited 0"
    if failed == "DeadlineExceeded":
        return Word.INVALID, f"Job {name} was not done in time; raise timeout_s or make it faster"
    exits = [
        (one.name, one.ended.exit_code)
        for pod in pods
        for one in pod.containers
        if one.ended is not None and one.ended.exit_code
    ]
    for container, code in exits:
        if code not in EXITS:
            said = f"container {container} of Job {name} exited {code}"
            return Word.INVALID, f"{said}, which is no verdict (0 PASS, 1 FAIL, 2 INCONCLUSIVE)"
    if not exits:
        return Word.INVALID, f"Job {name} failed ({failed}) without an exit code; read its events"
    container, code = min(exits, key=lambda one: one[1])  # 1 is worse than 2
    return EXITS[code], f"container {container} of Job {name} exited {code}"
