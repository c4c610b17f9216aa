"""The report of a run that cannot write its own: what its journal remembers, and nothing else."""

import json

from pydantic import ValidationError

from tidegate.core.journal import Journal
from tidegate.documents import Deployment, Outcome, Report, Result
from tidegate.policy import Policy
from tidegate.steps.announcing import announce
from tidegate.steps.progress import say
from tidegate.steps.report import seconds, tools

UNTOLD = (Result.DIED, Result.ROLLBACK_FAILED)  # any other run came to its own report


def report_from_journal(
    journal: Journal, error: Exception | None = None
) -> tuple[Report, Policy | None]:
    """The report, and the policy that the journal keeps; `error` is what kept it from ending.

    How production is served is not in a journal: the report says so, unless it was proven at the end.
    """
    result = journal.outcome or (Result.ROLLBACK_FAILED if error else Result.DIED)
    reason = str(error) if error else journal.reason or f"the run died while {journal.phase}"
    outcome = Outcome(
        subject=journal.subject,
        release_id=journal.release_id,
        result=result,
        reason=reason,
        traffic=_traffic(journal, result),
        traffic_safe=journal.traffic_safe,
        spec_repaired=journal.spec_repaired,
        steps=journal.steps,
    )
    told = journal.model_dump(mode="json") | {"outcome": outcome.model_dump(mode="json")}
    return (
        Report(
            subject=journal.subject,
            release_id=journal.release_id,
            result=result,
            reason=reason,
            deployment=_deployment(journal),
            journal=told,
            seconds=seconds(None, told),
            tools=tools(),
        ),
        _policy(journal),
    )


def tell(journal: Journal, error: Exception | None = None) -> str:
    """The page; and when the run cannot tell anybody how it ended, its registry and webhook are told here."""
    from tidegate.report.markdown import markdown
    from tidegate.report.page import page

    report, policy = report_from_journal(journal, error)
    drawn = page(report, policy)
    if policy is not None and report.result in UNTOLD:
        for warning in announce(report, policy, drawn, markdown(report)):
            say("guard", f"warning: {warning}")
    return drawn


def _traffic(journal: Journal, result: Result) -> dict[str, int]:
    if result is Result.PROMOTED:
        return {journal.candidate_revision: 100}
    if journal.traffic_safe and journal.incumbent:
        return {journal.incumbent.revision: 100}
    return {}


def _deployment(journal: Journal) -> Deployment | None:
    """Kept once the candidate was up; one that another version wrote is left out."""
    try:
        return Deployment.model_validate_json(json.dumps(journal.deployment))
    except ValidationError:
        return None


def _policy(journal: Journal) -> Policy | None:
    try:
        return Policy.model_validate(journal.policy)
    except ValidationError:
        return None
