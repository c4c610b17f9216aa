"""Jobs, by the rules of Kubernetes' own controller: pods until one succeeds, too many fail, or time is up.

Of pkg/controller/job/job_controller.go (v1.33): `backoffLimit`, `activeDeadlineSeconds`, `suspend`, and
`ttlSecondsAfterFinished`. One pod at a time; `completions` and `parallelism` above 1 are not emulated.
"""

from collections.abc import Callable, Mapping

from tidegate.sandbox.api import metadata
from tidegate.sandbox.api.kinds import JOBS, PODS, Json
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers.objects import address, reference
from tidegate.sandbox.interfaces import JobRunner

BACKOFF_LIMIT = 6  # the API's own default
Exits = Mapping[str, int | None]


class JobController:
    """Runs each Job's pod and writes what became of it."""

    def __init__(self, store: Store, runner: JobRunner, clock: Callable[[], float]) -> None:
        self._store, self._runner, self._clock = store, runner, clock
        self._running: set[tuple[str, str]] = set()  # (namespace, pod)

    def reconcile(self) -> None:
        """One pass over all Jobs, and over the pods whose Job is gone."""
        for job in self._store.items(JOBS):
            if _ended_at(job) is None:
                self._go_on(job)
            else:
                self._expire(job)
        for key in list(self._running):
            if self._store.find(PODS, *key) is None:
                self._stop(key)

    def exits(self) -> dict[tuple[str, str], dict[str, int | None]]:
        """What the runner says of every pod that runs; the loop wakes when it changes."""
        return {key: dict(self._runner.exits(*key)) for key in list(self._running)}

    def _go_on(self, job: Json) -> None:
        if job["spec"].get("suspend"):
            return
        for pod in self._pods(job):
            self._follow(pod)
        pods, started = self._pods(job), _started_at(job) or self._clock()
        ended, reason = _end(job["spec"], pods, self._clock() - started)
        if reason == "DeadlineExceeded":
            for pod in pods:  # as the real one: what is active is deleted
                self._store.delete(PODS, *address(pod))
            pods = []
        elif not ended and all(_has_failed(pod) for pod in pods):
            pods.append(self._start(job))
        self._write(job, started, pods, ended, reason)

    def _start(self, job: Json) -> Json:
        namespace, _ = address(job)
        pod = self._store.create(PODS, _pod(job), namespace)
        key = address(pod)
        self._runner.start(*key, pod["spec"]["containers"])
        self._running.add(key)
        return pod

    def _follow(self, pod: Json) -> None:
        """The pod's status from what its processes did; what is no longer ours to run stays as it is."""
        key = address(pod)
        if key in self._running:
            exits = self._runner.exits(*key)
            self._store.write_status(PODS, *key, _pod_status(pod, exits))
            if _is_over(pod, exits):
                self._stop(key)

    def _stop(self, key: tuple[str, str]) -> None:
        self._running.discard(key)
        self._runner.stop(*key)

    def _pods(self, job: Json) -> list[Json]:
        namespace, uid = job["metadata"]["namespace"], job["metadata"]["uid"]
        return [
            pod
            for pod in self._store.items(PODS, namespace)
            if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences", []))
        ]

    def _write(self, job: Json, started: float, pods: list[Json], ended: str, reason: str) -> None:
        now = metadata.timestamp(self._clock())
        phases = [pod.get("status", {}).get("phase", "Pending") for pod in pods]
        status: Json = {
            "startTime": (job.get("status") or {}).get("startTime") or metadata.timestamp(started),
            "active": sum(phase in {"Pending", "Running"} for phase in phases),
            "succeeded": phases.count("Succeeded"),
            "failed": phases.count("Failed"),
        }
        if ended:
            condition = {"type": ended, "status": "True", "reason": reason}
            status["conditions"] = [condition | {"lastTransitionTime": now}]
        status |= {"completionTime": now} if ended == "Complete" else {}
        self._store.write_status(JOBS, *address(job), status)

    def _expire(self, job: Json) -> None:
        kept, ended = job["spec"].get("ttlSecondsAfterFinished"), _ended_at(job)
        if kept is not None and ended is not None and self._clock() - ended >= kept:
            self._store.delete(JOBS, *address(job))


def _end(spec: Json, pods: list[Json], running_s: float) -> tuple[str, str]:
    """The condition and reason of a Job that has ended; '' of one that goes on."""
    deadline = spec.get("activeDeadlineSeconds")
    if any(pod["status"].get("phase") == "Succeeded" for pod in pods):
        return "Complete", "CompletionsReached"
    if sum(_has_failed(pod) for pod in pods) > spec.get("backoffLimit", BACKOFF_LIMIT):
        return "Failed", "BackoffLimitExceeded"
    if deadline is not None and running_s >= deadline:
        return "Failed", "DeadlineExceeded"
    return "", ""


def _pod(job: Json) -> Json:
    """Named after the Job, owned by it, and found by its labels."""
    template, (_, name) = job["spec"]["template"], address(job)
    labels = (template.get("metadata") or {}).get("labels") or {}
    mine = {"job-name": name, "batch.kubernetes.io/job-name": name}
    meta = {"generateName": f"{name}-", "labels": labels | mine}
    meta |= {"ownerReferences": [reference(job)]}
    return {"metadata": meta, "spec": template["spec"], "status": {"phase": "Pending"}}


def _pod_status(pod: Json, exits: Exits) -> Json:
    containers = pod["spec"]["containers"]
    codes = [exits.get(one["name"], "unknown") for one in containers]
    if "unknown" in codes:
        phase = "Pending"
    elif None in codes:
        phase = "Running"
    else:
        phase = "Failed" if any(codes) else "Succeeded"
    return {
        "phase": phase,
        "containerStatuses": [
            {
                "name": one["name"], "image": one.get("image", ""), "imageID": "", "ready": False,
                "restartCount": 0, "state": _state(exits, one["name"]),
            }
            for one in containers
        ],
    }  # fmt: skip


def _state(exits: Exits, name: str) -> Json:
    if name not in exits:
        return {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    code = exits[name]
    if code is None:
        return {"running": {}}
    return {"terminated": {"reason": "Error" if code else "Completed", "exitCode": code}}


def _is_over(pod: Json, exits: Exits) -> bool:
    return all(exits.get(one["name"]) is not None for one in pod["spec"]["containers"])


def _has_failed(pod: Json) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Failed")


def _started_at(job: Json) -> float | None:
    return metadata.seconds((job.get("status") or {}).get("startTime"))


def _ended_at(job: Json) -> float | None:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in {"Complete", "Failed"} and condition.get("status") == "True":
            return metadata.seconds(condition.get("lastTransitionTime")) or 0.0
    return None
