"""Standard mode: production goes back to what served before. Pure.

Before the promotion the incumbent never left. After it, its pods are gone: it comes up beside the
candidate, takes everything, and takes the candidate's place.
"""

from tidegate.core.decisions import Act, Decision, Done, Refuse, Wait, foreign, unproved
from tidegate.core.journal import ActKind, Journal
from tidegate.core.manifest import patch_command
from tidegate.core.observation import Canary, Observation
from tidegate.core.readiness import failure_of
from tidegate.core.standard_manifest import deployment_name, entries, entry, replicas_at
from tidegate.core.standard_readiness import (
    ROUTED,
    edits_of_stable,
    is_alone,
    is_only,
    is_share,
    is_up,
    service_host,
)
from tidegate.core.standard_state import (
    candidate_name,
    gone_of,
    held_up,
    is_before,
    is_promoted,
    others_of,
    ours_of,
    returning_name,
    stable_of,
)
from tidegate.documents import Incumbent, Word


def is_traffic_safe(seen: Observation | None, journal: Journal) -> bool:
    """All of production is on what served before (or its likeness), which is up and was asked."""
    incumbent = journal.incumbent
    if incumbent is None:
        return seen is None
    if seen is None or len(seen.traffic) != 1:
        return False
    name = next(iter(seen.traffic))
    held = seen.revisions.get(name)
    same = held is not None and held.storage_uri == incumbent.storage_uri
    up = same and seen.is_healthy(name) and is_alone(seen, name)
    return up and unproved(name, seen.host, incumbent.probe, journal) is None


def manual_command(seen: Observation | None, journal: Journal) -> str:
    """What a person types when tidegate cannot return the traffic: our share to 0, or, once the incumbent's
    pods are gone, the incumbent beside the candidate; KServe gives it everything when it is ready."""
    incumbent = journal.incumbent
    if incumbent is None:
        names = " ".join(journal.made)
        return f"kubectl -n {journal.namespace} delete inferenceservice {names}"
    listed = None if seen is None else entries(seen, candidate_name(incumbent), percent=0)
    if seen is not None and is_promoted(seen, journal, incumbent):
        name = returning_name(incumbent)
        listed = [entry(incumbent.predictor, name, percent=100, replicas=1)]
    return patch_command(journal.namespace, journal.name, {"spec": {"canary": listed}})


def next_for_return(
    seen: Observation | None,
    journal: Journal,
    waited_s: float,  # noqa: ARG001 - nothing here gets better by giving up
) -> Decision:
    """Bring production back to what served before: traffic first, then the spec."""
    if journal.incumbent is None:
        return _next_for_deletion(seen, journal)
    if gone := gone_of(seen, journal):
        return foreign(f"{gone.reason}; its traffic is not ours")
    assert seen is not None
    if is_promoted(seen, journal, journal.incumbent):
        return _restoring(seen, journal, journal.incumbent)
    return _leave_candidate(seen, journal, journal.incumbent)


def _next_for_deletion(seen: Observation | None, journal: Journal) -> Decision:
    if seen is None:
        return Done(what="the InferenceService is gone; before this release nothing served")
    if seen.storage_uri != journal.storage_uri or (journal.isvc_uid or seen.uid) != seen.uid:
        return foreign("the InferenceService is no longer the one this release created")
    if seen.deleting:
        return Wait(what="the InferenceService to be gone")
    return Act(kind=ActKind.DELETE, why="before this release nothing served")


def _leave_candidate(seen: Observation, journal: Journal, incumbent: Incumbent) -> Decision:
    """The candidate is a canary, or was never there. Its pods go once no route names them with a share."""
    stable = stable_of(seen, journal)
    ours = ours_of(seen, candidate_name(incumbent), journal.storage_uri)
    if ours is not None and ours.percent != 0:
        return Act(kind=ActKind.SHIFT, percent=0, why=f"return traffic to {stable}")
    candidate = deployment_name(journal.name, candidate_name(incumbent))
    if ours is not None and not _is_left(seen, ours, candidate):
        return Wait(what=f"the routes to return to {stable}{held_up(seen)}")
    if not is_before(seen, incumbent):
        edits = edits_of_stable(seen, incumbent.predictor)
        return foreign(edits or "spec.predictor was changed")
    if others := others_of(seen, ours):
        return foreign(others)
    if ours is not None:
        drop = Act(kind=ActKind.UNSTAGE, percent=0, why=f"drop {candidate}")
        return unproved(stable, seen.host, incumbent.probe, journal) or drop
    return _returned(seen, stable, journal, incumbent)


def _is_left(seen: Observation, ours: Canary, candidate: str) -> bool:
    """KServe has acted on the 0 %, if it ever acted on the entry, and every gateway has taken it."""
    acted = ours.shown in {None, 0}
    return acted and bool(seen.traffic) and candidate not in seen.traffic and seen.is_true(ROUTED)


def _returned(seen: Observation, stable: str, journal: Journal, incumbent: Incumbent) -> Decision:
    held = seen.revisions.get(stable)
    if held is None or held.storage_uri != incumbent.storage_uri or not seen.is_healthy(stable):
        return Wait(what=f"{stable} to be ready")
    if is_only(seen, stable):
        done = Done(what=f"all traffic is on {stable}, which serves {incumbent.storage_uri}")
        return unproved(stable, seen.host, incumbent.probe, journal) or done
    return Wait(what=f"the routes to give {stable} everything")


def _restoring(seen: Observation, journal: Journal, incumbent: Incumbent) -> Decision:
    """The candidate is the stable predictor: the incumbent comes up beside it, takes over, and takes its
    place. Both need room together."""
    ours = ours_of(seen, returning_name(incumbent), incumbent.storage_uri)
    if others := others_of(seen, ours):
        return foreign(others)
    if ours is None:
        return Act(kind=ActKind.RESTORE, percent=0, why=f"restore {incumbent.storage_uri} at 0 %")
    return _warming(seen, ours, journal, incumbent) or _taking_over(seen, ours, journal, incumbent)


def _warming(
    seen: Observation, ours: Canary, journal: Journal, incumbent: Incumbent
) -> Decision | None:
    """Until the incumbent could serve everything; None when it can."""
    revision = deployment_name(journal.name, ours.name)
    if failure := failure_of(seen, revision):
        return Refuse(word=Word.FAIL, reason=f"{revision} does not start: {failure}")
    if not is_up(seen, ours, revision, incumbent.storage_uri):
        return Wait(what=f"{revision}, the incumbent's template, to load")
    wanted = replicas_at(seen.predictor, 100)
    if ours.replicas < wanted:
        why = f"give {revision} {wanted} pods"
        return Act(kind=ActKind.SCALE, percent=ours.percent, pods=wanted, why=why)
    return unproved(revision, service_host(seen, revision), incumbent.probe, journal)


def _taking_over(
    seen: Observation, ours: Canary, journal: Journal, incumbent: Incumbent
) -> Decision:
    revision, stable = deployment_name(journal.name, ours.name), stable_of(seen, journal)
    if ours.percent != 100:
        return Act(kind=ActKind.SHIFT, percent=100, why=f"give {revision} 100 %")
    if not is_share(seen, ours, candidate=revision, stable=stable):
        return Wait(what=f"the routes to give {revision} everything{held_up(seen)}")
    why = f"make {ours.name} the stable predictor again"
    rename = Act(kind=ActKind.RENAME, percent=0, why=why)
    return unproved(revision, seen.host, incumbent.probe, journal) or rename
