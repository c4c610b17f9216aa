"""Whether what is seen is what was wanted: predicates over an observation. Pure.

KServe's own `Ready` speaks of the newest revision, not of production, and `observedGeneration` is not the
InferenceService's, so nothing here relies on either alone. Unknown is never good.
"""

from tidegate.core.observation import Observation

FATAL_REASONS = ("ExitCode", "ProgressDeadlineExceeded", "ContainerMissing")
BLOCKED = ("BlockedByFailedLoad", "InvalidSpec")


def is_staged(seen: Observation, *, incumbent: str, storage_uri: str, before: str) -> bool:
    """The candidate is the newest and ready, dark, and the incumbent has everything."""
    candidate, latest, prev = seen.revisions.get(seen.created), seen.latest, seen.prev
    if candidate is None or latest is None or prev is None or seen.created in {"", before}:
        return False
    return (
        (seen.ready, latest.revision, latest.percent) == (seen.created, seen.created, 0)
        and (prev.revision, prev.percent) == (incumbent, 100)
        and candidate.storage_uri == storage_uri
        and candidate.replicas >= seen.min_replicas
        and seen.is_true("Ready")
        and seen.is_whole
        and seen.is_true("RoutesReady")
    )


def is_live(seen: Observation, *, storage_uri: str) -> bool:
    """A first release: the newest revision is ours, ready, and has everything."""
    newest = seen.revisions.get(seen.created)
    return (
        newest is not None
        and seen.ready == seen.created
        and seen.traffic == {seen.created: 100}
        and newest.storage_uri == storage_uri
        and newest.replicas >= seen.min_replicas
        and seen.is_true("Ready")
        and seen.is_whole
    )


def is_step(seen: Observation, *, candidate: str, incumbent: str, percent: int) -> bool:
    """The share is in the spec, in the status and in the routes."""
    wanted = {candidate: percent, incumbent: 100 - percent}
    latest = seen.latest
    return (
        seen.percent == percent
        and latest is not None
        and (latest.revision, latest.percent) == (candidate, percent)
        and seen.traffic == {revision: share for revision, share in wanted.items() if share}
        and (percent < 100 or seen.rolled_out == candidate)
        and seen.is_true("RoutesReady")
    )


def is_safe(seen: Observation, revision: str) -> bool:
    """All of production is on the revision."""
    return seen.traffic == {revision: 100}


def failure_of(seen: Observation, revision: str) -> str:
    """Why this revision will not serve, in the runtime's own words; '' while it may still come up."""
    shown = seen.revisions.get(revision)
    if shown is None or shown.ready.status != "False":
        return ""
    if not shown.ready.reason.startswith(FATAL_REASONS):
        return ""
    return f"{shown.ready.reason}: {seen.failure or shown.ready.message}"


def suspicion_of(seen: Observation) -> str:
    """What looks like a failed load but may pass: KServe calls a restart after a storage blip the same."""
    if seen.transition not in BLOCKED:
        return ""
    return f"{seen.transition}: {seen.failure or seen.condition('PredictorReady').message}"
