"""A first release that is judged before it is live: a preview first, then the real InferenceService. Pure.

Without a rolled-out revision KServe ignores canaryTrafficPercent (ksvc_reconciler.go:123-164): the first
revision of an object has all of its traffic at once. So the candidate comes up under another name, which no
client knows, is tested there, and the real object is created only once it has passed. Nothing here knows a
deployment mode; the mode's own rules of a first release bring up the one and the other.
"""

from tidegate.core.dark_service import DarkService, about, next_for_arrival, next_for_removal
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
from tidegate.core.manifest import CREATED_BY, PREVIEW_OF, Json
from tidegate.core.observation import Observation
from tidegate.core.traffic import rules_of
from tidegate.documents import Word
from tidegate.policy import Policy

SUFFIX = "-preview"
NAME_MAX = 46  # latest-<name>-predictor must be a DNS label of 63


def preview_name(name: str) -> str:
    """What the preview of an InferenceService is called."""
    return f"{name}{SUFFIX}"


def unfit_name(name: str, most: int = NAME_MAX) -> Refuse | None:
    """Why this name has no room for a preview's."""
    spare = len(preview_name(name)) - most
    if spare <= 0:
        return None
    return _invalid(
        f"{preview_name(name)} would be {len(preview_name(name))} characters long, and {most} fit; "
        f"shorten the policy's name by {spare}, or write initial: allow (live at once)"
    )


def preview_refusal(seen: Observation | None, policy: Policy) -> Refuse | None:
    """Why the preview's name is not free; no release of this service is open now."""
    if seen is None:
        return None
    name = f"{policy.namespace}/{preview_name(policy.name)}"
    if seen.deleting:
        return _invalid(f"{name} is still being deleted; wait, then release again")
    if seen.labels.get(PREVIEW_OF) == policy.name:
        return _invalid(
            f"{name} is left over from release {seen.created_by}, whose journal is gone; delete it: "
            f"kubectl -n {policy.namespace} delete inferenceservice {preview_name(policy.name)}"
        )
    return _invalid(
        f"{name} exists and is not a preview of tidegate's; rename it, choose another name for the "
        "model, or write initial: allow (live at once)"
    )


def manifest_of(kind: ActKind, journal: Journal, policy: Policy) -> Json:
    """What a CREATE or a PREVIEW writes: the mode's own manifest, with the mark of its creator.

    Annotations and labels are part of the revision's template, so the marks are written here or never.
    """
    is_preview = kind is ActKind.PREVIEW
    named = _as_preview(policy, journal.preview) if is_preview else policy
    made = rules_of(journal).manifest_of(named, journal.storage_uri, journal.subject.version)
    metadata = made["metadata"]
    marked = {"annotations": {**metadata["annotations"], CREATED_BY: journal.release_id}}
    marked |= {"labels": {PREVIEW_OF: journal.name}} if is_preview else {}
    return {**made, "metadata": {**metadata, **marked}}


# -- forward


def next_for_preview(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Bring the preview up. No production is touched."""
    create = Act(kind=ActKind.PREVIEW, why=f"create {journal.preview}, which no client knows")
    return next_for_arrival(seen, _preview(journal), journal.as_preview, waited_s, create=create)


def next_for_judged(seen: Observation | None, journal: Journal) -> Decision:
    """What was judged must still be what runs, or the verdict is about something else."""
    if seen is not None and not _preview(journal).is_ours(seen):
        return foreign(f"{journal.preview} was replaced by somebody else")
    return about(journal.preview, rules_of(journal).next_for_confirm(seen, journal.as_preview))


def next_for_live(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Create the real one, live at once, for its preview has passed."""
    if seen is not None and not _real(journal).is_ours(seen):
        return foreign(f"{journal.name} was created by somebody else while its preview was judged")
    decided = rules_of(journal).next_for_stage(seen, journal, waited_s)
    if not isinstance(decided, Done) or seen is None:
        return decided
    probe = journal.probe.alone if journal.probe else None  # the preview has answered for the rest
    return unproved(seen.created, seen.host, probe, journal) or decided


# -- back


def is_proven(journal: Journal) -> bool:
    """The real one has been live and seen to serve; taking it away would be the outage to prevent."""
    return any((step.percent, step.word) == (100, Word.PASS) for step in journal.steps)


def next_for_withdrawal(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Take back the real one, if this release created it and nobody has taken it over since.

    One that was proven stays, for only its preview is left to remove; unless it no longer serves.
    """
    if seen is None:
        return Done(what=f"there is no {journal.name}, as before this release")
    if not _real(journal).is_ours(seen):
        return Done(what=f"{journal.name} was created by somebody else and is left alone")
    if is_proven(journal):
        confirmed = rules_of(journal).next_for_confirm(seen, journal)
        if not isinstance(confirmed, Wait) or waited_s <= RECONCILE_S:
            return confirmed
    if seen.storage_uri != journal.storage_uri:
        return foreign(f"{journal.name} was changed to {seen.storage_uri} and is left alone")
    if seen.deleting:
        return Wait(what=f"{journal.name} to be gone")
    return Act(kind=ActKind.DELETE, why="before this release nothing served")


def next_for_discard(seen: Observation | None, journal: Journal, waited_s: float) -> Decision:
    """Remove the preview, and nothing but the one this release made."""
    return next_for_removal(seen, _preview(journal), waited_s, kind=ActKind.DISCARD)


def _preview(journal: Journal) -> DarkService:
    return DarkService(name=journal.preview, uid=journal.preview_uid, made_by=journal.release_id)


def _real(journal: Journal) -> DarkService:
    """Dark until it is created, and then live; its maker is told the same way."""
    return DarkService(name=journal.name, uid=journal.isvc_uid, made_by=journal.release_id)


def _invalid(reason: str) -> Refuse:
    return Refuse(word=Word.INVALID, reason=reason)


def _as_preview(policy: Policy, name: str) -> Policy:
    """Another service of the same model: clients will ask for it by the name that it keeps."""
    kept = policy.triton.model_copy(update={"model_name": policy.triton_model})
    return policy.model_copy(update={"name": name, "triton": kept})
