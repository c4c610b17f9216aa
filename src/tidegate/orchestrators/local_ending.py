"""How a local release ended, from what its run left in its folder."""

from dataclasses import dataclass
from pathlib import Path

from tidegate.documents import Report, Result
from tidegate.errors import NotPromotedError, RollbackFailedError
from tidegate.orchestrators.watch import Failure, Watch

TRIGGER = "trigger"  # the step whose NO alone may end a run well without a report


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a local release ended: its result word, exit code and where the page is."""

    result: str
    reason: str
    exit_code: int
    folder: Path
    page: Path | None
    report: Report | None


def ended(folder: Path, watch: Watch, code: int) -> Ended:
    """From the report, or from what was said last."""
    report = _report(folder)
    page = next((folder / "artifacts").glob("*/report/**/page"), None)
    guard_page = next((folder / "artifacts").glob("*/guard/**/page"), None)
    if report is None and code == 0 and watch.due == "NO":
        return _nothing_new(folder, watch)
    if report is None:
        return _died(folder, watch, code, guard_page)
    return Ended(
        result=report.result.value,
        reason=report.reason,
        exit_code=_exit_code(report.result, code),
        folder=folder,
        page=page,
        report=report,
    )


def _nothing_new(folder: Path, watch: Watch) -> Ended:
    """A schedule that found nothing to release is done, and green."""
    return Ended(
        result=Result.UNCHANGED.value, reason=watch.said.get(TRIGGER, ""),
        exit_code=0, folder=folder, page=None, report=None,
    )  # fmt: skip


def _report(folder: Path) -> Report | None:
    path = next((folder / "artifacts").glob("*/report/**/report_document"), None)
    return Report.model_validate_json(path.read_text(encoding="utf-8")) if path else None


def _exit_code(result: Result, code: int) -> int:
    """conclude already weighed the policy's on_reject; kfp only tells success from failure."""
    if code == 0:
        return 0
    failed = RollbackFailedError if result is Result.ROLLBACK_FAILED else NotPromotedError
    return failed.exit_code


def _died(folder: Path, watch: Watch, code: int, page: Path | None) -> Ended:
    failure = watch.failure or Failure(
        step=watch.step,
        error="Error",
        message=f"ended with {code}; see {folder / 'run.log'}",
        exit_code=1,
    )
    return Ended(
        result=Result.DIED.value,
        reason=f"{failure.step}: {failure.message}",
        exit_code=failure.exit_code,
        folder=folder,
        page=page,
        report=None,
    )
