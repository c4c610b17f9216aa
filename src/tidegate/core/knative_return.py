"""Knative mode: how production goes back to what served before. Pure.

Traffic first, at once; then the spec, by re-creating the incumbent's revision from its template, which
needs room for the incumbent, the bad one and the re-created one together.
"""

from tidegate.core.decisions import (
    RECONCILE_S,
    Act,
    Decision,
    Done,
    Prove,
    Refuse,
    Wait,
    diagnosed,
    foreign,
    unproved,
)
from tidegate.core.journal import ActKind, Journal
from tidegate.core.manifest import PERCENT, Json, patch_command, restore_patch
from tidegate.core.observation import Observation, Revision, own_host
from tidegate.core.readiness import failure_of, is_safe
from tidegate.documents import Incumbent, Word

SETTLE_S = (
    15.0  # a percent that the routes have not taken by then is not waited for when traffic must go
)
ANSWER_S = 120.0  # an incumbent that is cold may need so long to answer; then it is made anew


def is_traffic_safe(seen: Observation | None, journal: Journal) -> bool:
    """All of production is on what served before (or its likeness), which is up and was asked."""
    if journal.incumbent is None:
        return seen is None
    if seen is None or len(seen.traffic) != 1:
        return False
    revision = next(iter(seen.traffic))
    proof = unproved(revision, seen.host, journal.incumbent.probe, journal)
    return proof is None and _is_incumbents(seen, revision, journal.incumbent)


def _is_incumbents(seen: Observation, revision: str, incumbent: Incumbent) -> bool:
    held = seen.revisions.get(revision)
    same = held is not None and held.storage_uri == incumbent.storage_uri
    return same and seen.is_healthy(revision)


def next_for_return(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Bring production back to what served before: traffic first, then the spec."""
    if journal.incumbent is None:
        return _next_for_deletion(seen, journal)
    if seen is None or seen.deleting or seen.uid != journal.isvc_uid:
        return foreign("the InferenceService was deleted or replaced; its traffic is not ours")
    if seen.storage_uri == journal.storage_uri:
        return _leave_candidate(seen, journal, journal.incumbent, waited_s)
    if seen.created == journal.created_before and seen.storage_uri == journal.uri_before:
        return _untouched(seen, journal, journal.incumbent)
    if seen.storage_uri == journal.incumbent.storage_uri:
        return _finish_restore(seen, journal, journal.incumbent, waited_s)
    return _leave_to_its_owner(seen, journal, journal.incumbent, waited_s)


def _next_for_deletion(seen: Observation | None, journal: Journal) -> Decision:
    if seen is None:
        return Done(what="the InferenceService is gone; before this release nothing served")
    if seen.storage_uri != journal.storage_uri or (journal.isvc_uid or seen.uid) != seen.uid:
        return foreign("the InferenceService is no longer the one this release created")
    if seen.deleting:
        return Wait(what="the InferenceService to be gone")
    return Act(kind=ActKind.DELETE, why="before this release nothing served")


def _leave_candidate(
    seen: Observation, journal: Journal, incumbent: Incumbent, waited_s: float
) -> Decision:
    """The spec still names our candidate."""
    if seen.created == journal.created_before:
        return _withdraw(seen, waited_s)
    candidate = journal.candidate_revision or seen.created
    restore = Act(kind=ActKind.RESTORE, percent=0, why=f"restore {incumbent.storage_uri} at 0 %")
    healthy = seen.is_healthy(candidate)
    if seen.rolled_out == candidate and healthy and not journal.is_urgent:
        return restore  # the incumbent is cold by now: warm it before anything moves
    if seen.percent != 0:
        return Act(kind=ActKind.SHIFT, percent=0, why=f"return traffic to {incumbent.revision}")
    if is_safe(seen, incumbent.revision):
        return _unproved_incumbent(seen, journal, incumbent, waited_s) or restore
    if waited_s > SETTLE_S or not healthy:
        return restore  # Knative takes no percent while the newest ready revision is un-Ready
    if seen.rolled_out != incumbent.revision and not journal.is_urgent:
        return restore
    return Wait(what=f"the routes to return to {incumbent.revision}")


def _withdraw(seen: Observation, waited_s: float) -> Decision:
    """KServe has not acted on our spec. A restore at 0 % now would meet the rolled-out template, which
    KServe reads as "roll back further"; so let it act, or take the spec back exactly as it was."""
    if waited_s > RECONCILE_S or seen.warnings or seen.transition == "InvalidSpec":
        return Act(kind=ActKind.UNSTAGE, why="KServe never acted on the staged spec")
    return Wait(what="KServe to act on the staged spec, so that it can be undone")


def _finish_restore(
    seen: Observation, journal: Journal, incumbent: Incumbent, waited_s: float
) -> Decision:
    """The spec names the incumbent's model: users first, then its re-created revision."""
    newest = seen.revisions.get(seen.created)
    if newest is None or newest.storage_uri != incumbent.storage_uri:
        return Wait(what="KServe to re-create the incumbent's revision")
    return (
        _blocking(seen, journal)
        or _stranded(seen, incumbent)
        or _unproved_incumbent(seen, journal, incumbent, waited_s)
        or _loading(seen, newest)
        or unproved(newest.name, own_host(seen), incumbent.probe, journal)
        or _taking_over(seen, newest.name, journal, incumbent)
    )


def _unproved_incumbent(
    seen: Observation, journal: Journal, incumbent: Incumbent, waited_s: float
) -> Prove | None:
    """Production is back on the incumbent: ask it, but not for ever, since a repair may cure it."""
    if waited_s >= ANSWER_S or not is_safe(seen, incumbent.revision):
        return None
    return unproved(incumbent.revision, seen.host, incumbent.probe, journal)


def _loading(seen: Observation, newest: Revision) -> Wait | Refuse | None:
    """What the re-created revision still lacks before it can be asked."""
    if seen.diagnosis and seen.diagnosis.certain:
        return diagnosed(seen.diagnosis, f"{newest.name} does not start")
    if not seen.diagnosis and (failure := failure_of(seen, newest.name)):
        return Refuse(word=Word.FAIL, reason=f"{newest.name} does not start: {failure}")
    up = seen.is_healthy(newest.name) and newest.replicas >= seen.min_replicas
    if seen.ready != newest.name or not up:
        why = f" ({seen.diagnosis.message})" if seen.diagnosis else ""
        return Wait(what=f"{newest.name}, the incumbent's template, to load{why}")
    if seen.latest is None or seen.latest.revision != newest.name:
        return Wait(
            what=f"the routes to know {newest.name}"
        )  # its host still reaches the one before
    return None


def _taking_over(
    seen: Observation, newest: str, journal: Journal, incumbent: Incumbent
) -> Decision:
    if seen.percent not in {100, None}:
        return _step_onto(seen, newest, journal, incumbent)
    if not is_safe(seen, newest):
        return Wait(what=f"the routes to give {newest} everything")
    done = Done(what=f"all traffic is on {newest}, which serves {incumbent.storage_uri}")
    return unproved(newest, seen.host, incumbent.probe, journal) or done


def _blocking(seen: Observation, journal: Journal) -> Act | None:
    """Users still reach a candidate that is un-Ready, and while it is the newest ready revision Knative
    programs no route. The spec no longer asks for it: without it, `latest` is the incumbent again, which
    is faster than waiting until the re-created one has loaded. Knative: route.go 475-481 leaves the
    Ingress alone on errUnreadyRevision; configuration.go 161-175 recomputes the newest ready revision.
    """
    bad = journal.candidate_revision
    freed = any(act.kind is ActKind.FREE for act in journal.acts)
    if freed or bad not in seen.revisions or seen.is_healthy(bad) or bad not in seen.traffic:
        return None
    return Act(
        kind=ActKind.FREE,
        revision=bad,
        why=f"delete {bad}, which is un-Ready and blocks the routes",
    )


def _stranded(seen: Observation, incumbent: Incumbent) -> Act | None:
    """The rolled-out candidate is un-Ready or gone, and below 100 `prev` names it: no route is programmed
    again (route.go 475-481). At 100 there is `latest` alone, which is the incumbent's model by now."""
    if seen.percent in {100, None} or seen.rolled_out not in seen.traffic:
        return None
    if seen.is_healthy(seen.rolled_out) or not _is_incumbents(seen, seen.ready, incumbent):
        return None
    why = f"give {seen.ready} everything, for {seen.rolled_out} serves nobody"
    return Act(kind=ActKind.SHIFT, percent=100, why=why)


def _step_onto(seen: Observation, newest: str, journal: Journal, incumbent: Incumbent) -> Decision:
    """From the incumbent to its likeness by the policy's steps; from a bad model, at once."""
    held = seen.percent or 0
    if seen.latest is None or seen.latest.percent != held:
        return Wait(what=f"the routes to give {newest} {held} %")
    is_calm = all(_is_incumbents(seen, name, incumbent) for name in seen.traffic)
    steps = journal.steps_back if is_calm else (100,)
    percent = min((step for step in steps if step > held), default=100)
    return Act(kind=ActKind.SHIFT, percent=percent, why=f"give {newest} {percent} %")


def _untouched(seen: Observation, journal: Journal, incumbent: Incumbent) -> Decision:
    if not is_safe(seen, incumbent.revision):
        return Wait(what=f"the routes to give {incumbent.revision} everything")
    done = Done(what=f"all traffic is on {incumbent.revision}, which never left")
    return unproved(incumbent.revision, seen.host, incumbent.probe, journal) or done


def _leave_to_its_owner(
    seen: Observation, journal: Journal, incumbent: Incumbent, waited_s: float
) -> Decision:
    """Somebody wrote another template. Take our share back if the percent is still ours, and leave."""
    ours = journal.candidate_revision
    exposed = bool(ours) and seen.traffic.get(ours, 0) > 0 and waited_s <= SETTLE_S
    if exposed and seen.rolled_out == incumbent.revision:
        if seen.percent is not None and 0 < seen.percent < 100:
            return Act(kind=ActKind.SHIFT, percent=0, why=f"return traffic to {incumbent.revision}")
        if seen.percent == 0:
            return Wait(what=f"the routes to return to {incumbent.revision}")
    return foreign(f"spec.predictor.model.storageUri was changed to {seen.storage_uri}")


def manual_command(seen: Observation | None, journal: Journal) -> str:
    """What a person types when tidegate cannot return the traffic, as things stand.

    While the candidate is un-Ready no percent is taken, so the incumbent's whole template goes in.
    """
    if journal.incumbent is None:
        names = " ".join(journal.made)
        return f"kubectl -n {journal.namespace} delete inferenceservice {names}"
    patch: Json = {"spec": {"predictor": {PERCENT: 0}}}
    if seen is not None and not seen.is_healthy(journal.candidate_revision or seen.created):
        restore = restore_patch(seen.predictor, journal.incumbent, resource_version="")
        patch = {"spec": restore["spec"]}
    return patch_command(journal.namespace, journal.name, patch)
