"""The pods of a revision that is not ready, their events and logs, for a diagnosis.

Whatever may not be read (a Role without pods or logs, an API that is away) is left out and named; looking for
a cause never fails a release. One look is three to five calls, so looks are at least `EVERY_S` apart.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.core.causes import diagnose
from tidegate.core.diagnosis import Diagnosis
from tidegate.core.symptoms import (
    Container,
    Pod,
    Symptoms,
    events_of,
    failure_shown,
    pods_of,
    refusal_of,
    troubles_of,
)
from tidegate.errors import RejectedError, UnavailableError

Json = dict[str, Any]
EVERY_S = 1.0
LOG_LINES = (
    600  # Triton writes 40 lines of tables after its last error, 400 of usage after a bad flag
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What came of the last look for one selector; `key`: at what."""

    at: float
    key: str
    found: Diagnosis | None
    unseen: tuple[str, ...]


class Pods:
    """The pods of one namespace, as far as they may be read."""

    def __init__(self, kube: Kubernetes, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._core = f"/api/v1/namespaces/{namespace}"
        self._last: dict[str, Look] = {}

    def diagnosis(
        self, isvc: Json, owner: Json | None, *, selector: str, warnings: Sequence[str] = ()
    ) -> Look:
        """Why `owner` (the Revision or Deployment of the pods that `selector` names) is not ready.

        Within `EVERY_S` of the last look the answer of that look, unless either object was written meanwhile.
        """
        last, key = self._last.get(selector), f"{_version(isvc)} {_version(owner)} {warnings}"
        if last and last.key == key and time.monotonic() - last.at < EVERY_S:
            return last
        symptoms = self._symptoms(isvc, owner, selector, warnings)
        found = diagnose(symptoms)
        made = Look(at=time.monotonic(), key=key, found=found, unseen=symptoms.unseen)
        self._last[selector] = made
        return made

    def of(self, selector: str) -> tuple[Pod, ...]:
        """The pods that a label selector names, for a look every second: any version that the API has at hand
        will do, so it need not ask its storage. Raises RejectedError or UnavailableError."""
        query = {"labelSelector": selector, "resourceVersion": "0"}
        found = self._kube.once("GET", f"{self._core}/pods", None, query)
        return pods_of(list(found.get("items") or []))

    def _symptoms(
        self, isvc: Json, owner: Json | None, selector: str, warnings: Sequence[str]
    ) -> Symptoms:
        unseen: list[str] = []
        pods = pods_of(self._items("pods", {"labelSelector": selector}, unseen) if owner else ())
        transition, failure = failure_shown(isvc)
        return Symptoms(
            pods=pods,
            events=events_of(self._events(owner, pods, unseen), since=_born(owner)),
            logs=self._logs(pods, unseen),
            troubles=troubles_of(owner),
            refusal=refusal_of(isvc),
            warnings=tuple(warnings),
            transition=transition,
            failure=failure,
            unseen=tuple(unseen),
        )

    def _events(self, owner: Json | None, pods: Sequence[Pod], unseen: list[str]) -> Iterator[Json]:
        """Of the newest pod; without one, why a ReplicaSet of the owner could not make it."""
        if pods:
            about = f"involvedObject.kind=Pod,involvedObject.name={pods[0].name}"
            yield from self._items("events", {"fieldSelector": about}, unseen)
        elif owner:
            prefix = f"{owner['metadata']['name']}-"
            failed = "involvedObject.kind=ReplicaSet,reason=FailedCreate"
            for event in self._items("events", {"fieldSelector": failed}, unseen):
                if str(event.get("involvedObject", {}).get("name", "")).startswith(prefix):
                    yield event

    def _items(self, kind: str, query: Mapping[str, str], unseen: list[str]) -> list[Json]:
        try:
            found = self._kube.once("GET", f"{self._core}/{kind}", None, query)
        except (RejectedError, UnavailableError) as error:
            unseen.append(f"{kind}, {_why(error)}")
            return []
        return list(found.get("items") or [])

    def _logs(self, pods: Sequence[Pod], unseen: list[str]) -> dict[str, tuple[str, ...]]:
        """The last lines of each container of the newest pod that ended, or runs without being ready."""
        if not pods:
            return {}
        told = [c for c in pods[0].containers if c.ended or _is_slow(c)]
        return {c.name: self._log(pods[0].name, c, unseen) for c in told}

    def _log(self, pod: str, container: Container, unseen: list[str]) -> tuple[str, ...]:
        previous = container.ended is not None and container.ended.is_before
        query = {"container": container.name, "tailLines": str(LOG_LINES)}
        query |= {"previous": "true"} if previous else {}
        try:
            text = self._kube.text(f"{self._core}/pods/{pod}/log", query)
        except (RejectedError, UnavailableError) as error:
            if "HTTP 400" not in str(error):  # that run's log is gone, or not there yet
                unseen.append(f"the log of {container.name}, {_why(error)}")
            return ()
        return tuple(text.splitlines())


def _is_slow(container: Container) -> bool:
    return container.is_running and not container.is_ready and not container.is_init


def _version(item: Json | None) -> str:
    return str((item or {}).get("metadata", {}).get("resourceVersion", ""))


def _born(owner: Json | None) -> str:
    return str((owner or {}).get("metadata", {}).get("creationTimestamp", ""))


def _why(error: Exception) -> str:
    said = str(error)
    return "the Role does not allow it" if "HTTP 403" in said else said.partition(";")[0]
