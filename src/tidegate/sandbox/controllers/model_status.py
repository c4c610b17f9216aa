"""`status.modelStatus`: KServe's reading of the newest revision's pods. Pure."""

from collections.abc import Sequence

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.runtimes import NoRuntime

_TRANSITIONS = {
    "Pending": "InProgress", "Loading": "InProgress", "Loaded": "UpToDate",
    "FailedToLoad": "BlockedByFailedLoad",
}  # fmt: skip


def from_pods(before: Json, pods: Sequence[Json], *, is_loaded: bool, has_failed: bool) -> Json:
    """The new modelStatus; `before` because the active state and the last failure are kept.

    `is_loaded`: the InferenceService is Ready on its newest revision. `has_failed`: a condition of
    the Knative Service is False, which is all there is to see once the pods are gone.
    """
    if not pods:
        return _moved(before, "FailedToLoad" if has_failed else "Pending", None, 0)
    copies = sum(1 for pod in pods if _is_ready(pod))
    if is_loaded:
        return _moved(before, "Loaded", None, copies)
    newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    state, failure = _judge(newest["status"])
    return _moved(before, state, failure, copies)


def invalid(before: Json, problem: NoRuntime) -> Json:
    """No runtime: the target is not even tried, what is active stays active."""
    failure = {"reason": problem.reason, "message": problem.message}
    states = (before.get("states") or {}) | {"targetModelState": "FailedToLoad"}
    changed = {"transitionStatus": "InvalidSpec", "lastFailureInfo": failure, "states": states}
    return {"copies": {"failedCopies": 0}} | before | changed


def _is_ready(pod: Json) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return bool(statuses) and all(status.get("ready") for status in statuses)


def _judge(status: Json) -> tuple[str, Json | None]:
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(field) or []:
            state = container["state"]
            if field == "initContainerStatuses" and "running" in state:
                return "Loading", None
            if failure := _failure(container):
                return "FailedToLoad", failure
    return "Pending", None


def _failure(container: Json) -> Json | None:
    """An exit with an error, or whatever came before a crash loop's pause, OOMKilled included."""
    ended = container["state"].get("terminated")
    if ended and ended.get("reason") != "Error":
        return None
    if container["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff":
        ended = (container.get("lastState") or {}).get("terminated")
    if not ended:
        return None
    found = {"reason": "ModelLoadFailed", "message": ended.get("message", "")}
    return found | {"exitCode": ended.get("exitCode", 0)}


def _moved(before: Json, state: str, failure: Json | None, copies: int) -> Json:
    states = dict(before.get("states") or {}) | {"targetModelState": state}
    if state == "Loaded":
        states["activeModelState"] = "Loaded"
    after: Json = {
        "copies": {"failedCopies": 0, "totalCopies": copies},
        "states": states,
        "transitionStatus": _TRANSITIONS[state],
    }
    last = failure or before.get("lastFailureInfo")  # sticky: KServe never clears it
    return after | ({"lastFailureInfo": last} if last else {})
