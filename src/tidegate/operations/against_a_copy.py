"""calibrate on a cluster with a dedicated baseline: two fresh copies of what serves, one against the other.

Beside production that fills more than a seventh of the load's rate the incumbent cannot be both arms. Two
copies of the candidate's size are what a release of an equal version would compare, and carry nobody's
traffic. They are noted in the journal of the last release before they are made, so that sweep finds them.
"""

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.claim import holder_refusal
from tidegate.core.decisions import Refuse
from tidegate.core.dedicated_baseline import copy_of
from tidegate.core.manifest import snapshot
from tidegate.documents import DedicatedBaseline, Deployment, Incumbent
from tidegate.errors import ConflictError, UnavailableError
from tidegate.operations.against_itself import serving
from tidegate.policy import Policy
from tidegate.steps.dedicated_baseline import brought_up, cleared, measured, retired
from tidegate.steps.traffic_driver import GRACE_S, POLL_S, Driver

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.adapters.release_lock import StoredJournal
    from tidegate.core.journal import Copy, Journal
    from tidegate.core.observation import Observation
    from tidegate.core.slo import Judgement


def between_copies(
    kube: "Kubernetes", policy: Policy, tree: Path, name: str, *, poll_s: float = POLL_S
) -> "Judgement":
    """Bring two copies up, send the policy's load test to both, judge its report, remove them.

    One look only, as against_itself. Raises ConflictError while a release or another calibration runs, and
    UnavailableError when a copy does not come up.
    """
    from tidegate.core.slo import judge, per_look
    from tidegate.steps.load_session import run

    holder = f"calibrate-{uuid.uuid4().hex[:8]}"
    stored = _settled(kube, policy, holder, poll_s)
    driver = Driver(kube, stored, step="calibrate", holder=holder, poll_s=poll_s)
    staged = serving(stored.journal, f"{policy.namespace}/{policy.name}")
    load = policy.load.model_copy(update={"max_extensions": 0})
    driver.save(_noting(driver, policy, holder))
    try:
        if trouble := brought_up(driver, policy.serving.ready_timeout_s):
            raise UnavailableError(trouble.reason)
        arms, pods = measured(driver)
        deployed = _deployed(staged, arms, pods)
        report = run(deployed, policy.model_copy(update={"load": load}), tree, name)
    finally:
        if left := retired(driver):
            driver.say(left)
    return judge(report, per_look(policy.slo, load), first_release=False)


def _settled(kube: "Kubernetes", policy: Policy, holder: str, poll_s: float) -> "StoredJournal":
    """The last release's journal, over, with nothing left beside it."""
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(kube, policy.namespace, policy.name)
    if stored is None:
        what = f"{policy.namespace}/{policy.name}"
        raise ConflictError(f"{what} was never released by tidegate; release it first")
    if refusal := holder_refusal(stored.journal, "", time.time()):
        raise ConflictError(refusal.reason)
    serving(stored.journal, f"{policy.namespace}/{policy.name}")
    settled = cleared(kube, stored, step="calibrate", holder=holder, poll_s=poll_s)
    if isinstance(settled, Refuse):
        raise ConflictError(settled.reason)
    return settled


def _noting(driver: Driver, policy: Policy, holder: str) -> "Journal":
    """The journal that names both copies, and until when they are measured."""
    journal, seen = driver.journal, driver.service.look()
    within_s = 2 * policy.serving.ready_timeout_s + policy.load.max_duration_s + GRACE_S
    made = tuple(
        _copy(journal, seen, policy, f"{holder}-{arm}", time.time() + within_s) for arm in "ab"
    )
    return journal.model_copy(update={"copies": made})


def _copy(
    journal: "Journal",
    seen: "Observation | None",
    policy: Policy,
    made_by: str,
    until_s: float,
) -> "Copy":
    serves = seen.revisions.get(journal.candidate_revision) if seen else None
    if seen is None or serves is None or set(seen.traffic) != {serves.name}:
        raise ConflictError(
            f"{journal.namespace}/{journal.name} does not serve {journal.candidate_revision} alone, as "
            f"release {journal.release_id} left it; calibrate after a release"
        )
    predictor = snapshot(seen.predictor, serves.storage_uri, dict(serves.labels))
    return copy_of(
        seen, predictor, journal, policy, made_by=made_by, probe=journal.probe, until_s=until_s
    )


def _deployed(
    staged: Deployment, arms: tuple[DedicatedBaseline, ...], pods: dict[str, int]
) -> Deployment:
    """One copy as the candidate, one as the baseline; production goes on being watched."""
    candidate, baseline = arms
    itself = Incumbent(
        revision=staged.candidate_revision,
        storage_uri=staged.storage_uri,
        predictor={},
        version=staged.repository.model_version,
    )
    update = {
        "incumbent": itself,
        "incumbent_host": staged.production_host,
        "candidate_host": candidate.host,
        "candidate_revision": candidate.revision,
        "baseline": baseline,
        "pods": pods,
        "initial": False,
    }
    return staged.model_copy(update=update)
