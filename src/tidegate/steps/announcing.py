"""Tells MLflow and a webhook how a release ended. What fails here is a warning, never a failed run."""

import re
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from tidegate.documents import Report
from tidegate.errors import UnavailableError
from tidegate.policy import Policy
from tidegate.steps.heartbeat import beating
from tidegate.steps.telling import tell_report

T = TypeVar("T")

WITHIN_S = 10.0
REASON_CHARACTERS = 500  # enough to recognise the reason; the page has all of it


def within(call: Callable[[], T], doing: str, *, seconds: float = WITHIN_S) -> T:
    """The call's result or its error, or UnavailableError when it takes longer.

    A client's own timeouts bound each read, not the call: a server that drips would hold the release.
    """
    result: list[T] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            result.append(call())
        except Exception as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name=doing, daemon=True)
    with beating("report", doing):
        thread.start()
        thread.join(seconds)
    if result:
        return result[0]
    raise errors[0] if errors else UnavailableError(f"no end after {seconds:g} s; given up")


def announce(report: Report, policy: Policy, page: str, markdown: str) -> list[str]:
    """Tell everybody whom the policy names; returns what did not work."""
    tell_report(report, policy.telemetry, namespace=policy.namespace, service=policy.name)
    warnings, run_id = [], _run_id(report)
    stored = (
        f"runs:/{run_id}/tidegate/{_name(report)}.html" if policy.report.mlflow and run_id else ""
    )
    if policy.report.mlflow:
        tell = partial(tell_mlflow, report, page, markdown)
        warnings.append(attempt(tell, "writing to MLflow"))
        if not run_id:
            warnings.append("the version names no MLflow run, so the page is stored with none")
    if policy.report.webhook_url:
        stored = "" if any(warnings) else stored
        tell = partial(post, policy, report, markdown, stored)
        warnings.append(attempt(tell, "posting to the webhook"))
    return [warning for warning in warnings if warning]


def attempt(call: Callable[[], object], doing: str) -> str:
    """The warning, or ''."""
    try:
        within(call, doing)
    except Exception as error:  # noqa: BLE001 - whatever it is, the release has ended as it has
        return f"{doing} failed: {error}"
    return ""


def tell_mlflow(report: Report, page: str, markdown: str) -> None:
    """Tags on the model version; the page and its twins with its run, under names that a browser opens."""
    from tidegate.adapters.mlflow_registry import registry

    subject, run_id = report.subject, _run_id(report)
    with registry(deadline_s=WITHIN_S / 2) as models:
        for key, value in _tags(report, run_id).items():
            models.tag_version(subject.model, subject.version, key, value)
        if run_id:
            twins = {"html": page, "md": markdown, "json": report.model_dump_json(indent=2) + "\n"}
            with tempfile.TemporaryDirectory() as folder:
                for suffix, text in twins.items():
                    file = Path(folder) / f"{_name(report)}.{suffix}"
                    file.write_text(text, encoding="utf-8")
                    models.log_report(run_id, file)


def _tags(report: Report, run_id: str) -> dict[str, str]:
    """What a list of versions can be filtered by, and the way to the page."""
    tags = {
        "tidegate.outcome": report.result.value,
        "tidegate.verdict": report.verdict.word.value if report.verdict else "",
        "tidegate.release_id": report.release_id,
        "tidegate.reason": report.reason[:REASON_CHARACTERS],
        "tidegate.report": f"tidegate/{_name(report)}.html" if run_id else "",
    }
    return {key: value for key, value in tags.items() if value}


def _name(report: Report) -> str:
    """An orchestrator's own names have no suffix, and may hold what a path cannot."""
    safe = re.sub(r"[^-\w.]", "_", report.release_id)
    return f"release-{safe}"


def _run_id(report: Report) -> str:
    return report.candidate.run_id if report.candidate else ""


def post(policy: Policy, report: Report, markdown: str, page: str) -> None:
    """One message in the policy's format; `page` says where the page is, '' where it is not."""
    from tidegate.adapters import webhook
    from tidegate.report.notification import generic, slack

    is_slack = policy.report.webhook_format == "slack"
    body = slack(report, page=page) if is_slack else generic(report, markdown, page=page)
    webhook.post(policy.report.webhook_url, body, timeout_s=WITHIN_S)
