"""trigger: whether a schedule releases a version, which it does once however often it fires."""

from dataclasses import dataclass
from functools import partial

from tidegate.core.due import SCHEDULED, why_not_due
from tidegate.steps.progress import say
from tidegate.steps.registry import step


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggered:
    """YES or NO, the version by its number, and one sentence why."""

    due: str
    pinned_uri: str
    reason: str


@step(touches="reads MLflow; tags the model version there")
def trigger(policy: str, release_id: str, model_uri: str, namespace: str = "") -> Triggered:
    """Say whether this version is to be released now, and take it for this run.

    Args:
        policy: As resolve reads it.
        release_id: Identifies this run.
        model_uri: What the training registered; '' = nothing new.
        namespace: Overrides the policy's namespace.
    """
    from tidegate.adapters.mlflow_registry import registry
    from tidegate.steps.resolve import resolved

    if not model_uri:
        return _told("NO", "", "the training registered nothing new")
    _, candidate = resolved(policy, model_uri, namespace)
    subject = candidate.subject
    with registry(say=partial(say, "trigger")) as models:
        tags = models.tags_of(subject.model, subject.version)
        why = why_not_due(tags, release_id)
        if why:
            return _told("NO", candidate.uri, f"{subject} {why}")
        models.tag_version(subject.model, subject.version, SCHEDULED, release_id)
    return _told("YES", candidate.uri, f"{subject} is new, and taken by run {release_id}")


def _told(due: str, uri: str, reason: str) -> Triggered:
    say("trigger", reason)
    return Triggered(due=due, pinned_uri=uri, reason=reason)
