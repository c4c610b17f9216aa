"""What a chat and an incident tool get of a release: short, and within what Slack takes.

Slack's limits (docs.slack.dev, Block Kit reference): 150 characters in a header, 3,000 in a section,
2,000 in a field, 10 fields. Mattermost and Rocket.Chat read `text` of the same message.
"""

from typing import Any

from tidegate.documents import Report, Result, Word
from tidegate.report.findings import by_severity
from tidegate.report.glance import tiles
from tidegate.report.page import MEANING
from tidegate.report.tables import short
from tidegate.report.traffic import sentence

HEADER, SECTION, FIELD, FIELDS = 150, 2900, 300, 6
MOST_FINDINGS = 5
SIGN = {
    Result.PROMOTED: ":white_check_mark:",
    Result.UNCHANGED: ":heavy_minus_sign:",
    Result.ROLLED_BACK: ":leftwards_arrow_with_hook:",
    Result.REJECTED: ":x:",
    Result.ROLLBACK_FAILED: ":rotating_light:",
    Result.DIED: ":warning:",
    Result.ABORTED: ":octagonal_sign:",
}


def slack(report: Report, *, page: str = "") -> dict[str, Any]:
    """`text` for notifications and old clients, `blocks` for the channel; `page` says where the page is."""
    title = f"{report.subject}: {report.result.replace('_', ' ')}"
    why = f"{SIGN[report.result]} *{MEANING[report.result]}* {escaped(short(report.reason))}"
    parts = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:HEADER]}},
        _section(f"{why}\n{escaped(sentence(report))}"),
        *_figures(report),
        *_findings(report),
        {"type": "context", "elements": [_mrkdwn(_origin(report, page))]},
    ]
    return {"text": f"{escaped(title)}: {escaped(short(report.reason))}"[:SECTION], "blocks": parts}


def generic(report: Report, markdown: str, *, page: str = "") -> dict[str, Any]:
    """The same in plain fields, for whatever reads JSON."""
    return {
        "schema_version": 1,
        "release_id": report.release_id,
        "model": report.subject.model,
        "version": report.subject.version,
        "digest": report.subject.digest,
        "service": _service(report),
        "outcome": report.result.value,
        "reason": report.reason,
        "production": sentence(report),
        "page": page,
        "markdown": markdown,
    }


def escaped(text: str) -> str:
    """As Slack wants it: no markup, mention or link comes out of a model's name."""
    flat = " ".join(text.split())
    return flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text[:SECTION]}


def _figures(report: Report) -> list[dict[str, Any]]:
    shown = tiles(report, None)[:FIELDS]
    fields = [
        _mrkdwn(f"*{tile.label}*\n{tile.value} {escaped(tile.beside)}"[:FIELD]) for tile in shown
    ]
    return [{"type": "section", "fields": fields}] if fields else []


def _findings(report: Report) -> list[dict[str, Any]]:
    """What did not pass, the worst first."""
    found = by_severity(report.verdict.findings) if report.verdict else []
    bad = [f for f in found if f.word is not Word.PASS and (f.blocking or f.warns)]
    lines = [
        f"• *{f.word}* {escaped(short(f.name, most=80))}: {escaped(short(f.message, most=400))}"
        for f in bad[:MOST_FINDINGS]
    ]
    return [_section("\n".join(lines))] if lines else []


def _service(report: Report) -> str:
    name, namespace = report.journal.get("name"), report.journal.get("namespace")
    if report.deployment:
        return f"{report.deployment.namespace}/{report.deployment.name}"
    return f"{namespace}/{name}" if name and namespace else ""


def _origin(report: Report, page: str) -> str:
    parts = [f"release {report.release_id}", _service(report), page]
    return escaped(" · ".join(part for part in parts if part))
