"""deploy: the candidate comes up at 0 % beside the incumbent, and proves that it serves."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate.core.claim import Claim, can_resume, claim, holder_refusal
from tidegate.core.decisions import RECONCILE_S, Done, Refuse
from tidegate.core.dedicated_baseline import with_baseline
from tidegate.core.first_release import next_for_preview, preview_refusal
from tidegate.core.journal import Journal, Phase
from tidegate.core.observation import own_host
from tidegate.core.standard_readiness import pods_of
from tidegate.core.traffic import rules_of
from tidegate.documents import Deployment, Probe, Published, Refusal, Result, Word
from tidegate.errors import UnavailableError
from tidegate.policy import Policy
from tidegate.steps.dedicated_baseline import brought_up, cleared, measured
from tidegate.steps.ending import give_back
from tidegate.steps.fitness import dry_run_refusal, mode_for
from tidegate.steps.incumbent import returnable
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, step
from tidegate.steps.stopping import finishing_acts
from tidegate.steps.traffic_driver import POLL_S, Driver
from tidegate.steps.turn import in_turn

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.observation import Observation

HAND_OVER_S = 3600.0  # between two steps: nodes are added, images are pulled


@dataclass(frozen=True)
class Deployed:
    """Whether the candidate is up, and as which revision."""

    verdict: str
    reason: str
    revision: str


@step(touches="writes the InferenceService, the Lease and the journal")
def deploy(
    published: InDocument, policy_document: InPolicy, release_id: str, deployment: OutDocument
) -> Deployed:
    """Stage the candidate at 0 % of production, and prove that it answers."""
    from tidegate.adapters.files import read, read_policy, write
    from tidegate.adapters.kubernetes import connect

    document, policy = read(published, Published), read_policy(policy_document)
    with connect(say=partial(say, "deploy")) as kube, finishing_acts():
        result = staged(kube, document, policy, release_id)
    write(deployment, result)
    if isinstance(result, Refusal):
        return Deployed(verdict=result.word.value, reason=result.reason, revision="")
    reason = "live (first release)" if result.initial else "ready at 0 %"
    if result.preview:
        reason = f"ready as {result.preview} (first release)"
    return Deployed(verdict=Word.PASS.value, reason=reason, revision=result.candidate_revision)


def staged(
    kube: "Kubernetes",
    published: Published,
    policy: Policy,
    release_id: str,
    *,
    poll_s: float = POLL_S,
    noted: Mapping[str, object] = MappingProxyType({}),
) -> Deployment | Refusal:
    """Claim the InferenceService, stage, prove; a refusal has left production as it was.

    `noted` is what the journal says from its first word on, besides what a release says of itself.
    """
    attempt = partial(claimed, kube, published, policy, release_id, poll_s=poll_s, noted=noted)
    driver = in_turn(kube, policy, release_id, attempt, poll_s=poll_s)
    if isinstance(driver, Refuse):
        say("deploy", f"refused: {driver.reason}")
        return _refusal(published, driver.word, driver.reason)
    with driver.facing(driver.journal.preview or driver.journal.name):
        trouble = _beside(driver, policy) or _brought_up(driver, policy)
        result = trouble or _deployment(driver, published)
    if isinstance(result, Refuse):
        reason = give_back(driver, result.reason)
        return _refusal(published, result.word, reason)
    noted = result.model_dump(mode="json")
    driver.enter(Phase.STAGED, _judging_s(policy), deployment=noted)
    return result


def _judging_s(policy: Policy) -> float:
    """How long a staged candidate may wait for its verdict, and for the person who approves."""
    asked = policy.traffic.approval == "manual"
    return policy.load.max_duration_s + HAND_OVER_S + policy.traffic.approval_timeout_s * asked


def claimed(
    kube: "Kubernetes",
    published: Published,
    policy: Policy,
    release_id: str,
    *,
    poll_s: float,
    noted: Mapping[str, object] = MappingProxyType({}),
) -> Driver | Refuse:
    """Own the InferenceService by a journal that names what it returns to; or why not."""
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(kube, policy.namespace, policy.name)
    if stored:
        if refusal := holder_refusal(stored.journal, release_id, time.time()):
            return refusal
        resumed = _resumed(kube, stored, policy, release_id, poll_s=poll_s)
        if resumed is not None:
            return resumed
        stored = load_journal(kube, policy.namespace, policy.name)
    if stored:
        settled = cleared(kube, stored, step="deploy", holder=release_id, poll_s=poll_s)
        if isinstance(settled, Refuse):
            return settled
        stored = settled
    journal = _entitled(kube, published, policy, release_id, stored, noted)
    if isinstance(journal, Refuse):
        return journal
    return _opened(kube, stored, journal, policy, poll_s)


def _entitled(
    kube: "Kubernetes",
    published: Published,
    policy: Policy,
    release_id: str,
    stored: "StoredJournal | None",
    noted: Mapping[str, object],
) -> Journal | Refuse:
    """The journal of a release that may begin, as the cluster stands; or why not. Nothing is written."""
    from tidegate.adapters.inference_service import InferenceServices

    service = InferenceServices(kube, policy.namespace, policy.name)
    seen = service.look()
    mode = mode_for(service, seen, policy)
    if isinstance(mode, Refuse):
        return mode
    start = _start(kube, seen, published, policy, stored)
    if isinstance(start, Refuse):
        return start
    journal = _journal(published, policy, release_id, start).in_mode(mode)
    journal = with_baseline(journal.model_copy(update=dict(noted)), seen, policy)
    return dry_run_refusal(service, seen, journal, policy) or journal


def _start(
    kube: "Kubernetes",
    seen: "Observation | None",
    published: Published,
    policy: Policy,
    stored: "StoredJournal | None",
) -> Claim | Refuse:
    """What the release starts from: its preview's name is free, or its incumbent answers."""
    from tidegate.adapters.inference_service import InferenceServices

    start = claim(seen, policy, published.storage_uri, published.subject.version)
    if isinstance(start, Refuse):
        return start
    if start.preview:
        there = InferenceServices(kube, policy.namespace, start.preview).look()
        return preview_refusal(there, policy) or start
    if seen is None or start.incumbent is None:
        return start
    for consequence in start.adopted:
        say("deploy", f"adopting: {consequence}")
    incumbent = returnable(start.incumbent, seen.host, published, stored)
    return incumbent if isinstance(incumbent, Refuse) else replace(start, incumbent=incumbent)


def _resumed(
    kube: "Kubernetes", stored: "StoredJournal", policy: Policy, release_id: str, *, poll_s: float
) -> Driver | Refuse | None:
    """Go on with this release's own journal, or undo what a dead one left; None: nothing is open."""
    journal = stored.journal
    if journal.is_over:
        return None
    holder = "" if journal.release_id == release_id else release_id
    driver = Driver(kube, stored, step="deploy", policy=policy, poll_s=poll_s, holder=holder)
    if journal.release_id == release_id and can_resume(journal):
        driver.say(f"going on with release {release_id} ({journal.phase})")
        return driver
    why = f"release {journal.release_id} died while {journal.phase}"
    reason = give_back(driver, why, result=Result.DIED)
    if journal.release_id == release_id:
        return Refuse(word=Word.INVALID, reason=f"{reason}; start a new run")
    return None


def _opened(
    kube: "Kubernetes",
    stored: "StoredJournal | None",
    journal: Journal,
    policy: Policy,
    poll_s: float,
) -> Driver:
    from tidegate.adapters.release_lock import save_journal

    opened = save_journal(kube, journal, stored)
    return Driver(kube, opened, step="deploy", policy=policy, poll_s=poll_s)


def _journal(published: Published, policy: Policy, release_id: str, start: Claim) -> Journal:
    ready = policy.serving.ready_timeout_s
    return Journal(
        release_id=release_id,
        subject=published.subject,
        namespace=policy.namespace,
        name=policy.name,
        isvc_uid=start.uid,
        deadline_s=time.time() + ready * (1 + (policy.load.baseline == "dedicated")) + 300,
        return_within_s=RECONCILE_S + ready + 2 * policy.traffic.step_timeout_s,
        incumbent=start.incumbent,
        created_before=start.created_before,
        uri_before=start.uri_before,
        preview=start.preview,
        storage_uri=published.storage_uri,
        probe=Probe(
            model=published.repository.triton_model,
            inputs=published.repository.inputs,
            version=published.repository.model_version,
        ),
        policy=policy.model_dump(mode="json"),
    )


def _beside(driver: Driver, policy: Policy) -> Refuse | None:
    """Before anything is staged: without what it is to be compared with, the candidate is not judged."""
    if policy.load.baseline == "dedicated" and driver.journal.is_initial:
        driver.say("no dedicated baseline: a first release has no incumbent to copy")
    return brought_up(driver, policy.serving.ready_timeout_s)


def _brought_up(driver: Driver, policy: Policy) -> Refuse | None:
    """Drive the staging; None when the candidate is up, which the journal then names."""
    within = policy.serving.ready_timeout_s
    driver.known_warnings = frozenset(driver.service.warnings())
    by_mode = rules_of(driver.journal).next_for_stage
    decide = next_for_preview if driver.journal.preview else by_mode
    closed = driver.drive(decide, within_s=within)
    if isinstance(closed, Refuse):
        return closed
    if not isinstance(closed, Done):
        reason = f"not ready after {within:g} s, still waiting for {closed.what}"
        return Refuse(word=closed.word, reason=reason)
    seen = _look(driver)
    uid = "preview_uid" if driver.journal.preview else "isvc_uid"
    changes: dict[str, object] = {"candidate_revision": seen.created, uid: seen.uid}
    if candidate := seen.revisions.get(seen.created):
        changes["candidate_rollout"] = candidate.rollout
    if not driver.journal.template:  # a death between the write and its note
        changes["template"] = seen.template
    driver.save(driver.journal.model_copy(update=changes))
    return None


def _look(driver: Driver) -> "Observation":
    seen = driver.service.look()
    if seen is None:
        raise UnavailableError(f"{driver.journal.name} vanished while it was staged; run guard")
    return seen


def _deployment(driver: Driver, published: Published) -> Deployment:
    seen, journal = _look(driver), driver.journal
    incumbent, host = journal.incumbent, seen.prev.host if seen.prev else ""
    baselines, pods = measured(driver)
    if incumbent:
        incumbent = incumbent.model_copy(update={"tag_host": host})
    return Deployment(
        subject=published.subject,
        release_id=journal.release_id,
        name=journal.name,
        namespace=journal.namespace,
        mode=journal.mode,
        repository=published.repository,
        storage_uri=published.storage_uri,
        candidate_revision=journal.candidate_revision,
        candidate_host=own_host(seen),
        production_host="" if journal.preview else seen.host,
        incumbent=incumbent,
        incumbent_host=host if incumbent else "",
        baseline=baselines[0] if baselines else None,
        initial=journal.is_initial,
        preview=journal.preview,
        isvc_uid=seen.uid,
        pods=pods_of(seen) | pods,
    )


def _refusal(published: Published, word: Word, reason: str) -> Refusal:
    return Refusal(subject=published.subject, step="deploy", word=word, reason=reason)
