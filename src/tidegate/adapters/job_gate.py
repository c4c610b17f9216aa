"""Runs the Job of a gate and waits for its end; tidegate's own roles do not allow it."""

import time
from collections.abc import Mapping

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.pods import Pods
from tidegate.core.job_gate import ended, job_name, manifest, verdict
from tidegate.documents import Word
from tidegate.errors import ConflictError, RejectedError, UnavailableError
from tidegate.policy import JobSlo

GRACE_S = 60.0  # for the cluster to notice that the Job's own deadline is over
PERMISSION = "allow create and get on jobs and list on pods there (docs/objectives.md)"


def asked(
    kube: Kubernetes,
    objective: JobSlo,
    told: Mapping[str, str],
    *,
    namespace: str,
    release_id: str,
    look_every_s: float = 2.0,
) -> tuple[Word, str]:
    """The verdict of the Job and why; INVALID when it cannot be run or seen. Never raises for the cluster."""
    name = job_name(objective, release_id)
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    try:
        _create(kube, jobs, manifest(objective, name, told))
        return _awaited(kube, f"{jobs}/{name}", objective, namespace, look_every_s)
    except RejectedError as error:
        return Word.INVALID, f"Job {namespace}/{name}: {error}; {PERMISSION}"
    except (UnavailableError, ConflictError) as error:
        return Word.INVALID, f"Job {namespace}/{name}: {error}"


def _create(kube: Kubernetes, jobs: str, wanted: dict[str, object]) -> None:
    """Once for a release: the Job of a try that died is waited for, not run again."""
    try:
        kube.request("POST", jobs, wanted)
    except ConflictError:
        return


def _awaited(
    kube: Kubernetes, path: str, objective: JobSlo, namespace: str, look_every_s: float
) -> tuple[Word, str]:
    until = time.monotonic() + objective.timeout_s + GRACE_S
    name = path.rpartition("/")[2]
    while True:
        is_over, failed = ended(kube.request("GET", path))
        if is_over:
            pods = Pods(kube, namespace).of(f"job-name={name}") if failed else ()
            return verdict(failed, pods, name=name)
        if time.monotonic() > until:
            return Word.INVALID, f"Job {name} has not ended; look at its pods"
        time.sleep(look_every_s)
