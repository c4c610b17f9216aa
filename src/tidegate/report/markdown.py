"""The page in a few lines of Markdown, for a Kubeflow artifact, a chat message or a CI summary."""

from collections.abc import Iterable

from tidegate.documents import ArmSummary, Finding, Parity, Refusal, Report, TrafficStep, Verdict
from tidegate.report import traffic
from tidegate.report.evidence import arms_of
from tidegate.report.findings import by_severity
from tidegate.report.tables import interval, short, weight, with_unit
from tidegate.report.writing import ms, number

MOST_FINDINGS = 25


def markdown(report: Report) -> str:
    """Outcome, how production is served, the objectives, the two arms, parity, and what it is about."""
    subject = report.subject
    parts = [
        [f"## {plain(subject.model)} version {plain(subject.version)}: {report.result}"],
        [plain(short(report.reason))],
        [plain(traffic.sentence(report))],
        _findings(report.verdict),
        _arms(arms_of(report)),
        _steps(report),
        _live(report),
        _parity(report.parity),
        [f"Release `{_code(report.release_id)}`, MLmodel `{_code(subject.digest)}`"],
        [f"Note: {plain(short(warning))}" for warning in report.warnings[:5]],
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines) + "\n"


def _findings(verdict: Verdict | Refusal | None) -> list[str]:
    found = by_severity(verdict.findings) if verdict else []
    if not found:
        return []
    rows = [_finding(finding) for finding in found[:MOST_FINDINGS]]
    more = len(found) - len(rows)
    table = _table(
        "word|objective|observed|interval|limit|samples", rows, "---|---|---:|---|---:|---:"
    )
    return [*table, *([f"\n{more} more are in report_document."] if more else [])]


def _finding(finding: Finding) -> list[str]:
    counts = f" ({weight(finding)})" if weight(finding) else ""
    return [
        f"**{finding.word}**",
        f"{plain(finding.name)}{counts}: {plain(short(finding.message))}",
        plain(with_unit(finding.observed, finding.unit)),
        interval(finding),
        plain(with_unit(finding.limit, finding.unit)),
        number(finding.samples),
    ]


def _arms(arms: list[ArmSummary]) -> list[str]:
    rows = [_arm(arm) for arm in arms]
    head = "arm|requests|p50 ms|p95 ms|p99 ms|errors|wrong"
    return _table(head, rows, "---|---:|---:|---:|---:|---:|---:") if rows else []


def _arm(arm: ArmSummary) -> list[str]:
    times = [ms(t) for t in (arm.p50_ms, arm.p95_ms, arm.p99_ms)]
    return [arm.arm.value, number(arm.requests), *times, number(arm.errors), number(arm.wrong)]


def _steps(report: Report) -> list[str]:
    ended = traffic.outcome_of(report)
    rows = [_step(step) for step in (ended.steps if ended else ())]
    return _table("share|word|requests|p99 ms|why", rows, "---:|---|---:|---:|---") if rows else []


def _step(step: TrafficStep) -> list[str]:
    told = plain(short(step.message))
    return [f"{step.percent} %", f"**{step.word}**", number(step.requests), ms(step.p99_ms), told]


def _live(report: Report) -> list[str]:
    """What each word on live traffic rests on."""
    ended = traffic.outcome_of(report)
    rows = [
        [f"{step.percent} %", *_finding(finding)]
        for step in (ended.steps if ended else ())
        for finding in by_severity(step.findings)
    ]
    if not rows:
        return []
    head, align = (
        "share|word|live objective|observed|interval|limit|samples",
        "---:|---|---|---:|---|---:|---:",
    )
    more = len(rows) - MOST_FINDINGS
    said = [f"\n{more} more are in report_document."] if more > 0 else []
    return [*_table(head, rows[-MOST_FINDINGS:], align), *said]


def _parity(parity: Parity | None) -> list[str]:
    if parity is None:
        return []
    said = f"Parity: **{parity.word}** against {plain(parity.reference)} on {parity.rows} rows"
    bad = (
        plain(short(output.message))
        for output in (*parity.outputs, *parity.checks)
        if output.word != "PASS"
    )
    return [": ".join([said, *("; ".join(found) for found in [list(bad)] if found)])]


def _table(head: str, rows: Iterable[list[str]], align: str) -> list[str]:
    lines = [head.split("|"), align.split("|"), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _code(text: str) -> str:
    return plain_line(text).replace("`", "")


def plain_line(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Text on one line that Markdown, and the HTML in it, does not read as its own."""
    flat = plain_line(text)
    for sign in "\\`*_[]|#~":
        flat = flat.replace(sign, f"\\{sign}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
