"""Runs the Job of a gate, waits for its end and removes it; tidegate's own roles do not allow it."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.core.job_gate import ended, is_same, job_name, manifest, verdict
from tidegate.core.symptoms import Pod, pods_of
from tidegate.documents import Word
from tidegate.errors import ConflictError, RejectedError, TidegateError, UnavailableError
from tidegate.policy import JobSlo

Json = dict[str, Any]
Verdict = tuple[Word, str]
GRACE_S = 60.0  # for the cluster to notice that the Job's own deadline is over
PERMISSION = "apply deploy/components/job-gate (docs/objectives.md)"
MOST_OF_A_LOG = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """The one that is ours, whatever else gets its name."""

    kube: Kubernetes
    namespace: str
    name: str
    uid: str

    @property
    def path(self) -> str:
        return f"{_jobs(self.namespace)}/{self.name}"


def asked(
    kube: Kubernetes,
    objective: JobSlo,
    told: Mapping[str, str],
    *,
    namespace: str,
    release_id: str,
    look_every_s: float = 2.0,
    stop: Callable[[], None] = lambda: None,
) -> Verdict:
    """The verdict of the Job and why; INVALID when it cannot be run or seen. The Job is gone afterwards.

    Never raises for the cluster; `stop` is called at every look, and may raise.
    """
    wanted = manifest(objective, job_name(objective, release_id), told)
    try:
        job = _begun(kube, namespace, wanted)
    except TidegateError as error:
        return _unknown(namespace, wanted["metadata"]["name"], error)
    with _removing(job) as left:
        word, why = _awaited(job, objective, look_every_s, stop)
    return word, why + "".join(left)


def _jobs(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def _unknown(namespace: str, name: str, error: TidegateError) -> Verdict:
    advice = f"; {PERMISSION}" if "HTTP 403" in str(error) else ""
    return Word.INVALID, f"Job {namespace}/{name}: {error}{advice}"


def _begun(kube: Kubernetes, namespace: str, wanted: Json) -> _Job:
    """Once for a release: the Job of a try that died is waited for, not run again."""
    name = wanted["metadata"]["name"]
    try:
        made = _made(kube, namespace, wanted) or _made(kube, namespace, wanted)
    except UnavailableError:
        _abandon(kube, namespace, wanted)
        raise
    if made is None:
        raise ConflictError("it can neither be made nor found; remove what keeps its name")
    if not is_same(made, wanted):
        raise ConflictError("there is one of this name that asks something else; remove it")
    return _Job(kube=kube, namespace=namespace, name=name, uid=made["metadata"]["uid"])


def _made(kube: Kubernetes, namespace: str, wanted: Json) -> Json | None:
    """The Job, made now or before; None when it was there a moment ago and is gone."""
    try:
        return kube.request("POST", _jobs(namespace), wanted)
    except ConflictError:
        return kube.find(f"{_jobs(namespace)}/{wanted['metadata']['name']}")


def _abandon(kube: Kubernetes, namespace: str, wanted: Json) -> None:
    """Its making was never answered, so it may be there all the same."""
    name = wanted["metadata"]["name"]
    with suppress(TidegateError):
        found = kube.find(f"{_jobs(namespace)}/{name}")
        if found is not None and is_same(found, wanted):
            uid = found["metadata"]["uid"]
            with _removing(_Job(kube=kube, namespace=namespace, name=name, uid=uid)):
                pass


@contextmanager
def _removing(job: _Job) -> Iterator[list[str]]:
    """Remove it with its pods, however the block ends; words where that did not succeed."""
    left: list[str] = []
    try:
        yield left
    finally:
        body = {"propagationPolicy": "Background", "preconditions": {"uid": job.uid}}
        try:
            job.kube.request("DELETE", job.path, body)
        except ConflictError:
            pass  # another one has its name by now
        except (RejectedError, UnavailableError) as error:
            if "HTTP 404" not in str(error):
                left.append(f"; it could not be removed ({error})")


def _awaited(
    job: _Job, objective: JobSlo, look_every_s: float, stop: Callable[[], None]
) -> Verdict:
    until = time.monotonic() + objective.timeout_s + GRACE_S
    while True:
        stop()
        found = _look(job)
        if found is not None:
            return found
        if time.monotonic() > until:
            return Word.INVALID, f"Job {job.name} has not ended; look at its pods"
        time.sleep(look_every_s)


def _look(job: _Job) -> Verdict | None:
    """Its verdict, or why there will be none; None while it runs."""
    try:
        seen = job.kube.find(job.path)
        if seen is None or seen["metadata"]["uid"] != job.uid:
            return Word.INVALID, f"Job {job.name} was deleted by somebody before it had ended"
        is_over, failed = ended(seen)
        if not is_over:
            return None
        pods = _pods(job) if failed else ()
        word, why = verdict(failed, pods, name=job.name)
        return word, why + _last_words(job, pods)
    except (RejectedError, UnavailableError) as error:
        return _unknown(job.namespace, job.name, error)


def _pods(job: _Job) -> tuple[Pod, ...]:
    path = f"/api/v1/namespaces/{job.namespace}/pods"
    found = job.kube.request("GET", path, query={"labelSelector": f"job-name={job.name}"})
    return pods_of(list(found.get("items") or []))


def _last_words(job: _Job, pods: tuple[Pod, ...]) -> str:
    """The last line of the container that failed: its log goes with the Job."""
    for pod in pods:
        for one in pod.containers:
            if one.ended is not None and one.ended.exit_code:
                path = f"/api/v1/namespaces/{job.namespace}/pods/{pod.name}/log"
                try:
                    text = job.kube.text(path, {"container": one.name, "tailLines": "10"})
                except (RejectedError, UnavailableError):
                    return ""  # a Role need not allow it
                lines = [line.strip() for line in text.splitlines() if line.strip()]
                return f": {lines[-1][:MOST_OF_A_LOG]}" if lines else ""
    return ""
