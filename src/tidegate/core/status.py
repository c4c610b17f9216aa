"""How a release stands: its journal beside what the cluster shows now. Pure.

The journal says what was meant; only the cluster says what is. Where they differ, that is drift, and a
person must hear of it before tidegate acts again.
"""

from typing import Literal

from pydantic import Field

from tidegate.core import standard
from tidegate.core.approval import unapprovable
from tidegate.core.dedicated_baseline import is_forgotten
from tidegate.core.drift import drift_of, edits_of
from tidegate.core.journal import ActRecord, Journal, Phase
from tidegate.core.observation import Observation
from tidegate.core.takeover import is_fast_staging
from tidegate.core.traffic import rules_of
from tidegate.documents import Result, Strict, Subject

LAST_ACTS = 6


class Served(Strict):
    """One revision that production reaches, or that this release speaks of."""

    revision: str
    version: str = Field(default="", description="registry version that tidegate labelled it with")
    storage_uri: str = ""
    percent: int | None = None


class ReleaseStatus(Strict):
    """One InferenceService that tidegate has released to."""

    schema_version: Literal[1] = 1
    kind: Literal["ReleaseStatus"] = "ReleaseStatus"
    namespace: str
    name: str
    release_id: str = Field(description="the owner, or the last one")
    subject: Subject
    mode: str
    phase: Phase
    outcome: Result | None
    reason: str
    deadline_s: float | None = Field(description="Unix time; None once it has ended")
    remaining_s: float | None = Field(description="negative: past its deadline")
    hand: str = Field(description="who took it from its run, and why; '' = nobody")
    earlier: tuple[str, ...] = Field(
        description="versions that `rollback --to` knows, newest first, without what serves"
    )
    lease_holder: str = Field(description="who is in the middle of an act; '' = nobody")
    traffic: tuple[Served, ...]
    incumbent: Served | None
    candidate: Served
    acts: tuple[ActRecord, ...] = Field(description="the last ones")
    traffic_safe: bool = Field(
        description="production is only on ready revisions that this phase allows"
    )
    spec_repaired: bool | None = Field(
        description="the template is the incumbent's again; None where it need not be"
    )
    copies: tuple[str, ...] = Field(
        default=(), description="dedicated baselines that may still be there"
    )
    drift: str = Field(description="what is not as the journal says; '' = nothing")
    next_command: str = Field(description="what to type; '' = nothing is to be done")


def status_of(
    journal: Journal,
    seen: Observation | None,
    *,
    now_s: float,
    lease_holder: str = "",
    earlier: tuple[str, ...] = (),
) -> ReleaseStatus:
    """Read one journal against what the cluster shows."""
    remaining = None if journal.is_over else journal.deadline_s - now_s
    return ReleaseStatus(
        namespace=journal.namespace,
        name=journal.name,
        release_id=journal.release_id,
        subject=journal.subject,
        mode=journal.mode,
        phase=journal.phase,
        outcome=journal.outcome,
        reason=journal.reason,
        deadline_s=None if journal.is_over else journal.deadline_s,
        remaining_s=remaining,
        hand=journal.hand,
        earlier=earlier,
        lease_holder=lease_holder,
        traffic=_traffic(seen),
        incumbent=_incumbent(journal),
        candidate=_candidate(journal, seen),
        acts=journal.acts[-LAST_ACTS:],
        traffic_safe=is_traffic_safe(journal, seen),
        spec_repaired=is_spec_repaired(journal, seen),
        copies=tuple(copy.name for copy in journal.copies_left),
        drift=drift(journal, seen),
        next_command=next_command(journal, seen, past=_is_past(journal, now_s)),
    )


def _is_past(journal: Journal, now_s: float) -> bool:
    """Nobody is at it any more, and something is left: sweep's work."""
    return is_forgotten(journal, now_s) or (not journal.is_over and journal.deadline_s < now_s)


def _traffic(seen: Observation | None) -> tuple[Served, ...]:
    shares = seen.traffic if seen else {}
    return tuple(
        _served(seen, revision).model_copy(update={"percent": percent})
        for revision, percent in shares.items()
    )


def _served(seen: Observation | None, revision: str) -> Served:
    shown = seen.revisions.get(revision) if seen else None
    if shown is None:
        return Served(revision=revision)
    return Served(revision=revision, version=shown.version, storage_uri=shown.storage_uri)


def _incumbent(journal: Journal) -> Served | None:
    was = journal.incumbent
    if was is None:
        return None
    return Served(revision=was.revision, version=was.version, storage_uri=was.storage_uri)


def _candidate(journal: Journal, seen: Observation | None) -> Served:
    percent = seen.traffic.get(journal.candidate_revision, 0) if seen else None
    return Served(
        revision=journal.candidate_revision,
        version=journal.subject.version,
        storage_uri=journal.storage_uri,
        percent=percent,
    )


def is_traffic_safe(journal: Journal, seen: Observation | None) -> bool:
    """Production is only on ready revisions of what this phase allows; what cannot be seen is not safe."""
    allowed = _allowed_uris(journal)
    if seen is None or not allowed:
        nothing_yet = bool(journal.preview) and not journal.isvc_uid
        return seen is None and (
            nothing_yet or not allowed
        )  # or a first release that was taken back
    reached = [seen.revisions.get(revision) for revision in seen.traffic]
    return bool(reached) and all(
        shown is not None and shown.storage_uri in allowed and shown.ready.status == "True"
        for shown in reached
    )


def _allowed_uris(journal: Journal) -> set[str]:
    """The storage URIs that production may reach now."""
    before = {journal.incumbent.storage_uri} if journal.incumbent else set()
    if journal.outcome is Result.PROMOTED:
        return {journal.storage_uri}
    if journal.phase is Phase.PROMOTING:
        return before | {journal.storage_uri}
    if (
        journal.is_initial
        and not journal.preview
        and journal.phase in {Phase.STAGING, Phase.STAGED}
    ):
        return {journal.storage_uri}
    return before


def is_spec_repaired(journal: Journal, seen: Observation | None) -> bool | None:
    """The spec is the incumbent's again; None while it need not be (running, or promoted)."""
    if journal.outcome is Result.PROMOTED or not (
        journal.is_over or journal.phase is Phase.RETURNING
    ):
        return None
    if journal.incumbent is None or seen is None:
        return journal.incumbent is None and seen is None
    return not edits_of(seen, _template_before(journal))


def _template_before(journal: Journal) -> dict[str, object]:
    held = journal.incumbent.predictor if journal.incumbent else {}
    return {key: value for key, value in held.items() if key != "canaryTrafficPercent"}


def drift(journal: Journal, seen: Observation | None) -> str:
    """What somebody else changed; '' while all is as this release left it."""
    if seen is None:
        return "" if _may_be_missing(journal) else "the InferenceService is gone"
    if journal.preview and not journal.isvc_uid:
        ours = seen.created_by == journal.release_id
        return "" if ours else f"{journal.name} was created by somebody else"
    if journal.isvc_uid and seen.uid != journal.isvc_uid:
        return f"the InferenceService was replaced (uid {seen.uid}, was {journal.isvc_uid})"
    if journal.mode == "Standard":
        return standard.drift(seen, journal)
    if journal.phase in {Phase.STAGED, Phase.PROMOTING} or journal.outcome is Result.PROMOTED:
        return drift_of(
            seen,
            uid=journal.isvc_uid,
            template=journal.template or seen.template,
            candidate=journal.candidate_revision,
            percents=journal.percents | ({None, 100} if journal.is_over else set()),
        )
    return _foreign_template(journal, seen)


def _may_be_missing(journal: Journal) -> bool:
    return journal.is_initial and journal.outcome is not Result.PROMOTED


def _foreign_template(journal: Journal, seen: Observation) -> str:
    """Staging and returning move between two templates; a third one is somebody else's."""
    if journal.is_over and journal.incumbent:
        return edits_of(seen, _template_before(journal))
    known = {journal.storage_uri, journal.uri_before}
    known |= {journal.incumbent.storage_uri} if journal.incumbent else set()
    if seen.storage_uri in known:
        return ""
    return f"spec.predictor.model.storageUri was changed to {seen.storage_uri}"


def next_command(journal: Journal, seen: Observation | None, *, past: bool) -> str:
    """The one thing to type now; '' when nothing is to be done."""
    at = f"{journal.name} --namespace {journal.namespace}"
    if journal.is_over and not is_traffic_safe(journal, seen):
        return rules_of(journal).manual_command(seen, journal)
    if past or (journal.is_over and journal.spec_repaired is False):
        return f"tidegate sweep --namespace {journal.namespace}"
    if journal.is_over:
        return f"tidegate resume {at}  # moves the alias" if journal.is_alias_left else ""
    if not unapprovable(journal):
        return f"tidegate approve {at}  # or reject-approval; counts once its gate says PASS"
    if journal.phase in {Phase.STAGING, Phase.STAGED} and not is_fast_staging(journal):
        return f"tidegate abort {at}  # or let its run go on"
    return f"tidegate resume {at}  # if its run has died"
