"""Knative mode: (what is seen, the journal, time waited) -> the next act on production traffic. Pure.

The drivers read, do what is decided here, and read again. KServe's rules behind it: `prev` is the last
revision seen with all of `latest`; `latest` follows the newest READY revision; a percent below 100 on a
template that is rolled out at 100 is a roll-back to the revision before; and while the newest ready
revision is un-Ready, Knative applies no percent at all.
"""

from tidegate.core.coming_up import starting, unready_companion, unreconciled
from tidegate.core.decisions import (
    Act,
    Decision,
    Done,
    Refuse,
    Wait,
    foreign,
    unproved,
)
from tidegate.core.drift import drift_of, edits_of, edits_of_companions
from tidegate.core.dropped import without
from tidegate.core.journal import ActKind, Journal
from tidegate.core.knative_return import is_traffic_safe, manual_command, next_for_return
from tidegate.core.manifest import (
    TAG_ROUTING,
    Json,
    difference,
    inference_service,
    restore_patch,
    shift_patch,
    stage_patch,
)
from tidegate.core.observation import Observation, own_host
from tidegate.core.readiness import failure_of, is_live, is_staged, is_step, suspicion_of
from tidegate.documents import Incumbent, Word
from tidegate.policy import Policy

__all__ = [
    "is_traffic_safe",
    "manifest_of",
    "manual_command",
    "next_for_confirm",
    "next_for_finish",
    "next_for_return",
    "next_for_stage",
    "next_for_step",
    "patch_of",
    "trouble_of",
]

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
    if journal.template and (edits := _edits(seen, journal)):
        return foreign(edits)
    if seen.percent != 0:
        return foreign(f"canaryTrafficPercent was changed to {seen.percent}")
    return _staging(seen, journal, journal.incumbent, waited_s)


def _edits(seen: Observation, journal: Journal) -> str:
    return edits_of(seen, journal.template) or edits_of_companions(seen, journal.companions)


def _staging(
    seen: Observation, journal: Journal, incumbent: Incumbent, waited_s: float
) -> Decision:
    if seen.created in {"", journal.created_before}:
        return unreconciled(seen, waited_s, what="revision")
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


def _coming_up(seen: Observation) -> Refuse | Wait:
    found = starting(seen, seen.created)
    if not isinstance(found, Wait) or found.suspicion:
        return found
    is_up = seen.ready == seen.created
    routes = Wait(what=f"routes and replicas of {seen.created}", word=Word.FAIL)
    return unready_companion(seen, is_asked=is_up) or (routes if is_up else found)


def _next_for_first(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    if seen is None:
        if journal.isvc_uid:
            return foreign("the InferenceService was deleted")
        return Act(kind=ActKind.CREATE, percent=100, why=f"create {journal.name}, live at once")
    if seen.storage_uri != journal.storage_uri or (journal.isvc_uid or seen.uid) != seen.uid:
        return foreign("somebody else created the InferenceService")
    if is_live(seen, storage_uri=journal.storage_uri):
        proof = unproved(seen.created, own_host(seen), journal.probe, journal)
        return proof or Done(what=f"{seen.created} is ready and live")
    return _coming_up(seen) if seen.created else unreconciled(seen, waited_s, what="revision")


# -- promotion


def next_for_confirm(seen: Observation | None, journal: Journal) -> Decision:
    """A first release is live since it was staged, and must still be what serves."""
    if seen is None or (seen.uid, seen.storage_uri) != (journal.isvc_uid, journal.storage_uri):
        return foreign("the first release was changed by somebody else")
    if edits := _edits(seen, journal):
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
        companions=journal.companions,
    )
    if drift:
        return foreign(drift)
    candidate = journal.candidate_revision
    if seen is not None and not seen.is_healthy(candidate):
        found = seen.diagnosis
        said = found.message if found else failure_of(seen, candidate) or suspicion_of(seen)
        said = said or "its Ready condition is not True"
        word = found.word if found else Word.FAIL
        return Refuse(word=word, reason=f"{candidate} is no longer ready: {said}")
    return None


# -- writing


def manifest_of(policy: Policy, storage_uri: str, version: str) -> Json:
    """The object of a first release."""
    return inference_service(policy, storage_uri, version).as_dict()


def patch_of(act: Act, seen: Observation, journal: Journal, wanted: Json) -> Json:
    """The merge-patch that carries out the act; `wanted` is the candidate's predictor (staging only), with
    nulls for what the release before wrote and this one does not; or the journal's own: that is the whole of
    it, so what it lacks goes.

    Every patch names the uid, so an object that was deleted and made again is never written. All but a
    return to 0 name the version too: nobody has written in between. That one must not lose a race.
    """
    version = seen.resource_version
    if act.kind is ActKind.SHIFT:
        patch = shift_patch(act.percent or 0, resource_version=version if act.percent else "")
    elif act.kind is ActKind.STAGE:
        wanted = (
            difference(seen.template, journal.wanted)
            if journal.wanted
            else without(wanted, journal.drops, seen.predictor)
        )
        untagged = seen.annotations.get(TAG_ROUTING) != "true"
        patch = stage_patch(wanted, resource_version=version, add_tag_routing=untagged)
    else:
        assert journal.incumbent is not None  # nothing is restored after a first release
        patch = restore_patch(
            seen.predictor, journal.incumbent, resource_version=version, percent=act.percent
        )
    return {**patch, "metadata": {**patch.get("metadata", {}), "uid": journal.isvc_uid}}
