"""Tells MLflow and a webhook how a release ended. What fails here is a warning, never a failed run."""

import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tidegate.documents import Report
from tidegate.errors import UnavailableError
from tidegate.policy import Policy
from tidegate.steps.heartbeat import beating

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


def announce(report: Report, policy: Policy, page: Path, markdown: str) -> list[str]:
    """Tell everybody whom the policy names; returns what did not work."""
    warnings = []
    if policy.report.mlflow:
        warnings.append(attempt(lambda: tell_mlflow(report, page), "writing to MLflow"))
        if not report.candidate.run_id:
            warnings.append("the version names no MLflow run, so the page is stored with none")
    if url := policy.report.webhook_url:
        warnings.append(attempt(lambda: post(url, report, markdown), "posting to the webhook"))
    return [warning for warning in warnings if warning]


def attempt(call: Callable[[], object], doing: str) -> str:
    """The warning, or ''."""
    try:
        within(call, doing)
    except Exception as error:  # noqa: BLE001 - whatever it is, the release has ended as it has
        return f"{doing} failed: {error}"
    return ""


def tell_mlflow(report: Report, page: Path) -> None:
    """Tags on the model version; the page with its run, under a name that a browser opens."""
    from tidegate.adapters.mlflow_registry import registry

    tags = {
        "tidegate.outcome": report.result.value,
        "tidegate.release_id": report.release_id,
        "tidegate.reason": report.reason[:REASON_CHARACTERS],
    }
    subject, run_id = report.subject, report.candidate.run_id
    with registry(deadline_s=WITHIN_S / 2) as models:
        for key, value in tags.items():
            models.tag_version(subject.model, subject.version, key, value)
        if run_id:
            with _named(page, report.release_id) as file:
                models.log_report(run_id, file)


@contextmanager
def _named(page: Path, release_id: str) -> Iterator[Path]:
    """A copy of the page as release-<id>.html; an orchestrator's own name has no suffix."""
    with tempfile.TemporaryDirectory() as folder:
        safe = re.sub(r"[^-\w.]", "_", release_id)
        yield Path(shutil.copyfile(page, Path(folder) / f"release-{safe}.html"))


def post(url: str, report: Report, markdown: str) -> None:
    """What a chat or an incident tool can show; `text` is what most of them read."""
    from tidegate.adapters import webhook

    body: dict[str, Any] = {
        "text": markdown,
        "release_id": report.release_id,
        "model": report.subject.model,
        "version": report.subject.version,
        "outcome": report.result.value,
        "reason": report.reason,
    }
    webhook.post(url, body, timeout_s=WITHIN_S)
