"""Kept evidence leads to the same verdict again, offline, or is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.core.test_live import look, served
from tests.evidence.conftest import SUBJECT, policy
from tests.evidence.test_gate import ERRORS, PROMQL, gate, report
from tidegate.adapters.evidence_file import versions, write_evidence
from tidegate.adapters.files import read
from tidegate.cli import app
from tidegate.core.replay import look_record, of_looks, sealed
from tidegate.documents import Evidence, Verdict, Word
from tidegate.errors import ConflictError, DocumentError
from tidegate.operations.replay import replayed

LATENCY = {"kind": "latency", "limit_ms": 300}


@pytest.mark.parametrize("errors", [0, 9, 90])
def test_a_gates_evidence_gives_the_same_findings_byte_for_byte(
    tmp_path: Path, errors: int
) -> None:
    gate(tmp_path, report(errors=errors), ERRORS, LATENCY, PROMQL)  # Prometheus is not asked again
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        ["gate", "--replay", str(out / "evidence.json"), "--verdict-document", str(out / "again")],
    )
    verdict = read(out / "verdict.json", Verdict)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, verdict.word.value)
    again = read(out / "again", Verdict)
    assert json.dumps([f.model_dump() for f in again.findings]) == json.dumps(
        [f.model_dump() for f in verdict.findings]
    )
    assert again.reason == verdict.reason


def live_evidence(path: Path, **changes: Any) -> Path:
    asked = policy(slo={"objectives": (ERRORS,)}, traffic={"bake_s": 60})
    looks = [
        look(served(1000, errors=2), incumbent=served(9000, errors=18), compared=True),
        look(served(50, errors=40), elapsed_s=2.0),
    ]
    kept = of_looks(SUBJECT, "r-1", asked, [look_record(one) for one in looks], versions=versions())
    write_evidence(path, sealed(kept.model_copy(update=changes)))
    return path


def test_each_look_that_decided_a_traffic_step_is_judged_again(tmp_path: Path) -> None:
    evidence, judged = replayed(live_evidence(tmp_path / "live.json"))
    assert [one.word for one in judged] == [Word.PASS, Word.FAIL]
    assert "40 of 50 live requests answered 5xx" in judged[1].reason
    assert evidence.stage == "live"


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9, 1.0])
def test_one_changed_byte_is_refused_in_one_line(tmp_path: Path, at: float) -> None:
    path = live_evidence(tmp_path / "live.json")
    text = path.read_text()
    digits = [n for n, letter in enumerate(text) if letter in "0123456789 "]
    where = digits[round(at * (len(digits) - 1))]
    other = {" ": "\n"}.get(text[where], "1" if text[where] != "1" else "2")
    path.write_text(text[:where] + other + text[where + 1 :])
    with pytest.raises(DocumentError) as refused:
        replayed(path)
    assert "\n" not in str(refused.value)
    path.write_text(text + " ")
    with pytest.raises(DocumentError, match="was changed since it was written"):
        replayed(path)


def test_evidence_that_leads_to_another_word_now_is_a_conflict_that_names_it(
    tmp_path: Path,
) -> None:
    path = live_evidence(tmp_path / "live.json")
    before = read(path, Evidence)
    wrong = (before.judged[0], before.judged[0])  # as an earlier version might have judged it
    with pytest.raises(
        ConflictError, match=r"was judged PASS and is judged FAIL now: .*live errors: FAIL"
    ):
        replayed(live_evidence(path, judged=wrong))


def test_the_gate_without_its_options_and_without_evidence_names_the_first() -> None:
    done = CliRunner().invoke(app, ["gate"])
    assert "--load-report is missing; give it, or --replay" in str(done.exception)
