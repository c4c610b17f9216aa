"""Knative mode: (what is seen, the journal, time waited) -> the next act on production traffic. Pure.

The drivers read, do what is decided here, and read again. KServe's rules behind it: `prev` is the last
revision seen with all of `latest`; `latest` follows the newest READY revision; a percent below 100 on a
template that is rolled out at 100 is a roll-back to the revision before; and while the newest ready
revision is un-Ready, Knative applies no percent at all.
"""

from tidegate.core.decisions import (
    RECONCILE_S,
    Act,
    Decision,
    Done,
    Refuse,
    Wait,
    foreign,
    unproved,
)
from tidegate.core.journal import ActKind, Journal
from tidegate.core.manifest import (
    TAG_ROUTING,
    Json,
    inference_service,
    restore_patch,
    shift_patch,
    stage_patch,
)
from tidegate.core.readiness import (
    Observation,
    drift_of,
    edits_of,
    failure_of,
    is_live,
    is_safe,
    is_staged,
    is_step,
    suspicion_of,
)
from tidegate.documents import Incumbent, Word
from tidegate.policy import Policy

SETTLE_S = (
    15.0  # a percent that the routes have not taken by then is not waited for when traffic must go
)
ANSWER_S = 120.0  # an incumbent that is cold may need so long to answer; then it is made anew


# -- staging


def next_for_stage(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Bring the candidate up at 0 %; a first release, live."""
    if journal.incumbent is None:
        return _next_for_first(seen, journal, waited_s)
    if seen is None or seen.deleting or seen.uid != journal.isvc_uid:
        return foreign("the InferenceService was deleted or replaced")
    if (seen.storage_uri, seen.created) == (journal.uri_before, journal.created_before):
        return Act(kind=ActKind.STAGE, percent=0, why=f"stage {journal.storage_uri} at 0 %")
    if seen.storage_uri == journal.uri_before:
        return foreign(f"revision {seen.created} was created by another change of the spec")
    if seen.storage_uri != journal.storage_uri:
        return foreign(f"spec.predictor.model.storageUri was changed to {seen.storage_uri}")
    if journal.template and (edits := edits_of(seen, journal.template)):
        return foreign(edits)
    if seen.percent != 0:
        return foreign(f"canaryTrafficPercent was changed to {seen.percent}")
    return _staging(seen, journal, journal.incumbent, waited_s)


def _staging(
    seen: Observation, journal: Journal, incumbent: Incumbent, waited_s: float
) -> Decision:
    if seen.created in {"", journal.created_before}:
        return _unreconciled(seen, waited_s)
    newest = seen.revisions.get(seen.created)
    if newest is not None and newest.storage_uri != journal.storage_uri:
        return foreign(f"revision {seen.created} serves {newest.storage_uri}, which is not ours")
    if is_staged(
        seen,
        incumbent=incumbent.revision,
        storage_uri=journal.storage_uri,
        before=journal.created_before,
    ):
        host = seen.latest.host if seen.latest else ""
        proof = unproved(seen.created, host, journal.probe, journal)
        return proof or Done(what=f"{seen.created} is ready at 0 %")
    if seen.prev is not None and seen.prev.revision != incumbent.revision and seen.prev.percent:
        reason = f"KServe took {seen.prev.revision} for the incumbent, not {incumbent.revision}"
        return Refuse(word=Word.INVALID, reason=reason)
    return _coming_up(seen)


def _unreconciled(seen: Observation, waited_s: float) -> Decision:
    """A bad URI or runtime leaves only an Event, and the old Ready stays."""
    if seen.warnings:
        return Refuse(word=Word.FAIL, reason=f"KServe refused the spec: {seen.warnings[-1]}")
    if waited_s > RECONCILE_S:
        reason = f"no revision was created within {RECONCILE_S:g} s; look at KServe's controller"
        return Refuse(word=Word.INVALID, reason=reason)
    suspicion = suspicion_of(seen) if seen.transition == "InvalidSpec" else ""
    return Wait(what="KServe to create the revision", suspicion=suspicion)


def _coming_up(seen: Observation) -> Decision:
    if failure := failure_of(seen, seen.created):
        return Refuse(word=Word.FAIL, reason=f"{seen.created} does not start: {failure}")
    newest = seen.revisions.get(seen.created)
    said = newest.ready if newest else None
    why = f" ({said.reason})" if said and said.reason else ""
    ready = seen.ready == seen.created
    what = f"routes and replicas of {seen.created}" if ready else f"{seen.created} to load{why}"
    word = (
        Word.INVALID if said and said.reason == "Unschedulable" else Word.FAIL
    )  # capacity, not model
    return Wait(what=what, suspicion=suspicion_of(seen), word=word)


def _next_for_first(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    if seen is None:
        if journal.isvc_uid:
            return foreign("the InferenceService was deleted")
        return Act(kind=ActKind.CREATE, percent=100, why=f"create {journal.name}, live at once")
    if seen.storage_uri != journal.storage_uri or (journal.isvc_uid or seen.uid) != seen.uid:
        return foreign("somebody else created the InferenceService")
    if is_live(seen, storage_uri=journal.storage_uri):
        proof = unproved(seen.created, _own_host(seen), journal.probe, journal)
        return proof or Done(what=f"{seen.created} is ready and live")
    return _coming_up(seen) if seen.created else _unreconciled(seen, waited_s)


def _own_host(seen: Observation) -> str:
    return seen.latest.host if seen.latest and seen.latest.host else seen.host


# -- promotion


def next_for_confirm(seen: Observation | None, journal: Journal) -> Decision:
    """A first release is live since it was staged, and must still be what serves."""
    if seen is None or (seen.uid, seen.storage_uri) != (journal.isvc_uid, journal.storage_uri):
        return foreign("the first release was changed by somebody else")
    if edits := edits_of(seen, journal.template):
        return foreign(edits)
    if is_live(seen, storage_uri=journal.storage_uri):
        return Done(what=f"{seen.created} is live")
    return Wait(what=f"{seen.created} to be ready")


def next_for_step(seen: Observation | None, journal: Journal, percent: int) -> Decision:
    """Give the candidate this share, and see it in spec, status and routes."""
    incumbent = journal.incumbent.revision if journal.incumbent else ""
    candidate = journal.candidate_revision
    if trouble := trouble_of(seen, journal):
        return trouble
    assert seen is not None  # `trouble_of` refuses a missing object
    if is_step(seen, candidate=candidate, incumbent=incumbent, percent=percent):
        return Done(what=f"{candidate} has {percent} %")
    if seen.percent != percent:
        return Act(kind=ActKind.SHIFT, percent=percent, why=f"give {candidate} {percent} %")
    return Wait(what=f"the routes to give {candidate} {percent} %")


def next_for_finish(
    seen: Observation | None,  # noqa: ARG001 - the last step has left the spec as it stays
    journal: Journal,
) -> Decision:
    """Nothing is left to write: at 100 % the candidate is what is rolled out."""
    return Done(what=f"{journal.candidate_revision} is rolled out")


def trouble_of(seen: Observation | None, journal: Journal) -> Refuse | None:
    """Why the promotion must stop now: a foreign edit, or a candidate that is no longer ready."""
    drift = drift_of(
        seen,
        uid=journal.isvc_uid,
        template=journal.template,
        candidate=journal.candidate_revision,
        percents=journal.percents,
    )
    if drift:
        return foreign(drift)
    candidate = journal.candidate_revision
    if seen is not None and not seen.is_healthy(candidate):
        said = (
            failure_of(seen, candidate) or suspicion_of(seen) or "its Ready condition is not True"
        )
        return Refuse(word=Word.FAIL, reason=f"{candidate} is no longer ready: {said}")
    return None


# -- return


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
        return _finish_restore(seen, journal, journal.incumbent)
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
        proof = unproved(incumbent.revision, seen.host, incumbent.probe, journal)
        return proof if proof and waited_s < ANSWER_S else restore
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


def _finish_restore(seen: Observation, journal: Journal, incumbent: Incumbent) -> Decision:
    """The spec names the incumbent's model."""
    newest = seen.revisions.get(seen.created)
    if newest is None or newest.storage_uri != incumbent.storage_uri:
        return Wait(what="KServe to re-create the incumbent's revision")
    if failure := failure_of(seen, newest.name):
        return Refuse(word=Word.FAIL, reason=f"{newest.name} does not start: {failure}")
    up = seen.is_healthy(newest.name) and newest.replicas >= seen.min_replicas
    if seen.ready != newest.name or not up:
        return Wait(what=f"{newest.name}, the incumbent's template, to load")
    if proof := unproved(newest.name, _own_host(seen), incumbent.probe, journal):
        return proof
    if seen.percent not in {100, None}:
        return _step_onto(seen, newest.name, journal, incumbent)
    if not is_safe(seen, newest.name):
        return Wait(what=f"the routes to give {newest.name} everything")
    done = Done(what=f"all traffic is on {newest.name}, which serves {incumbent.storage_uri}")
    return unproved(newest.name, seen.host, incumbent.probe, journal) or done


def _step_onto(seen: Observation, newest: str, journal: Journal, incumbent: Incumbent) -> Decision:
    """From the incumbent to its likeness by the policy's steps; from a bad model, at once."""
    held = seen.percent or 0
    if seen.latest is None or (seen.latest.revision, seen.latest.percent) != (newest, held):
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


# -- writing


def manifest_of(policy: Policy, storage_uri: str, version: str) -> Json:
    """The object of a first release."""
    return inference_service(policy, storage_uri, version).as_dict()


def patch_of(act: Act, seen: Observation, journal: Journal, wanted: Json) -> Json:
    """The merge-patch that carries out the act; `wanted` is the candidate's predictor (staging only).

    Every patch names the uid, so an object that was deleted and made again is never written. All but a
    return to 0 name the version too: nobody has written in between. That one must not lose a race.
    """
    version = seen.resource_version
    if act.kind is ActKind.SHIFT:
        patch = shift_patch(act.percent or 0, resource_version=version if act.percent else "")
    elif act.kind is ActKind.STAGE:
        untagged = seen.annotations.get(TAG_ROUTING) != "true"
        patch = stage_patch(wanted, resource_version=version, add_tag_routing=untagged)
    else:
        assert journal.incumbent is not None  # nothing is restored after a first release
        patch = restore_patch(
            seen.predictor, journal.incumbent, resource_version=version, percent=act.percent
        )
    return {**patch, "metadata": {**patch.get("metadata", {}), "uid": journal.isvc_uid}}
