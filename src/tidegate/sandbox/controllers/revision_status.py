"""A Revision's conditions from what the runtime sees: Knative's rules. Pure."""

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import conditions
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.pods import exit_code
from tidegate.sandbox.controllers.troubles import IMAGE_MISSING, NO_NODE, QUOTA, STORAGE_FAILED
from tidegate.sandbox.interfaces import RevisionStatus

EXPIRED = "ProgressDeadlineExceeded"
_PARTS = ("ResourcesAvailable", "ContainerHealthy")


def judge(before: Json, seen: RevisionStatus, *, active: bool, overdue: bool) -> list[Condition]:
    """Active, ResourcesAvailable, ContainerHealthy and Ready, in the words of Knative.

    A revision that is scaled to zero stays as Ready as it was. One that never got up in time stays
    failed. An init container's failure is invisible here until the deadline: KServe's modelStatus
    sees it, Knative does not.
    """
    if has_expired(before) or not active:
        active_now = Condition(
            type="Active", status="False", reason="NoTraffic", severity="Info",
            message="The target is not receiving traffic.",
        )  # fmt: skip
        return [active_now, *_kept(before)]
    if seen.phase == "Ready":
        done = [Condition(type=part, status="True") for part in _PARTS]
        return [Condition(type="Active", status="True", severity="Info"), *_with_ready(done)]
    return [_queued(), *_unserving(before, seen, overdue=overdue)]


def has_expired(status: Json) -> bool:
    """Its progress deadline passed; Knative does not try such a revision again."""
    return conditions.find(status, "ResourcesAvailable").reason == EXPIRED


def _unserving(before: Json, seen: RevisionStatus, *, overdue: bool) -> list[Condition]:
    in_storage = seen.reason == STORAGE_FAILED
    has_crashed = seen.phase == "Failed" or seen.exit_code is not None
    if seen.reason == IMAGE_MISSING:
        return _unhealthy(IMAGE_MISSING, seen.message)
    if seen.reason in {*NO_NODE, QUOTA} and not overdue:
        reason = "FailedCreate" if seen.reason == QUOTA else "Unschedulable"
        return _without(reason, seen.message)
    if has_crashed and not in_storage:
        code = f"ExitCode{exit_code(seen)}"
        return _unhealthy(code, f"Container failed with: {seen.message}")
    if conditions.find(before, "Ready").is_true:
        return _kept(before)  # a cold start: Ready all along, for the activator holds requests
    if overdue:
        return _without(EXPIRED, f"Initial scale was never achieved. {seen.message}".strip())
    waiting = [Condition(type=part, status="Unknown", reason="Deploying") for part in _PARTS]
    return _with_ready(waiting)


def _queued() -> Condition:
    text = "Requests to the target are being buffered as resources are provisioned."
    return Condition(
        type="Active", status="Unknown", reason="Queued", message=text, severity="Info"
    )


def _without(reason: str, message: str) -> list[Condition]:
    """No pod that could run."""
    lacking = Condition(type=_PARTS[0], status="False", reason=reason, message=message)
    return _with_ready([lacking, Condition(type=_PARTS[1], status="Unknown", reason="Deploying")])


def _unhealthy(reason: str, message: str) -> list[Condition]:
    available = Condition(type=_PARTS[0], status="True")
    healthy = Condition(type=_PARTS[1], status="False", reason=reason, message=message)
    return _with_ready([available, healthy])


def _kept(before: Json) -> list[Condition]:
    return [conditions.find(before, name) for name in (*_PARTS, "Ready")]


def _with_ready(parts: list[Condition]) -> list[Condition]:
    return [*parts, conditions.all_of("Ready", parts)]
