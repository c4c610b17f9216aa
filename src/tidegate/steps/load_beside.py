"""What production sends beside a load test, before it and during it, and whether both arms had it alike."""

import time
from typing import TYPE_CHECKING

from tidegate.core import load_plan
from tidegate.core.load_plan import Fairness, Production
from tidegate.documents import Arm, Deployment
from tidegate.policy import Policy
from tidegate.steps.load_sending import COMMAND, Sender
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.revision_metrics import RevisionMetrics
    from tidegate.steps.load_session import Session


def production_before(deployed: Deployment, policy: Policy) -> tuple[Production, tuple[int, int]]:
    """What others send to the baseline now (nobody, to a dedicated one), and the replicas of both arms."""
    from tidegate.adapters.revision_metrics import open_metrics

    metrics, why = open_metrics(policy, deployed)
    replicas = _replicas_now(metrics, deployed)
    if deployed.baseline or deployed.incumbent is None or policy.load.baseline == "none":
        return Production(rate_rps=0.0), replicas
    if metrics is None:
        return Production(rate_rps=None, why=why), replicas
    say(COMMAND, f"asking Prometheus what {deployed.incumbent.revision} serves now")
    return metrics.production(deployed.incumbent.revision), replicas


def replicas_now(deployed: Deployment, policy: Policy, planned: tuple[int, int]) -> tuple[int, int]:
    """The pods of both arms before anything is judged; the planned ones where nobody can tell."""
    from tidegate.adapters.revision_metrics import open_metrics

    metrics, _ = open_metrics(policy, deployed)
    return _replicas_now(metrics, deployed, planned) if metrics else planned


def _replicas_now(
    metrics: "RevisionMetrics | None", deployed: Deployment, planned: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """The candidate has been ready for a moment only: what deploy has seen of its pods may not all be scraped
    yet. Once it was measured they are, and what was scraped counts. A dedicated baseline is of the same size
    by its making; a scrape may not have seen all of it."""
    candidate, baseline = _replicas(metrics, deployed, planned)
    candidate = max(candidate, deployed.pods.get(deployed.candidate_revision, 1))
    return candidate, candidate if deployed.baseline else baseline


def _replicas(
    metrics: "RevisionMetrics | None", deployed: Deployment, planned: tuple[int, int]
) -> tuple[int, int]:
    if metrics is None:
        return 1, 1
    incumbent = deployed.incumbent
    return (
        metrics.replicas(deployed.candidate_revision, untold=planned[0]),
        metrics.replicas(incumbent.revision, untold=planned[1]) if incumbent else 1,
    )


def fairness_of(session: "Session", sender: Sender) -> Fairness:
    from tidegate.adapters.revision_metrics import open_metrics

    deployed, incumbent = session.deployed, session.deployed.incumbent
    metrics, why = open_metrics(session.policy, deployed)
    during = Production(rate_rps=None, why=session.before.why or why)
    if incumbent and metrics and session.planned.baseline_rps is not None:
        say(COMMAND, f"asking Prometheus what {incumbent.revision} served during the test")
        elapsed = time.monotonic() - session.planned_at
        sent = sender.sent.get(Arm.BASELINE, 0) - session.sent_before
        during = metrics.beside(incumbent.revision, elapsed_s=elapsed, sent=sent)
        session.replicas = _replicas(metrics, deployed, session.planned.replicas)
    fair = load_plan.fairness(
        session.planned,
        has_incumbent=incumbent is not None,
        before=session.before,
        during=during,
        replicas=session.replicas,
        dedicated=session.dedicated,
    )
    return load_plan.failing_baseline(
        fair,
        requests=sum(m.offered for m in session.of(Arm.BASELINE)),
        bad=sum(m.errors + m.wrong for m in session.of(Arm.BASELINE)),
    )
