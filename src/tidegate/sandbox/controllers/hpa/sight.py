"""The pods of a Deployment as the calculator sees them: their objects, and what the meter says. Pure."""

from collections.abc import Mapping, Sequence

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.api.metadata import seconds
from tidegate.sandbox.controllers.hpa.rules import PodSeen, Resource, Sample
from tidegate.sandbox.interfaces import Usage


def seen(
    pods: Sequence[Json], used: Mapping[str, Usage | None], resource: Resource = "cpu"
) -> list[PodSeen]:
    """All of them; `used` by the name of the pod.

    A use from before the pod is that of the one which had its number, and is not told of this one.
    """
    return [_seen(pod, used.get(pod["metadata"]["name"]), resource) for pod in pods]


def _seen(pod: Json, used: Usage | None, resource: Resource) -> PodSeen:
    status = pod.get("status") or {}
    ready: Json = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), {})
    started = seconds(status.get("startTime"))
    is_own = used and (started is None or used.at_s - used.window_s >= started)
    return PodSeen(
        name=pod["metadata"]["name"],
        is_running=status.get("phase") == "Running",
        is_ready=ready.get("status") == "True",
        started_s=started,
        ready_since_s=seconds(ready.get("lastTransitionTime")),
        used=_sample(used, resource) if used and is_own else None,
    )


def _sample(used: Usage, resource: Resource) -> Sample:
    value = used.cpu_cores if resource == "cpu" else float(used.memory_bytes)
    return Sample(value=value, at_s=used.at_s, window_s=used.window_s)
