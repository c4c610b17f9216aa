"""The report of a run that cannot write its own: what its journal remembers, and nothing else."""

import json
from collections.abc import Callable
from html import escape

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
            warnings=journal.preflight,
        ),
        _policy(journal),
    )


def tell(journal: Journal, error: Exception | None = None) -> str:
    """The page; and when the run cannot tell anybody how it ended, its registry and webhook are told here."""
    from tidegate.report.markdown import markdown

    report, policy = report_from_journal(journal, error)
    short = markdown(report)
    drawn = _drawn(lambda: _page(report, policy), f"{report.subject}: {report.result}", short)
    if policy is not None and report.result in UNTOLD:
        for warning in announce(report, policy, drawn, short):
            say("guard", f"warning: {warning}")
    return drawn


def tell_of_sweep(journal: Journal, error: Exception | None) -> bool:
    """Tell of what sweep found; whether it was told, or there is nobody to tell.

    The registry is told of a run that died; a repair is of a release whose own page is there already.
    """
    from tidegate.report.markdown import markdown

    report, policy = report_from_journal(journal, error)
    if policy is None:
        return False
    if error is None and report.result not in UNTOLD:
        silent = policy.report.model_copy(update={"mlflow": False})
        policy = policy.model_copy(update={"report": silent})
    short = markdown(report)
    drawn = _drawn(lambda: _page(report, policy), f"{report.subject}: {report.result}", short)
    warnings = announce(report, policy, drawn, short)
    for warning in warnings:
        say("sweep", f"warning: {warning}")
    return not any("webhook" in warning for warning in warnings)


def nothing(release_id: str) -> str:
    """The page of a run that left nothing in the cluster."""

    def draw() -> str:
        from tidegate.report.page import nothing_to_undo

        return nothing_to_undo(release_id)

    return _drawn(draw, "Nothing to undo", f"Release {release_id} left nothing in the cluster.")


def _page(report: Report, policy: Policy | None) -> str:
    from tidegate.report.page import page

    return page(report, policy)


def _drawn(draw: Callable[[], str], title: str, text: str) -> str:
    """The page; plain text where it cannot be drawn, for the traffic has been returned by now."""
    try:
        return draw()
    except Exception as error:  # noqa: BLE001 - an extra that is missing, above all
        say("guard", f"warning: the page could not be drawn: {error}")
        head = f'<meta charset="utf-8"><title>{escape(title)}</title>'
        body = f"<h1>{escape(title)}</h1><pre>{escape(text)}</pre>"
        return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>\n"


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
