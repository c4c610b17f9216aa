"""The page in a few lines of Markdown, for a chat message or a CI summary."""

from tidegate.documents import ArmSummary, Finding, Refusal, Report, Verdict


def markdown(report: Report) -> str:
    """Outcome, the two arms, and every finding that is worth a line."""
    subject = report.subject
    lines = [
        f"## {_plain(subject.model)} version {_plain(subject.version)}: {report.result}",
        "",
        _plain(report.reason),
        "",
        f"Release `{report.release_id.replace('`', '')}`",
    ]
    return "\n".join([*lines, *_arms(report), *_findings(report.verdict)]) + "\n"


def _arms(report: Report) -> list[str]:
    if report.load is None:
        return []
    head = ["", "| | requests | p50 ms | p95 ms | p99 ms | errors | wrong |"]
    arms = [arm for arm in (report.load.candidate, report.load.baseline) if arm]
    return [*head, "|---|---:|---:|---:|---:|---:|---:|", *(_arm(arm) for arm in arms)]


def _arm(arm: ArmSummary) -> str:
    times = [f"{t:.1f}" if t is not None else "-" for t in (arm.p50_ms, arm.p95_ms, arm.p99_ms)]
    cells = [arm.arm.value, arm.requests, *times, arm.errors, arm.wrong]
    return f"| {' | '.join(map(str, cells))} |"


def _findings(verdict: Verdict | Refusal | None) -> list[str]:
    found = verdict.findings if verdict else ()
    return ["", *(_finding(finding) for finding in found)] if found else []


def _finding(finding: Finding) -> str:
    weight = "" if finding.blocking else " (not blocking)"
    return f"- **{finding.word}** {_plain(finding.name)}{weight}: {_plain(finding.message)}"


def _plain(text: str) -> str:
    """Text on one line that Markdown, and the HTML in it, does not read as its own."""
    flat = " ".join(text.split())
    for sign in "\\`*_[]|#":
        flat = flat.replace(sign, f"\\{sign}")
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
