"""Who may take a release from its run, and what its run is told then. Pure."""

from tidegate.core.claim import can_resume, is_dead
from tidegate.core.journal import Journal, Phase


def taken_over(ours: Journal, now: Journal) -> str:
    """Why this hand must let go: the journal is no longer as it wrote it."""
    at = f"{ours.namespace}/{ours.name}"
    if now.release_id != ours.release_id:
        return f"release {now.release_id} has taken over {at}; this run of {ours.release_id} stops"
    if now.hand and now.hand != ours.hand:
        return f"release {ours.release_id} was {now.hand}; this run stops"
    state = f"{now.phase} ({now.reason})" if now.reason else now.phase.value
    return (
        f"somebody else wrote the journal of release {ours.release_id}, now {state}; this run stops"
    )


def resumed_by(journal: Journal, now_s: float) -> str:
    """Who goes on with a promotion whose run was stopped by that; '' when nobody does, or no longer."""
    alive = journal.phase is Phase.PROMOTING and not is_dead(journal, now_s)
    return journal.hand if alive and not journal.fast_track else ""


def is_fast_staging(journal: Journal) -> bool:
    """A roll-back to an earlier version that is not yet promoted: it needs no evidence, so nothing is missing
    to go on with it."""
    return journal.fast_track and can_resume(journal) and bool(journal.policy)


def resume_refusal(journal: Journal, now_s: float) -> str:
    """Why this release cannot be gone on with; '' when it can, or has ended."""
    named = f"release {journal.release_id} of {journal.subject}"
    at = f"{journal.name} --namespace {journal.namespace}"
    if journal.is_over or journal.phase is Phase.RETURNING:
        return ""
    if is_dead(journal, now_s):
        late = f"{now_s - journal.deadline_s:.0f} s past its deadline while {journal.phase}"
        return f"{named} is {late}; run: tidegate sweep --namespace {journal.namespace}"
    if is_fast_staging(journal):
        return ""
    if journal.phase is not Phase.PROMOTING:
        return (
            f"{named} is {journal.phase}, and its evidence is not in the cluster; start its run again "
            f"with the same release id, or run: tidegate abort {at}"
        )
    if not journal.deployment or not journal.policy:
        return f"{named} did not journal its policy and deployment; run: tidegate abort {at}"
    return ""
