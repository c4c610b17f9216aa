"""What somebody else changed under a release, named by the field. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate.core.observation import Json, Observation


def drift_of(
    seen: Observation | None,
    *,
    uid: str,
    template: Json,
    candidate: str,
    percents: set[int | None],
    companions: Json | None = None,
) -> str:
    """What somebody else changed under the release; '' when all is as we wrote it.

    The spec is compared itself: a revision made from another change of it comes seconds later.
    """
    if seen is None or seen.deleting:
        return "the InferenceService was deleted"
    if seen.uid != uid:
        return f"the InferenceService was replaced (uid {seen.uid}, was {uid})"
    if edits := edits_of(seen, template) or edits_of_companions(seen, companions):
        return edits
    if seen.created != candidate:
        return f"revision {seen.created} was created by another change of the spec"
    if seen.percent not in percents:
        return f"canaryTrafficPercent was changed to {seen.percent}"
    return ""


def edits_of(seen: Observation, template: Json) -> str:
    """Every field of the template that is not as we wrote it, by its path; '' when there is none."""
    edits = changes(template, seen.template, "spec.predictor")
    return "; ".join(f"{path} was changed to {value}" for path, value in edits)


def edits_of_companions(seen: Observation, companions: Json | None) -> str:
    """What somebody changed in transformer and explainer, before which the candidate was judged; None = they
    were never noted."""
    if companions is None:
        return ""
    edits = changes(companions, seen.companions, "spec")
    return "; ".join(f"{path} was changed to {value}" for path, value in edits)


def changes(ours: Any, theirs: Any, path: str) -> list[tuple[str, str]]:
    """Path and new value of everything that differs."""
    if not isinstance(ours, Mapping) or not isinstance(theirs, Mapping):
        return [] if ours == theirs else [(path, "nothing" if theirs is None else str(theirs))]
    keys = [*ours, *(key for key in theirs if key not in ours)]
    return [
        edit for key in keys for edit in changes(ours.get(key), theirs.get(key), f"{path}.{key}")
    ]
