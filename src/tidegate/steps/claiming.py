"""How a release becomes the owner of an InferenceService: by a journal that names what it returns to."""

import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate.core.asked import probe_of
from tidegate.core.claim import Claim, can_resume, claim, holder_refusal
from tidegate.core.decisions import RECONCILE_S, Refuse
from tidegate.core.dedicated_baseline import with_baseline
from tidegate.core.dropped import Dropped
from tidegate.core.first_release import preview_refusal
from tidegate.core.journal import Journal
from tidegate.documents import Published, Result, Word
from tidegate.policy import Policy
from tidegate.steps.dedicated_baseline import cleared
from tidegate.steps.dropping import dropped_by, wrote_by
from tidegate.steps.ending import give_back
from tidegate.steps.fitness import dry_run_refusal, mode_for, with_preflight
from tidegate.steps.incumbent import returnable
from tidegate.steps.keda_following import keda_refusal
from tidegate.steps.progress import say
from tidegate.steps.signature_fit import signature_refusal
from tidegate.steps.traffic_driver import Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.observation import Observation


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
    named = wrote_by(policy, published.storage_uri, published.subject.version)
    drops = () if "wanted" in noted else dropped_by(named, seen, stored)
    start = _start(kube, seen, published, policy, stored, drops)
    if isinstance(start, Refuse):
        return start
    journal = _journal(published, policy, release_id, start).in_mode(mode)
    journal = with_baseline(journal.model_copy(update=dict(noted)), seen, policy)
    refusal = keda_refusal(kube, policy, is_way_back=journal.fast_track)
    refusal = refusal or dry_run_refusal(service, seen, journal, policy)
    return refusal or with_preflight(service, journal, policy)


def _start(
    kube: "Kubernetes",
    seen: "Observation | None",
    published: Published,
    policy: Policy,
    stored: "StoredJournal | None",
    drops: tuple[Dropped, ...],
) -> Claim | Refuse:
    """What the release starts from: its preview's name is free, or its incumbent answers."""
    from tidegate.adapters.inference_service import InferenceServices

    start = claim(seen, policy, published.storage_uri, published.subject.version, drops)
    if isinstance(start, Refuse):
        return start
    if start.preview:
        there = InferenceServices(kube, policy.namespace, start.preview).look()
        return preview_refusal(there, policy) or start
    if seen is None or start.incumbent is None:
        return start
    for consequence in start.adopted:
        say("deploy", f"adopting: {consequence}")
    for one in start.drops:
        say("deploy", f"{one} ({one.value}) goes: the policy no longer names it")
    incumbent = returnable(start.incumbent, seen.host, published, policy, stored)
    if isinstance(incumbent, Refuse):
        return incumbent
    refusal = signature_refusal(incumbent, published, policy, stored)
    return refusal or replace(start, incumbent=incumbent)


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
        wrote=wrote_by(policy, published.storage_uri, published.subject.version),
        drops=start.drops,
        probe=probe_of(published.repository, policy),
        policy=policy.model_dump(mode="json"),
    )
