"""The journal of one release: who owns the traffic, what was there before, and every act on it.

It lives in the cluster beside the InferenceService, not in the orchestrator, so that whoever comes after
a death (guard, sweep, the next release) knows what to undo. An act is written as an intent first, done,
and confirmed; an intent without confirmation means "look at the cluster, it may or may not be so".
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tidegate.core.dropped import Dropped
from tidegate.documents import Incumbent, Probe, Result, Strict, Subject, TrafficStep
from tidegate.policy.recorded import in_todays_names


class Phase(StrEnum):
    """Where a release is; everything but ENDED can be half-way."""

    STAGING = "STAGING"
    STAGED = "STAGED"
    PROMOTING = "PROMOTING"
    RETURNING = "RETURNING"
    ENDED = "ENDED"


class ActKind(StrEnum):
    """Every way in which tidegate writes to an InferenceService."""

    PREVIEW = "PREVIEW"  # first release: an InferenceService of its own, dark
    CREATE = "CREATE"  # first release: the real one, live at once
    STAGE = "STAGE"  # the candidate's template at 0 %
    SHIFT = "SHIFT"  # the percent, nothing else
    RESTORE = "RESTORE"  # the incumbent's template, warming at 0 %
    UNSTAGE = "UNSTAGE"  # the very spec of before, while KServe has not acted on ours
    DELETE = "DELETE"  # takes back a first release
    SCALE = "SCALE"  # Standard mode: the pods of a canary, before its share
    RENAME = "RENAME"  # Standard mode: a canary that has everything becomes the stable predictor
    FREE = "FREE"  # deletes the dead revision that keeps Knative from taking any percent
    DISCARD = "DISCARD"  # removes the preview
    BASELINE = "BASELINE"  # a copy of the incumbent, dark, for the load test alone
    RETIRE = "RETIRE"  # removes that copy
    FOLLOW = "FOLLOW"  # Standard mode: KEDA scales the candidate from now on
    UNFOLLOW = "UNFOLLOW"  # removes what would scale it while it is measured


class Copy(Strict):
    """A copy of what serves, as an InferenceService of its own; noted before it is made."""

    name: str
    made_by: str = Field(description="The mark of its creation: a release, or a calibration")
    manifest: dict[str, Any] = Field(description="As it is created")
    probe: Probe | None = Field(default=None, description="How it is asked")
    uid: str = ""
    until_s: float = Field(
        default=0.0,
        description="Unix time; until then somebody measures it though no release is open",
    )
    is_removed: bool = False

    @property
    def storage_uri(self) -> str:
        """What it serves."""
        return str(self.manifest["spec"]["predictor"]["model"]["storageUri"])


class Approval(Strict):
    """A person's word on a release that asked for one, before its promotion."""

    decision: Literal["approve", "reject"]
    who: str
    reason: str = ""
    at_s: float


class ActRecord(Strict):
    """One act: when it was meant, and when the cluster showed it (None: never seen)."""

    kind: ActKind
    percent: int | None = None
    why: str = ""
    intended_s: float
    confirmed_s: float | None = None


class Journal(Strict):
    """The whole journal, as it is stored."""

    schema_version: Literal[1] = 1
    kind: Literal["Journal"] = "Journal"
    release_id: str = Field(min_length=1)
    subject: Subject
    namespace: str
    name: str
    mode: Literal["Knative", "Standard"] = "Knative"
    isvc_uid: str = ""
    preview: str = Field(default="", description="Name of the preview of a first release")
    preview_uid: str = ""
    phase: Phase = Phase.STAGING
    deadline_s: float = Field(description="Unix time; a release past it is dead and is undone")
    return_within_s: float = Field(default=900, gt=0, description="For a return, by whomever")
    incumbent: Incumbent | None = None
    created_before: str = Field(default="", description="latestCreatedRevision before the staging")
    uri_before: str = Field(default="", description="spec's storageUri before the staging")
    candidate_revision: str = ""
    candidate_rollout: str = Field(
        default="", description="Standard mode: changes when the candidate's pods are made anew"
    )
    storage_uri: str
    template: dict[str, Any] = Field(
        default_factory=dict,
        description="spec.predictor without its percent, as the API answered our own write of it",
    )
    companions: dict[str, Any] = Field(
        default_factory=dict,
        description="Transformer and explainer of their own, as they were when the template was noted",
    )
    wanted: dict[str, Any] = Field(
        default_factory=dict,
        description="spec.predictor to bring back as it was then; empty: what the policy asks for",
    )
    wrote: dict[str, Any] = Field(
        default_factory=dict,
        description="spec.predictor as this release sends it, its own fields alone",
    )
    drops: tuple[Dropped, ...] = Field(
        default=(), description="What the incumbent's release wrote and this one takes away"
    )
    probe: Probe | None = Field(default=None, description="How the candidate is asked")
    proofs: tuple[str, ...] = Field(
        default=(), description="revision at host: answered rightly since this phase began"
    )
    is_urgent: bool = Field(
        default=False, description="Return at once, though what served before may be cold"
    )
    traffic_safe: bool | None = Field(
        default=None, description="Production is on what served before, and it answers"
    )
    spec_repaired: bool | None = Field(
        default=None, description="The spec asks for what served before"
    )
    policy: Annotated[dict[str, Any], AfterValidator(in_todays_names)] = Field(
        default_factory=dict, description="The release's policy, so that anybody can go on with it"
    )
    deployment: dict[str, Any] = Field(
        default_factory=dict, description="The Deployment document, once the candidate is up"
    )
    hand: str = Field(
        default="", description="Who took the release from its run, and why: abort or resume"
    )
    approval: Approval | None = Field(default=None, description="None: nobody has said anything")
    ends_as: Result | None = Field(
        default=None, description="What a return that was decided ends as, whoever finishes it"
    )
    fast_track: bool = Field(
        default=False, description="Back to a version that was promoted before: no gates"
    )
    copies: tuple[Copy, ...] = Field(
        default=(), description="Copies of what serves, beside it: the dedicated baseline"
    )
    preflight: tuple[str, ...] = Field(
        default=(), description="What deploy found wrong with the nodes, or could not read of them"
    )
    acts: tuple[ActRecord, ...] = ()
    steps: tuple[TrafficStep, ...] = ()
    outcome: Result | None = None
    reason: str = ""
    warnings: tuple[str, ...] = Field(
        default=(),
        description="What did not hold of objectives that only warn, and what does not scale, once it was "
        "promoted",
    )
    told: tuple[str, ...] = Field(
        default=(), description="What sweep has told of it, so that it tells nothing twice"
    )
    alias: str = Field(default="", description="What became of the registry alias")
    alias_before: str | None = Field(
        default=None, description="The version that the alias named as the promotion began"
    )

    @property
    def is_over(self) -> bool:
        """Nothing is left to do or undo."""
        return self.phase is Phase.ENDED

    @property
    def percents(self) -> set[int | None]:
        """The shares that the spec may show: the last confirmed one, and any meant since."""
        shown: set[int | None] = set()
        for act in reversed(self.acts):
            if act.percent is not None:
                shown.add(act.percent)
                shown |= {None} if act.kind is ActKind.CREATE else set()  # made without the field
                if act.confirmed_s is not None:
                    break
        return shown

    @property
    def steps_back(self) -> tuple[int, ...]:
        """The shares by which a re-created incumbent takes over from the one that still serves."""
        steps = self.policy.get("traffic", {}).get("steps", (100,))
        return tuple(int(step) for step in steps)

    @property
    def is_finishing(self) -> bool:
        """Standard mode: every step is passed, and the candidate is taking the incumbent's place."""
        return any(act.kind is ActKind.RENAME for act in self.acts)

    @property
    def is_alias_left(self) -> bool:
        """Promoted, but its run died before it had moved the alias, or before it could say so."""
        return self.outcome is Result.PROMOTED and self.alias_before is not None and not self.alias

    @property
    def is_initial(self) -> bool:
        """Nothing served before this release."""
        return self.incumbent is None

    def in_mode(self, mode: str) -> "Journal":
        """The same release, in the mode that the cluster recorded. Raises ValidationError for none."""
        return Journal.model_validate({**self.model_dump(), "mode": mode})

    @property
    def as_preview(self) -> "Journal":
        """The same release, seen from its preview: the rules of a first release apply to it as they are."""
        return self.model_copy(update={"name": self.preview, "isvc_uid": self.preview_uid})

    @property
    def copies_left(self) -> tuple[Copy, ...]:
        """Those that may be there: whoever ends this removes them."""
        return tuple(copy for copy in self.copies if not copy.is_removed)

    def copy_named(self, name: str) -> Copy:
        """One of the copies. Raises KeyError."""
        return {copy.name: copy for copy in self.copies}[name]

    def as_copy(self, copy: Copy) -> "Journal":
        """The same release, seen from a copy: the rules of a first release apply to it as they are."""
        return self.model_copy(
            update={
                "name": copy.name,
                "isvc_uid": copy.uid,
                "storage_uri": copy.storage_uri,
                "probe": copy.probe,
                "incumbent": None,
                "template": {},
            }
        )

    def with_copy(self, name: str, **changes: object) -> "Journal":
        """With something learnt of one copy."""
        copies = tuple(
            copy.model_copy(update=changes) if copy.name == name else copy for copy in self.copies
        )
        return self.model_copy(update={"copies": copies})

    @property
    def made(self) -> tuple[str, ...]:
        """The InferenceServices that a first release may have created by now."""
        created = any(act.kind is ActKind.CREATE for act in self.acts) or not self.preview
        return (*[self.name] * created, *[self.preview] * bool(self.preview))

    def intending(self, act: ActRecord) -> "Journal":
        """With one more act, meant but not yet seen; a second try of the last one adds nothing, and nor does
        what is done beside a release that has ended."""
        if self.is_over:
            return self
        last = self.acts[-1] if self.acts else None
        same = last and (last.kind, last.percent) == (act.kind, act.percent)
        if last and same and last.confirmed_s is None:
            return self
        return self.model_copy(update={"acts": (*self.acts, act)})

    def confirming(self, at_s: float) -> "Journal":
        """With every act so far confirmed: the cluster shows what they led to."""
        acts = tuple(
            a if a.confirmed_s is not None else a.model_copy(update={"confirmed_s": at_s})
            for a in self.acts
        )
        return self.model_copy(update={"acts": acts})

    def ended(self, outcome: Result, reason: str, **changes: object) -> "Journal":
        """Closed; nobody has to undo anything."""
        update = {"phase": Phase.ENDED, "outcome": outcome, "reason": reason, **changes}
        return self.model_copy(update=update)
