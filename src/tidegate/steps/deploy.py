"""deploy: the candidate comes up at 0 % beside the incumbent, and proves that it serves."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate.core.asked import unasked
from tidegate.core.decisions import Done, Refuse
from tidegate.core.first_release import next_for_preview
from tidegate.core.journal import Phase
from tidegate.core.observation import own_host
from tidegate.core.traffic import rules_of
from tidegate.documents import Deployment, Published, Refusal, Word
from tidegate.errors import UnavailableError
from tidegate.policy import Policy
from tidegate.steps.claiming import claimed
from tidegate.steps.dedicated_baseline import brought_up, measured
from tidegate.steps.ending import give_back
from tidegate.steps.keda_following import left_unscaled
from tidegate.steps.progress import say
from tidegate.steps.registry import InDocument, InPolicy, OutDocument, step
from tidegate.steps.stopping import finishing_acts
from tidegate.steps.traffic_driver import POLL_S, Driver
from tidegate.steps.turn import in_turn

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
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
    reason += "".join(
        f"; {name} beside it was not asked: {why}"
        for name, why in unasked(document.repository, policy).items()
    )
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
        trouble = _beside(driver, policy) or left_unscaled(driver, policy)
        trouble = trouble or _brought_up(driver, policy)
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
        changes |= {"template": seen.template, "companions": dict(seen.companions)}
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
        preflight=journal.preflight,
        pods=seen.pods | pods,
    )


def _refusal(published: Published, word: Word, reason: str) -> Refusal:
    return Refusal(subject=published.subject, step="deploy", word=word, reason=reason)
