"""What a chat gets: within what Slack takes, and nothing that a model's name could do there."""

import json
from typing import Any

import pytest

from tests.report import a_release, samples
from tidegate.documents import Finding, Report, Result, Word
from tidegate.report.notification import generic, slack


def texts(message: dict[str, Any]) -> list[str]:
    """Every text of a message, wherever it stands."""
    found = [message["text"]]
    for block in message["blocks"]:
        parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
        found += [part["text"] for part in parts if part]
    return found


@pytest.mark.parametrize("name", list(samples.reports()))
def test_a_message_keeps_to_the_limits_that_slack_documents(name: str) -> None:
    message = slack(samples.reports()[name], page="runs:/0123abc/tidegate/release-r7.html")
    assert set(message) == {"text", "blocks"}
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        assert block["type"] in ("header", "section", "context")
        assert len(block.get("fields", [])) <= 10
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))
        most = 150 if block["type"] == "header" else 3000
        assert 0 < len((block.get("text") or {"text": "-"})["text"]) <= most
    assert len(json.dumps(message)) < 16_000


def test_no_mention_link_or_markup_comes_out_of_a_name() -> None:
    told = slack(a_release.report(reason="<!channel> <http://x|y> & done"))
    assert not any("<!channel>" in text or "<http" in text for text in texts(told))
    assert "&lt;!channel&gt;" in told["text"]


@pytest.mark.parametrize("result", list(Result))
def test_every_way_to_end_is_said_with_its_reason(result: Result) -> None:
    told = slack(a_release.report(result, reason="because of this"))
    assert told["text"] == f"digits version 7: {result.replace('_', ' ')}: because of this"
    assert "because of this" in told["blocks"][1]["text"]["text"]


def test_what_did_not_pass_is_named_and_what_did_is_not() -> None:
    said = "\n".join(texts(slack(samples.reports()["rolled-back"])))
    assert "*FAIL* p99 latency" in said
    assert "*INVALID* gpu memory" in said
    assert "p50 vs incumbent" not in said


@pytest.mark.parametrize("warns", [True, False])
def test_what_warns_is_named_and_what_is_only_reported_is_not(warns: bool) -> None:
    late = Finding(
        name="queue", word=Word.FAIL, message="queue 0.4 > 0.3", blocking=False, warns=warns
    )
    verdict = a_release.verdict().model_copy(update={"findings": (late,)})
    said = "\n".join(texts(slack(a_release.report(verdict=verdict))))
    assert ("*FAIL* queue" in said) is warns


def test_plain_fields_hold_the_whole_reason_and_where_the_page_is() -> None:
    told: Report = a_release.report(reason="x" * 5000)
    body = generic(told, "markdown", page="runs:/a/b.html")
    assert body["reason"] == "x" * 5000
    assert body["page"] == "runs:/a/b.html"
    assert body["digest"] == a_release.SUBJECT.digest
