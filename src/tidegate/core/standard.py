"""Standard mode: (what is seen, the journal, time waited) -> the next act on production traffic. Pure.

The candidate is an entry of `spec.canary` with a Deployment of its own. KServe's rules behind it (PRED,
HR: `components/predictor.go`, `httproute_reconciler.go`): Deployments that the spec no longer names are
deleted BEFORE the routes are written, so nothing is dropped or renamed that still has a share; a canary
without an available pod gets no backend, so its share falls to the stable predictor by itself; and while
the stable predictor is not ready, no route is written at all.
"""

from tidegate.core.decisions import Act, Decision, Done, Refuse, Wait, foreign, unproved
from tidegate.core.journal import ActKind, Journal
from tidegate.core.manifest import Json
from tidegate.core.observation import Observation
from tidegate.core.standard_manifest import (
    canary_patch,
    deployment_name,
    entries,
    entry,
    inference_service,
    rename_patch,
    replicas_at,
)
from tidegate.core.standard_readiness import (
    edits_between,
    edits_of_canary,
    edits_of_stable,
    is_only,
    is_share,
    is_up,
)
from tidegate.core.standard_return import is_traffic_safe, manual_command, next_for_return
from tidegate.core.standard_stage import next_for_confirm, next_for_stage
from tidegate.core.standard_state import (
    candidate_name,
    gone_of,
    held_up,
    is_promoted,
    others_of,
    ours_of,
    promoted_of,
    returning_name,
    stable_of,
    unready_of,
)
from tidegate.documents import Incumbent
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


def manifest_of(policy: Policy, storage_uri: str, version: str) -> Json:
    """The object of a first release."""
    return inference_service(policy, storage_uri, version).as_dict()


# -- promotion


def next_for_step(seen: Observation | None, journal: Journal, percent: int) -> Decision:
    """Give the candidate this share, and see it in spec, status and routes. Its pods come first."""
    if trouble := trouble_of(seen, journal):
        return trouble
    assert seen is not None
    assert journal.incumbent is not None  # a first release has no steps
    if percent == 100 and is_promoted(seen, journal, journal.incumbent):
        return _finishing(seen, journal, journal.incumbent)
    ours = ours_of(seen, candidate_name(journal.incumbent), journal.storage_uri)
    assert ours is not None  # `trouble_of` refuses a missing entry
    candidate, stable = deployment_name(journal.name, ours.name), stable_of(seen, journal)
    wanted = replicas_at(seen.predictor, max(percent, ours.percent))
    if ours.replicas < wanted:
        why = f"give {candidate} {wanted} pods before it gets {percent} %"
        return Act(kind=ActKind.SCALE, percent=ours.percent, pods=wanted, why=why)
    if not is_up(seen, ours, candidate, journal.storage_uri):
        return Wait(what=f"{ours.replicas} pods of {candidate}")
    if ours.percent != percent:
        return Act(kind=ActKind.SHIFT, percent=percent, why=f"give {candidate} {percent} %")
    if is_share(seen, ours, candidate=candidate, stable=stable):
        return Done(what=f"{candidate} has {percent} %")
    return Wait(what=f"the routes to give {candidate} {percent} %{held_up(seen)}")


def trouble_of(seen: Observation | None, journal: Journal) -> Refuse | None:
    """Why the promotion must stop now: a foreign edit, or a candidate that is no longer ready."""
    if gone := gone_of(seen, journal):
        return gone
    assert seen is not None
    incumbent = journal.incumbent
    if incumbent is None:
        edits = others_of(seen, None) or edits_of_stable(seen, journal.template)
        return foreign(edits) if edits else unready_of(seen, stable_of(seen, journal))
    is_renamed = is_promoted(seen, journal, incumbent)  # one that is taken up after its last write
    if edits := (drift if is_renamed else _drift_of_canary)(seen, journal):
        return foreign(edits)
    return unready_of(seen, deployment_name(journal.name, candidate_name(incumbent)))


def _drift_of_canary(seen: Observation, journal: Journal) -> str:
    assert journal.incumbent is not None  # a first release has no entry
    incumbent = journal.incumbent
    if edits := edits_of_stable(seen, journal.template):
        return edits
    ours = next((c for c in seen.canary if c.name == candidate_name(incumbent)), None)
    if others := others_of(seen, ours):
        return others
    if ours is None:
        return "our entry of spec.canary was removed"
    if ours.percent not in journal.percents:
        return f"spec.canary[0].trafficPercent was changed to {ours.percent}"
    return edits_of_canary(ours, journal)


def drift(seen: Observation, journal: Journal) -> str:
    """What somebody else changed since our last act; '' while all is as this release left it."""
    incumbent = journal.incumbent
    if incumbent is None:
        return others_of(seen, None) or edits_of_stable(seen, journal.template or seen.predictor)
    if is_promoted(seen, journal, incumbent) and journal.template:
        wanted = promoted_of(journal, incumbent)
        back = ours_of(seen, returning_name(incumbent), incumbent.storage_uri)
        return others_of(seen, back) or edits_between(wanted, seen.predictor, "spec.predictor")
    if journal.template and ours_of(seen, candidate_name(incumbent), journal.storage_uri):
        return _drift_of_canary(seen, journal)
    return others_of(seen, None) or edits_of_stable(seen, incumbent.predictor)


def next_for_finish(seen: Observation | None, journal: Journal) -> Decision:
    """After 100 %: the candidate becomes the stable predictor, and not one of its pods restarts."""
    incumbent = journal.incumbent
    if incumbent is None:
        return Done(what="a first release is the stable predictor already")
    if gone := gone_of(seen, journal):
        return gone
    assert seen is not None
    if is_promoted(seen, journal, incumbent):
        return _finishing(seen, journal, incumbent)
    closed = next_for_step(seen, journal, 100)
    if not isinstance(closed, Done):
        return closed
    name = candidate_name(incumbent)
    return Act(kind=ActKind.RENAME, percent=100, why=f"make {name} the stable predictor")


def _finishing(seen: Observation, journal: Journal, incumbent: Incumbent) -> Decision:
    wanted = promoted_of(journal, incumbent)
    if edits := others_of(seen, None) or edits_between(wanted, seen.predictor, "spec.predictor"):
        return foreign(edits)
    name = stable_of(seen, journal)
    if refusal := unready_of(seen, name):
        return refusal
    if not (seen.is_healthy(name) and is_only(seen, name)):
        return Wait(what=f"the routes to name {name} alone")
    rollout = seen.revisions[name].rollout
    if rollout == journal.candidate_rollout:
        return Done(what=f"{name} is the stable predictor without a restart")
    anew = f"{name}, rollout {rollout}"
    done = Done(what=f"{name} is the stable predictor, but its pods were made anew")
    probe = journal.probe.alone if journal.probe else None
    return unproved(anew, seen.host, probe, journal) or done


# -- writing


def patch_of(act: Act, seen: Observation, journal: Journal, wanted: Json) -> Json:
    """The merge-patch that carries out the act; `wanted` is the candidate's predictor (staging only).

    Every patch names uid and version, a return to 0 too: the list is written whole, and over a newer one
    it would bring back what somebody else had removed.
    """
    assert journal.incumbent is not None  # a first release is created and deleted, never patched
    fence = {"resourceVersion": seen.resource_version, "uid": journal.isvc_uid}
    if act.kind is ActKind.RENAME:
        return rename_patch(seen.predictor, _renamed(seen, journal, journal.incumbent), **fence)
    listed = _listed(act, seen, journal, journal.incumbent, wanted)
    return canary_patch(listed, **fence)


def _renamed(seen: Observation, journal: Journal, incumbent: Incumbent) -> Json:
    if is_promoted(seen, journal, incumbent):
        return {**incumbent.predictor, "name": returning_name(incumbent)}
    return promoted_of(journal, incumbent)


def _listed(
    act: Act, seen: Observation, journal: Journal, incumbent: Incumbent, wanted: Json
) -> list[Json]:
    one = replicas_at(seen.predictor, 0)
    if act.kind is ActKind.STAGE:
        wanted = journal.wanted or wanted
        return [entry(wanted, candidate_name(incumbent), percent=0, replicas=one)]
    if act.kind is ActKind.RESTORE:
        name = returning_name(incumbent)
        return [entry(incumbent.predictor, name, percent=0, replicas=one)]
    if act.kind is ActKind.UNSTAGE:
        return []
    back = is_promoted(seen, journal, incumbent)
    name = returning_name(incumbent) if back else candidate_name(incumbent)
    if act.kind is ActKind.SCALE:
        return entries(seen, name, replicas=act.pods)
    return entries(seen, name, percent=act.percent)
