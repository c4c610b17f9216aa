"""Restarts of the candidate's containers within a bake: they block unless the policy says more. Pure."""

from collections.abc import Sequence
from datetime import datetime

from tidegate.core.symptoms import Container, Pod
from tidegate.documents import Finding, Word
from tidegate.policy import RestartsSlo

DEFAULT = RestartsSlo(kind="restarts")


def judge_restarts(
    objective: RestartsSlo | None, pods: Sequence[Pod] | None, *, since_s: float, unseen: str = ""
) -> Finding:
    """FAIL for more restarts of the containers that ended since then than the limit.

    `pods` None: they could not be read, because of `unseen`. Nobody has to let them be read, so that blocks
    only where the policy has such an objective.
    """
    asked = objective or DEFAULT
    name = asked.name or "restarts"
    blocking = asked.severity == "blocking"
    if pods is None:
        message = f"{name} of the candidate's pods are not known ({unseen})"
        known = blocking and objective is not None
        return Finding(name=name, word=Word.INCONCLUSIVE, message=message, blocking=known)
    ended = [(pod, one) for pod in pods for one in pod.containers if _ended_since(one, since_s)]
    count = sum(max(1, one.restarts) for _, one in ended)
    told = "; ".join(_told(pod, one) for pod, one in ended)
    return Finding(
        name=name,
        word=Word.FAIL if count > asked.limit else Word.PASS,
        observed=float(count),
        limit=float(asked.limit),
        message=f"{name}: {count} of the candidate's containers in this step"
        + (f", {asked.limit} allowed: {told}" if told else ""),
        blocking=blocking,
        samples=len(pods),
    )


def _ended_since(container: Container, since_s: float) -> bool:
    if container.is_init or container.ended is None:
        return False
    try:
        at = datetime.fromisoformat(container.ended.at).timestamp()
    except ValueError:
        return container.restarts > 0  # when it ended is not told, so it may have been now
    return at >= since_s


def _told(pod: Pod, container: Container) -> str:
    ended = container.ended
    assert ended is not None  # these are the ones that ended
    how = f"{ended.reason or 'no reason'}, exit {ended.exit_code}"
    return f"{container.name} of {pod.name} ended at {ended.at or 'a time not told'} ({how})"
