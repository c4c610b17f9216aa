"""The exposure budget of a release: what users have seen of the candidate, asked of Prometheus."""

import time

from tidegate.core.decisions import Refuse
from tidegate.core.exposure import exposed_since, overspent
from tidegate.core.journal import Journal
from tidegate.documents import Deployment
from tidegate.errors import RejectedError, UnavailableError
from tidegate.policy import Policy

BUDGET_S = 3.0  # the bake asks again in a second


def exposed_too_much(journal: Journal, policy: Policy, percent: int) -> Refuse | None:
    """Why the release ends now; None within the budget, without one, or while it cannot be known.

    Not knowing is the live gate's to judge: it is INVALID there, and bounded by max_bake_s.
    """
    exposure, since_s = policy.traffic.exposure, exposed_since(journal)
    if since_s is None or (exposure.max_requests is None and exposure.max_errors is None):
        return None
    from tidegate.adapters.revision_metrics import open_metrics

    deployed = Deployment.model_validate_json(_json(journal))
    metrics, _ = open_metrics(policy, deployed, budget_s=BUDGET_S)
    if metrics is None:
        return None
    elapsed = max(1.0, time.time() - since_s)
    try:
        seen, _ = metrics.served(deployed.candidate_revision, elapsed_s=elapsed)
    except (UnavailableError, RejectedError):
        return None
    if seen is None:
        return None
    return overspent(
        exposure, requests=seen.requests, errors=seen.errors, percent=percent, since_s=elapsed
    )


def _json(journal: Journal) -> str:
    """Strict documents read tuples from JSON only."""
    import json

    return json.dumps(journal.deployment)
