"""Whether a schedule has released a version before. Pure.

What MLflow remembers decides: it has no conditional write, so of two schedules that fire in the very same
moment both may begin; the second one then meets the first one's journal, and is refused.
"""

from collections.abc import Mapping

SCHEDULED = "tidegate.scheduled"  # the run that took the version
OUTCOME, RELEASE = "tidegate.outcome", "tidegate.release_id"  # as report writes them


def why_not_due(tags: Mapping[str, str], release_id: str) -> str:
    """Why the version with these tags is not released; '' = it is. A step that runs twice is still due."""
    taken = tags.get(SCHEDULED, "")
    if taken and taken != release_id:
        return f"was taken by run {taken}; release it by hand if that run died"
    ended = tags.get(OUTCOME, "")
    if ended and tags.get(RELEASE) != release_id:
        return f"was released before, by {tags.get(RELEASE, 'another release')}: {ended}"
    return ""
