"""calibrate on a cluster: the incumbent's load test against itself; what is not PASS is the gate's error."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.core.load_plan import MOST_UNEQUAL, Production
from tidegate.documents import Deployment, Incumbent, LoadReport, Result
from tidegate.errors import ConflictError
from tidegate.policy import Policy

if TYPE_CHECKING:
    from tidegate.adapters.kubernetes import Kubernetes
    from tidegate.core.journal import Journal
    from tidegate.core.slo import Judgement


def against_itself(kube: "Kubernetes", policy: Policy, tree: Path, name: str) -> "Judgement":
    """Send the policy's load test to what serves now, as both arms, and judge it by its load report.

    Nothing is written to the cluster. One look only: an extension would be asked for by the very verdict
    that is measured. Raises ConflictError while a release runs, or when what serves is not known.
    """
    from tidegate.core.slo import judge, per_look
    from tidegate.steps.load_session import run

    staged = as_both(_last_release(kube, policy))
    load = policy.load.model_copy(update={"max_extensions": 0})
    production = _production(policy, staged)
    report = run(staged, policy.model_copy(update={"load": load}), tree, name)
    return judge(
        matched(report, policy, production), per_look(policy.slo, load), first_release=False
    )


def _last_release(kube: "Kubernetes", policy: Policy) -> Deployment:
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(kube, policy.namespace, policy.name)
    what = f"{policy.namespace}/{policy.name}"
    if stored is None:
        raise ConflictError(f"{what} was never released by tidegate; release it first")
    return serving(stored.journal, what)


def serving(journal: "Journal", what: str) -> Deployment:
    """The deployment that serves now. Raises ConflictError when the journal does not tell."""
    if not journal.is_over:
        raise ConflictError(
            f"release {journal.release_id} of {what} runs; calibrate when it has ended"
        )
    if journal.outcome is not Result.PROMOTED or not journal.deployment:
        raise ConflictError(
            f"release {journal.release_id} of {what} ended {journal.outcome}, so how to ask what serves "
            f"now is not known; calibrate after a release that was promoted"
        )
    return Deployment.model_validate_json(json.dumps(journal.deployment))


def as_both(staged: Deployment) -> Deployment:
    """What serves, as candidate and as incumbent, both asked at production's own host."""
    itself = Incumbent(
        revision=staged.candidate_revision,
        storage_uri=staged.storage_uri,
        predictor={},
        version=staged.repository.model_version,
    )
    host = staged.production_host
    update = {"incumbent": itself, "candidate_host": host, "incumbent_host": host, "initial": False}
    return staged.model_copy(update=update)


def _production(policy: Policy, staged: Deployment) -> Production:
    from tidegate.adapters.revision_metrics import open_metrics

    metrics, why = open_metrics(policy, staged)
    if metrics is None:
        return Production(rate_rps=None, why=why)
    return metrics.production(staged.candidate_revision)


def matched(report: LoadReport, policy: Policy, production: Production) -> LoadReport:
    """With the word on whether both arms were alike: production comes on top of one and off the other."""
    rate, most = production.rate_rps, MOST_UNEQUAL * policy.load.rate_rps
    if rate is None:
        text = f"production's rate on the incumbent is not known ({production.why})"
    else:
        text = (
            f"the incumbent against itself beside {rate:.1f} rps of production (at most {most:.1f})"
        )
    fair = rate is not None and rate <= most
    if rate is not None and not fair:
        text += "; write load.baseline: dedicated, and two copies of it are compared"
    return report.model_copy(update={"fair": fair, "fairness": text})
