"""What the cluster shows of a revision that is not ready, read from the API's dicts into typed values. Pure.

Nothing here depends on the mode: a Knative revision and a Standard Deployment own pods, and pods look the
same. The readers take any JSON: what is absent or of another type reads as "not shown", never as an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
STORAGE_INITIALIZER = "storage-initializer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A reason and the words with it."""

    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a container's process ended; a signal is 128 + its number. `is_before`: it has been started again
    or waits for it."""

    reason: str
    exit_code: int
    message: str
    is_before: bool
    at: str = ""  # RFC 3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod. An init container that has done its work has not `ended`."""

    name: str
    is_init: bool
    waiting: Said
    ended: Ended | None
    restarts: int
    is_running: bool
    is_ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod. `unscheduled`: what the scheduler says while it has found no node."""

    name: str
    uid: str
    created: str
    template: str
    phase: str
    said: Said
    unscheduled: Said | None
    containers: tuple[Container, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event about an object that the revision owns."""

    about: str
    reason: str
    message: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Symptoms:
    """All there is to see. `troubles`: the False conditions of the Revision or Deployment (and a True
    ReplicaFailure). `refusal`: PredictorReady, when False. `warnings`: KServe's new ones about our spec.
    `logs`: container -> its last lines. `unseen`: what could not be read, and why."""

    pods: tuple[Pod, ...] = ()
    events: tuple[Event, ...] = ()
    logs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    troubles: tuple[Said, ...] = ()
    refusal: Said = Said()
    warnings: tuple[str, ...] = ()
    transition: str = ""
    failure: Said = Said()
    unseen: tuple[str, ...] = ()

    def containers(self) -> Iterator[Container]:
        """Of every pod, the newest pod first, init containers first."""
        return (container for pod in self.pods for container in pod.containers)

    def words(self, container: Container) -> tuple[str, ...]:
        """Its log; else what it left as its termination message."""
        left = container.ended.message if container.ended else ""
        return self.logs.get(container.name) or tuple(left.splitlines())

    def event(self, *reasons: str, saying: str = "") -> Event | None:
        """The newest event with one of the reasons; a kubelet writes several within one second."""
        told = [e for e in self.events if e.reason in reasons and saying in e.message]
        return max(told, key=lambda event: event.at, default=None)


def pods_of(items: Iterable[Any]) -> tuple[Pod, ...]:
    """The pods of the newest pod's template, newest first; pods that are being deleted say nothing."""
    alive = [item for item in items if not _at(item, "metadata", "deletionTimestamp")]
    pods = sorted(map(_pod, alive), key=lambda pod: pod.created, reverse=True)
    return tuple(pod for pod in pods if pod.template == pods[0].template)


def events_of(items: Iterable[Any], *, since: str = "") -> tuple[Event, ...]:
    """The events that are not older than `since` (RFC 3339); one without a time is taken."""
    events = (_event(item) for item in items)
    return tuple(event for event in events if not event.at or event.at >= since)


def troubles_of(owner: Any) -> tuple[Said, ...]:
    """What the Revision's or Deployment's conditions hold against it."""
    listed = _list(_at(owner, "status", "conditions"))
    bad = [c for c in listed if _text(_at(c, "status")) == _bad(_text(_at(c, "type")))]
    return tuple(_said(condition) for condition in bad)


def refusal_of(isvc: Any) -> Said:
    """What PredictorReady says, when it is False."""
    listed = _list(_at(isvc, "status", "conditions"))
    mine = [c for c in listed if _at(c, "type") == "PredictorReady" and _at(c, "status") == "False"]
    return _said(mine[0]) if mine else Said()


def failure_shown(isvc: Any) -> tuple[str, Said]:
    """`modelStatus`: the transition, and the last failure, which KServe never clears."""
    model = _at(isvc, "status", "modelStatus")
    return _text(_at(model, "transitionStatus")), _said(_at(model, "lastFailureInfo"))


def _bad(kind: str) -> str:
    return "True" if kind == "ReplicaFailure" else "False"


def _pod(item: Any) -> Pod:
    return Pod(
        name=_text(_at(item, "metadata", "name")),
        uid=_text(_at(item, "metadata", "uid")),
        created=_text(_at(item, "metadata", "creationTimestamp")),
        template=_text(_at(item, "metadata", "labels", "pod-template-hash")),
        phase=_text(_at(item, "status", "phase")),
        said=_said(_at(item, "status")),
        unscheduled=_unscheduled(item),
        containers=(
            *_containers(item, "initContainerStatuses", is_init=True),
            *_containers(item, "containerStatuses", is_init=False),
        ),
    )


def _unscheduled(item: Any) -> Said | None:
    for condition in _list(_at(item, "status", "conditions")):
        if _at(condition, "type") == "PodScheduled" and _at(condition, "status") == "False":
            return _said(condition)
    return None


def _containers(item: Any, key: str, *, is_init: bool) -> Iterator[Container]:
    for status in _list(_at(item, "status", key)):
        yield Container(
            name=_text(_at(status, "name")),
            is_init=is_init,
            waiting=_said(_at(status, "state", "waiting")),
            ended=_ended(status, is_init=is_init),
            restarts=_number(_at(status, "restartCount")),
            is_running=isinstance(_at(status, "state", "running"), Mapping),
            is_ready=_at(status, "ready") is True,
        )


def _ended(status: Any, *, is_init: bool) -> Ended | None:
    now = _at(status, "state", "terminated")
    if is_init and isinstance(now, Mapping) and _at(now, "exitCode") == 0:
        return None  # it has done its work, whatever happened before
    for shown, is_before in ((now, False), (_at(status, "lastState", "terminated"), True)):
        if isinstance(shown, Mapping) and isinstance(_at(shown, "exitCode"), int):
            said = _said(shown)
            code = _number(shown["exitCode"])
            return Ended(
                reason=said.reason,
                exit_code=code,
                message=said.message,
                is_before=is_before,
                at=_text(_at(shown, "finishedAt")),
            )
    return None


def _event(item: Any) -> Event:
    times = (_text(_at(item, key)) for key in ("lastTimestamp", "eventTime", "firstTimestamp"))
    said = _said(item)
    return Event(
        about=_text(_at(item, "involvedObject", "name")),
        reason=said.reason,
        message=said.message,
        at=next(filter(None, times), ""),
    )


def _said(item: Any) -> Said:
    return Said(reason=_text(_at(item, "reason")), message=_text(_at(item, "message")))


def _at(item: Any, *path: str) -> Any:
    for key in path:
        item = item.get(key) if isinstance(item, Mapping) else None
    return item


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
