"""Asks the real Prometheus for the metrics that a policy's queries name, before anything is released."""

from difflib import get_close_matches

from tidegate.errors import DocumentError, UsageError
from tidegate.policy import Policy, QueriedObjective
from tidegate.policy.promql import metrics_of


def require_metrics(policy: Policy, *, what: str) -> None:
    """Every metric has series now, of whatever revision.

    Raises DocumentError for one that has none, UsageError without a Prometheus to ask, and what asking
    raises.
    """
    from tidegate.adapters.revision_metrics import open_prometheus

    asked, why = open_prometheus(policy)
    if asked is None:
        raise UsageError(why)
    there = asked.metric_names()
    for at, objective in enumerate(policy.slo.objectives):
        if not isinstance(objective, QueriedObjective):
            continue
        for name in sorted(metrics_of(objective.text) - there):
            near = get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]}? else " if near else ""
            raise DocumentError(
                f"{what}: slo.objectives.{at}.query = {objective.text!r} asks for {name}, of which "
                f"Prometheus has no series; {hint}correct the name, or scrape its exporter"
            )
