"""Restarts of the candidate's containers since a traffic step began: they block unless the policy says more.

Kubernetes counts from the pod's making on, and forgets with the pod. So each look goes on from the one
before: what was there as the step began does not count, and what a replaced pod has done still does. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tidegate.core.symptoms import Container, Pod
from tidegate.documents import Finding, Word
from tidegate.policy import RestartsSlo

DEFAULT = RestartsSlo(kind="restarts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One container of one pod: its restarts before the step, and the most that were seen since.

    One that has ended and is about to be started again counts. `told`: how it last ended in the step.
    """

    pod: str
    uid: str
    container: str
    before: int
    most: int
    told: str = ""

    @property
    def restarts(self) -> int:
        """Within the step."""
        return max(0, self.most - self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """All looks of one traffic step so far; `unseen`: why the newest one could not read the pods."""

    since_s: float
    counted: tuple[Counted, ...] = ()
    pods: int = 0
    unseen: str = ""


def seen(earlier: Restarts, pods: Sequence[Pod]) -> Restarts:
    """With one more look; pods that are gone stay counted."""
    known = {(one.uid, one.container): one for one in earlier.counted}
    for pod in pods:
        for container in pod.containers:
            if not container.is_init:
                key = (pod.uid or pod.name, container.name)
                known[key] = _counted(known.get(key), pod, container, earlier.since_s)
    return replace(earlier, counted=tuple(known.values()), pods=len(pods), unseen="")


def _counted(known: Counted | None, pod: Pod, container: Container, since_s: float) -> Counted:
    ended = container.ended
    now = container.restarts + (ended is not None and not ended.is_before)
    is_new = ended is not None and _since(ended.at, since_s, otherwise=container.restarts > 0)
    told = _told(pod, container) if is_new else ""
    if known is None:
        born = _since(pod.created, since_s, otherwise=False)
        before = 0 if born else now - is_new
        return Counted(
            pod=pod.name,
            uid=pod.uid or pod.name,
            container=container.name,
            before=before,
            most=now,
            told=told,
        )
    return replace(known, most=max(known.most, now), told=told or known.told)


def _since(at: str, since_s: float, *, otherwise: bool) -> bool:
    """Whether a time (RFC 3339) is in the step; when it is not told, the caller's guess."""
    try:
        return datetime.fromisoformat(at).timestamp() >= int(since_s)  # whole seconds are told
    except ValueError:
        return otherwise


def judge_restarts(objective: RestartsSlo | None, restarts: Restarts) -> Finding:
    """FAIL for more restarts since the step began than the limit.

    Nobody has to let the pods be read, so not to see them blocks only where the policy has such an objective.
    """
    asked = objective or DEFAULT
    name = asked.name or "restarts"
    count = sum(one.restarts for one in restarts.counted)
    if restarts.unseen and count <= asked.limit:
        message = f"{name} of the candidate's pods are not known ({restarts.unseen})"
        return Finding(
            name=name,
            word=Word.INCONCLUSIVE,
            message=message,
            blocking=asked.blocks and objective is not None,
            warns=asked.warns,
        )
    told = "; ".join(one.told for one in restarts.counted if one.restarts and one.told)
    return Finding(
        name=name,
        word=Word.FAIL if count > asked.limit else Word.PASS,
        observed=float(count),
        limit=float(asked.limit),
        message=f"{name}: {count} of the candidate's containers in this step"
        + (f", {asked.limit} allowed: {told}" if count else ""),
        blocking=asked.blocks,
        warns=asked.warns,
        samples=restarts.pods,
    )


def _told(pod: Pod, container: Container) -> str:
    ended = container.ended
    assert ended is not None  # these are the ones that ended
    how = f"{ended.reason or 'no reason'}, exit {ended.exit_code}"
    return f"{container.name} of {pod.name} ended at {ended.at or 'a time not told'} ({how})"
