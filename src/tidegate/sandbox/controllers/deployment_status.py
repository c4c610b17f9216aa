"""A Deployment's counts and conditions from its ReplicaSets: Kubernetes' own rules. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import conditions
from tidegate.sandbox.controllers.conditions import Condition

COMPLETE, EXCEEDED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pods:
    """One ReplicaSet's pods."""

    name: str
    is_newest: bool
    replicas: int
    ready: int
    refused: str = ""  # why none could be created: a quota


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How a rollout may stray from the wanted number of pods."""

    surge: int
    unavailable: int


def room(deployment: Json) -> Room:
    """`maxSurge` is rounded up, `maxUnavailable` down; Recreate takes all pods away first."""
    spec = deployment["spec"]
    strategy, count = spec.get("strategy") or {}, spec["replicas"]
    if strategy.get("type") == "Recreate":
        return Room(surge=0, unavailable=count)
    limits = strategy.get("rollingUpdate") or {}
    surge = math.ceil(_share(limits.get("maxSurge", "25%"), count))
    unavailable = math.floor(_share(limits.get("maxUnavailable", "25%"), count))
    return Room(surge=surge, unavailable=unavailable if surge or unavailable else 1)


def _share(limit: int | str, count: int) -> float:
    if isinstance(limit, int):
        return limit
    return count * int(limit.removesuffix("%")) / 100


def status(deployment: Json, sets: Sequence[Pods], *, overdue: bool, stamp: str) -> Json:
    """The whole status; a count of zero is left out, as the real server does."""
    before = deployment.get("status") or {}
    wanted = deployment["spec"]["replicas"]
    ready = sum(s.ready for s in sets)
    every = [
        _available(ready, _least(deployment)),
        _progressing(before, wanted, sets, overdue=overdue),
        *(_failure(s.refused) for s in sets if s.refused),
    ]
    listed = [
        entry | {"lastUpdateTime": entry["lastTransitionTime"]}
        for entry in conditions.as_json(every, _without_updates(before), stamp)
    ]
    return _counts(wanted, ready, sets) | {
        "observedGeneration": deployment["metadata"]["generation"],
        "conditions": listed,
    }


def _least(deployment: Json) -> int:
    """What counts as available; Recreate has no allowance, though it takes all pods away."""
    count: int = deployment["spec"]["replicas"]
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return count
    return count - room(deployment).unavailable


def _counts(wanted: int, ready: int, sets: Sequence[Pods]) -> Json:
    counts = {
        "replicas": sum(s.replicas for s in sets),
        "updatedReplicas": sum(s.replicas for s in sets if s.is_newest),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(wanted - ready, sum(s.replicas - s.ready for s in sets), 0),
    }
    return {name: count for name, count in counts.items() if count}


def _without_updates(before: Json) -> Json:
    entries = before.get("conditions") or []
    return {
        "conditions": [
            {k: v for k, v in entry.items() if k != "lastUpdateTime"} for entry in entries
        ]
    }


def _failure(message: str) -> Condition:
    return Condition(type="ReplicaFailure", status="True", reason="FailedCreate", message=message)


def _available(ready: int, least: int) -> Condition:
    if ready >= least:
        return Condition(
            type="Available", status="True", reason="MinimumReplicasAvailable",
            message="Deployment has minimum availability.",
        )  # fmt: skip
    return Condition(
        type="Available", status="False", reason="MinimumReplicasUnavailable",
        message="Deployment does not have minimum availability.",
    )  # fmt: skip


def _progressing(before: Json, wanted: int, sets: Sequence[Pods], *, overdue: bool) -> Condition:
    """Once complete, it stays so until the template changes: a crash shows in Available alone."""
    newest = next(s for s in sets if s.is_newest)
    done = Condition(
        type="Progressing", status="True", reason=COMPLETE,
        message=f'ReplicaSet "{newest.name}" has successfully progressed.',
    )  # fmt: skip
    was = conditions.find(before, "Progressing")
    if was.reason == COMPLETE and was.message == done.message:
        return done
    if newest.ready == wanted and len(sets) == 1:
        return done
    if overdue:
        text = f'ReplicaSet "{newest.name}" has timed out progressing.'
        return Condition(type="Progressing", status="False", reason=EXCEEDED, message=text)
    text = f'ReplicaSet "{newest.name}" is progressing.'
    return Condition(type="Progressing", status="True", reason="ReplicaSetUpdated", message=text)
