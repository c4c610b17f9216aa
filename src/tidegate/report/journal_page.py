"""The page of a run that died: what its journal says, and nothing that only a living run would know."""

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

STYLE = "body{font:15px/1.5 sans-serif;margin:2em;max-width:60em}td,th{padding:.2em .8em;text-align:left}"


def journal_page(journal: Mapping[str, Any]) -> str:
    """A self-contained page from a journal as a dict; {} for a run that never reached the cluster."""
    if not journal:
        return _page("Nothing to undo", "<p>This run left nothing in the cluster.</p>")
    subject = journal["subject"]
    title = (
        f"{subject['model']} version {subject['version']}: {journal['outcome'] or journal['phase']}"
    )
    facts = {
        "Release": journal["release_id"],
        "InferenceService": f"{journal['namespace']}/{journal['name']}",
        "Candidate": journal["candidate_revision"] or "-",
        "Incumbent": (journal["incumbent"] or {}).get("revision", "none: a first release"),
        "Why": journal["reason"],
    }
    body = _table([], list(facts.items()))
    acts = [
        (_time(a["intended_s"]), a["kind"], a["percent"], a["why"], _time(a["confirmed_s"]))
        for a in journal["acts"]
    ]
    body += "<h2>Acts</h2>" + _table(["Meant", "Act", "Percent", "Why", "Seen"], acts)
    steps = [(_time(s["at_s"]), s["percent"], s["word"], s["message"]) for s in journal["steps"]]
    return _page(title, body + "<h2>Steps</h2>" + _table(["At", "Percent", "Word", "Why"], steps))


def _time(unix_s: float | None) -> str:
    if unix_s is None:
        return "never"
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _table(head: list[str], rows: list[tuple[Any, ...]]) -> str:
    top = "<tr>" + "".join(f"<th>{escape(name)}</th>" for name in head) + "</tr>" if head else ""
    cells = (
        "".join(f"<td>{escape('-' if c is None else str(c))}</td>" for c in row) for row in rows
    )
    return f"<table>{top}{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _page(title: str, body: str) -> str:
    safe = escape(title)
    head = f'<meta charset="utf-8"><title>{safe}</title><style>{STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body><h1>{safe}</h1>{body}</body></html>\n"
