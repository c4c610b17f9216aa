"""plan: what a release would do, with the API's own word on the manifest. Reads, and dry-runs; no more."""

import difflib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from tidegate.config import settings
from tidegate.core.adoption import adoption_of
from tidegate.core.claim import Claim, claim, holder_refusal
from tidegate.core.decisions import Act, Decision, Refuse
from tidegate.core.dedicated_baseline import with_baseline
from tidegate.core.dropped import Dropped
from tidegate.core.first_release import manifest_of, preview_refusal
from tidegate.core.journal import ActKind, Journal
from tidegate.core.manifest import predictor
from tidegate.core.observation import Observation
from tidegate.core.plan import acts_of, needs, ways_back
from tidegate.core.plan_documents import Plan
from tidegate.core.plan_standard import unfollowed
from tidegate.core.room.admission import admitted
from tidegate.core.status import Served
from tidegate.core.traffic import rules_of
from tidegate.documents import Subject
from tidegate.policy import Policy
from tidegate.steps.dropping import dropped_by, wrote_by
from tidegate.steps.fitness import mode_for, nodes_checked
from tidegate.steps.keda_following import keda_refusal, leftover

if TYPE_CHECKING:
    from tidegate.adapters.inference_service import InferenceServices
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal

Json = dict[str, Any]

UNPUBLISHED = "DIGEST"
VOLATILE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


def placeholder_uri(policy: Policy, subject: Subject) -> str:
    """Where publish would put it, but for the digest. Raises UsageError without TIDEGATE_STORAGE_URI."""
    parent = settings().need("storage_uri").rstrip("/")
    return f"{parent}/{policy.name}/{subject.version}-{UNPUBLISHED}/"


def planned(kube: "Kubernetes", policy: Policy, subject: Subject, *, storage_uri: str = "") -> Plan:
    """What deploy, promote and roll-back would do now. RejectedError when the API refuses the manifest."""
    from tidegate.adapters.inference_service import InferenceServices
    from tidegate.adapters.keda import ScaledObjects
    from tidegate.adapters.release_lock import load_journal

    service = InferenceServices(kube, policy.namespace, policy.name)
    uri = storage_uri or placeholder_uri(policy, subject)
    seen, stored = service.look(), load_journal(kube, policy.namespace, policy.name)
    drops = dropped_by(wrote_by(policy, uri, subject.version), seen, stored)
    plan = Plan(
        subject=subject,
        namespace=policy.namespace,
        name=policy.name,
        mode=_mode(seen, policy) or service.default_mode(),
        storage_uri=uri,
        is_placeholder=not storage_uri,
        alias=policy.model.alias,
        adoption=adoption_of(seen, policy, uri, subject.version, drops),
    )
    start, notices = _start(kube, service, seen, policy, uri, stored, drops)
    if isinstance(start, Refuse):
        return _refused(plan, start, notices)
    journal = _journal(policy, subject, uri, start).in_mode(plan.mode)
    journal = with_baseline(journal, seen, policy)
    found = keda_refusal(kube, policy) or admitted(nodes_checked(service, journal, policy), policy)
    if isinstance(found, Refuse):
        return _refused(plan, found, notices)
    left = leftover(ScaledObjects(kube, journal.namespace), seen, journal)
    if isinstance(left, Refuse):
        return _refused(plan, left, notices)
    return _filled(service, plan, seen, journal, policy, (*notices, *found), left)


def _refused(plan: Plan, why: Refuse, notices: tuple[str, ...]) -> Plan:
    changes = {"refused": why.word, "refusal": why.reason, "notices": notices}
    return plan.model_copy(update=changes)


def _mode(seen: Observation | None, policy: Policy) -> str:
    asked = policy.serving.mode
    return (seen.mode if seen else "") or ("" if asked == "auto" else asked)


def _start(
    kube: "Kubernetes",
    service: "InferenceServices",
    seen: Observation | None,
    policy: Policy,
    uri: str,
    stored: "StoredJournal | None",
    drops: tuple[Dropped, ...],
) -> tuple[Claim | Refuse, tuple[str, ...]]:
    """The claim that deploy would make, in its own words."""
    from tidegate.adapters.inference_service import InferenceServices

    journal = stored.journal if stored else None
    notices: tuple[str, ...] = ()
    if journal and (held := holder_refusal(journal, "", time.time())):
        return _in_turn(held, policy), notices
    if journal and not journal.is_over:
        notices = (f"release {journal.release_id} has died; deploy undoes it first",)
    mode = mode_for(service, seen, policy)
    if isinstance(mode, Refuse):
        return mode, notices
    start = claim(seen, policy, uri, drops=drops)
    if isinstance(start, Claim) and start.preview:
        there = InferenceServices(kube, policy.namespace, start.preview).look()
        return preview_refusal(there, policy) or start, notices
    return start, notices


def _in_turn(held: Refuse, policy: Policy) -> Refuse:
    """A release that waits is not refused yet; what it would do then cannot be planned now."""
    if policy.busy == "refuse":
        return held
    waits = f"waits up to {policy.busy_timeout_s:g} s for its turn (busy: wait); plan again then"
    return replace(held, reason=f"{held.reason}; the release {waits}")


def _journal(policy: Policy, subject: Subject, uri: str, start: Claim) -> Journal:
    return Journal(
        release_id="plan",
        subject=subject,
        namespace=policy.namespace,
        name=policy.name,
        isvc_uid=start.uid,
        deadline_s=0,
        incumbent=start.incumbent,
        created_before=start.created_before,
        uri_before=start.uri_before,
        preview=start.preview,
        storage_uri=uri,
        drops=start.drops,
        policy=policy.model_dump(mode="json"),
    )


def _filled(
    service: "InferenceServices",
    plan: Plan,
    seen: Observation | None,
    journal: Journal,
    policy: Policy,
    notices: tuple[str, ...],
    left: Decision,
) -> Plan:
    removed = (unfollowed(left),) if isinstance(left, Act) else ()
    first, acts = acts_of(seen, journal, policy, removed)
    now, then = service.manifest(), _previewed(service, first, seen, journal, policy)
    _taken(service, journal)
    was = journal.incumbent
    copies = [copy.manifest["spec"]["predictor"] for copy in journal.copies]
    before = now["spec"]["predictor"] if now else None
    changes = {
        "incumbent": was
        and Served(revision=was.revision, version=was.version, storage_uri=was.storage_uri),
        "acts": acts,
        "roll_back": ways_back(journal),
        "capacity": needs(
            before,
            then["spec"],
            mode=journal.mode,
            preview=bool(journal.preview),
            copies=copies,
        ),
        "notices": (
            *notices,
            *_notices(plan, journal, policy),
        ),
        "manifest_diff": unified(now, then),
    }
    return plan.model_copy(update=changes)


def _previewed(
    service: "InferenceServices",
    first: Act,
    seen: Observation | None,
    journal: Journal,
    policy: Policy,
) -> Json:
    """The object as the API would have it after the first act."""
    version = journal.subject.version
    if seen is None or first.kind in {ActKind.CREATE, ActKind.PREVIEW}:
        return service.preview_create(manifest_of(first.kind, journal, policy))
    wanted = predictor(policy, journal.storage_uri, version).as_dict()
    return service.preview_patch(rules_of(journal).patch_of(first, seen, journal, wanted))


def _taken(service: "InferenceServices", journal: Journal) -> None:
    """The API takes the dedicated baseline's manifest, too. Raises RejectedError when it does not."""
    for copy in journal.copies:
        service.preview_create(copy.manifest)


def _notices(plan: Plan, journal: Journal, policy: Policy) -> Iterator[str]:
    was = journal.incumbent
    if plan.is_placeholder and was and was.version == plan.subject.version:
        yield (
            f"{was.revision} already serves version {was.version}; if publish comes to the same digest, "
            "the release ends UNCHANGED"
        )
    if policy.load.baseline == "dedicated" and journal.is_initial:
        yield "load.baseline: dedicated says nothing here: a first release has no incumbent to copy"
    yield from _of_waking(policy)
    if not policy.slo.prometheus:
        yield "slo.prometheus is false: no live gate can PASS, so no step would be passed"


def _of_waking(policy: Policy) -> Iterator[str]:
    """What scaling to zero means for this release."""
    if policy.serving.min_replicas == 0:
        yield (
            f"serving.min_replicas is 0: after {policy.traffic.keep_warm_s} s of silence the next request "
            "meets a cold start, in a roll-back the incumbent's too; no verdict of this release covers that"
        )


def unified(now: Json | None, then: Json) -> str:
    """The change as a unified diff of YAML, without what the API server writes by itself."""
    before = _yaml(now).splitlines() if now else []
    lines = difflib.unified_diff(before, _yaml(then).splitlines(), "now", "then", lineterm="")
    return "\n".join(lines)


def _yaml(item: Json) -> str:
    metadata = {key: value for key, value in item["metadata"].items() if key not in VOLATILE}
    kept = {key: value for key, value in item.items() if key != "status"} | {"metadata": metadata}
    return yaml.safe_dump(kept, sort_keys=True)
