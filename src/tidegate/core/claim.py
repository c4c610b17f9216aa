"""May this release begin, and from what? (what is seen, policy) -> the incumbent, or why not. Pure."""

from dataclasses import dataclass, replace

from tidegate.core.adoption import Consequence, adoption_of, refused, unfit
from tidegate.core.decisions import Refuse
from tidegate.core.dedicated_baseline import in_use
from tidegate.core.dropped import Dropped
from tidegate.core.first_release import NAME_MAX, preview_name, unfit_name
from tidegate.core.isvc.scaling import class_trouble
from tidegate.core.journal import Journal, Phase
from tidegate.core.manifest import BASELINE_OF, PREVIEW_OF, snapshot
from tidegate.core.observation import Observation
from tidegate.core.standard_drops import inherited
from tidegate.documents import Incumbent, Word
from tidegate.policy import Policy, unsupported
from tidegate.policy.whole import TRANSFORMED_NAME_MAX

AUTO_UPDATE = "serving.kserve.io/disable-auto-update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a release starts from; no incumbent for a first release."""

    incumbent: Incumbent | None
    uid: str = ""
    created_before: str = ""
    uri_before: str = ""
    preview: str = ""
    adopted: tuple[Consequence, ...] = ()  # of a service that is not tidegate's alone
    drops: tuple[Dropped, ...] = ()


def holder_refusal(journal: Journal, release_id: str, now_s: float) -> Refuse | None:
    """Why the journal of an earlier release stops this one; None when it does not, or is to be undone."""
    if journal.is_over and (left_s := in_use(journal, now_s)) > 0:
        return _invalid(
            f"a calibration measures copies of {journal.namespace}/{journal.name}, for {left_s:.0f} s "
            "more at most; wait for it"
        )
    if journal.is_over and journal.release_id == release_id:
        return _invalid(f"release {release_id} has ended ({journal.outcome}); start a new run")
    if journal.is_over or journal.release_id == release_id or journal.deadline_s < now_s:
        return None
    return _invalid(
        f"release {journal.release_id} of {journal.subject} holds {journal.namespace}/{journal.name} "
        f"({journal.phase}, for {journal.deadline_s - now_s:.0f} s more); wait for it or end it"
    )


def is_dead(journal: Journal, now_s: float) -> bool:
    """Past the deadline of its phase: whoever owned it is gone, and anybody may end it."""
    return not journal.is_over and journal.deadline_s < now_s


def can_resume(journal: Journal) -> bool:
    """A second run of the same deploy goes on from its journal; the cluster is no longer as it was."""
    return journal.phase in {Phase.STAGING, Phase.STAGED}


def release_mode(seen: Observation | None, policy: Policy, default: str) -> str:
    """What the cluster recorded; for a new object, what the policy or the cluster says."""
    asked = policy.serving.mode if policy.serving.mode != "auto" else ""
    return (seen.mode if seen else "") or (asked if seen is None else "") or default


def mode_refusal(seen: Observation | None, policy: Policy, default: str) -> Refuse | None:
    """Why there is no release in this mode, whatever the cluster offers."""
    asked = policy.serving.mode if policy.serving.mode != "auto" else ""
    mode = release_mode(seen, policy, default)
    if asked and mode and asked != mode:
        return _invalid(
            f"policy: serving.mode is {asked}, but {policy.name} runs in {mode}; write auto"
        )
    if mode not in {"Knative", "Standard"}:
        return _invalid(
            f"the deployment mode of {policy.name} is {mode or 'unknown'}; write serving.mode: Knative "
            "or Standard in the policy, whichever the cluster has"
        )
    if reason := unsupported(policy.serving, mode):
        return _invalid(f"policy: serving, with {policy.name} in {mode} mode: {reason}")
    return None


def claim(
    seen: Observation | None,
    policy: Policy,
    storage_uri: str,
    version: str = "",
    drops: tuple[Dropped, ...] = (),
) -> Claim | Refuse:
    """Find the incumbent: the revision with all of the traffic, and the URI that it really serves.

    `drops`: what the incumbent's release wrote and this one does not name.
    """
    if seen is None:
        return _first(policy)
    for what, label in (("preview", PREVIEW_OF), ("dedicated baseline", BASELINE_OF)):
        if of := seen.labels.get(label):
            return _invalid(f"{policy.name} is the {what} of {of}; choose another name")
    if seen.deleting or not seen.rolled_out:
        state = "is being deleted" if seen.deleting else "has never served"
        return _invalid(f"{policy.name} {state}; wait, or delete it and release again")
    if len(seen.traffic) != 1:
        return _invalid(
            f"{policy.name} splits its traffic {seen.traffic}; finish that rollout first"
        )
    if refusal := unfit(seen, policy):
        return refusal
    start = _succeed(seen, policy, storage_uri, next(iter(seen.traffic)))
    if isinstance(start, Refuse):
        return start
    adopted = adoption_of(seen, policy, storage_uri, version, drops)
    refusal = inherited(seen, policy, drops) or refused(seen, policy, adopted)
    return refusal or replace(start, adopted=adopted, drops=drops)


def _first(policy: Policy) -> Claim | Refuse:
    if policy.initial == "allow":
        return Claim(incumbent=None)
    if policy.initial == "preview":
        own = policy.serving.transformer and not policy.serving.transformer.collocated
        unfit_for = unfit_name(policy.name, TRANSFORMED_NAME_MAX if own else NAME_MAX)
        return unfit_for or Claim(incumbent=None, preview=preview_name(policy.name))
    return _invalid(
        f"{policy.namespace}/{policy.name} does not exist, and the policy refuses first releases; write "
        "initial: preview (judged first), or initial: allow (live at once)"
    )


def _succeed(seen: Observation, policy: Policy, storage_uri: str, serving: str) -> Claim | Refuse:
    revision = seen.revisions.get(serving)
    if revision is None or not revision.storage_uri:
        return _invalid(f"what {serving} serves cannot be read from its Revision; check the role")
    if revision.storage_uri == storage_uri:
        return Refuse(word=Word.UNCHANGED, reason=f"{serving} already serves {storage_uri}")
    if why := class_trouble(seen.annotations, policy.serving.scaling, seen.mode):
        return _invalid(f"{policy.namespace}/{policy.name}: {why}")
    if seen.storage_uri == storage_uri:
        return _invalid(
            f"the spec of {policy.name} already names {storage_uri} though {serving} serves "
            f"{revision.storage_uri}; repair the spec first"
        )
    if not seen.is_healthy(serving):
        return _invalid(f"the incumbent {serving} is not ready, so no traffic could return to it")
    if seen.annotations.get(AUTO_UPDATE) == "true":
        return _invalid(f"{policy.name} has {AUTO_UPDATE}, which stops rollouts; remove it")
    predictor = snapshot(seen.predictor, revision.storage_uri, dict(revision.labels))
    incumbent = Incumbent(
        revision=serving,
        storage_uri=revision.storage_uri,
        predictor=predictor,
        version=revision.version,
    )
    return Claim(
        incumbent=incumbent,
        uid=seen.uid,
        created_before=seen.created,
        uri_before=seen.storage_uri,
    )


def _invalid(reason: str) -> Refuse:
    return Refuse(word=Word.INVALID, reason=reason)
