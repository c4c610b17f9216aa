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
from tidegate.core.answered import Answer, Clock, Peak, Queried, Restarted, Said, findings_of
from tidegate.core.readings import Answers, Reading
from tidegate.core.replay import look_record, of_load_test, of_looks, sealed
from tidegate.core.restarts import Counted, Restarts
from tidegate.core.slo import judge, per_look
from tidegate.documents import Capacity, Evidence, Finding, Verdict, Word
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


def answered(*, failing: float, peak: float) -> list[Answer]:
    """One of every kind of answer; the objectives are those of `JUDGED`."""
    crashed = Restarts(
        since_s=0.0,
        counted=(Counted(pod="m-2-x", uid="u", container="triton", before=3, most=4),),
    )
    said = Finding(name="fairness", word=Word.PASS, message="fairness: fair enough")
    now = Reading(query='sum(failures{revision="m-2"})', value=failing)
    return [
        Clock(skew_s=0.3, interval_s=5.0),
        Queried(objective=1, answers=Answers(now=now, earlier=((9.0, None), (None, None)))),
        Peak(objective=2, reading=Reading(query="max_over_time(...)", value=peak), replicas=2),
        Restarted(restarts=crashed),
        Said(finding=said),
    ]


JUDGED = (
    ERRORS,
    PROMQL | {"failing": {"looks": 2, "of": 3}},
    {"kind": "capacity"},
    {"kind": "restarts", "limit": 1},
)


def gate_evidence(path: Path, given: list[Answer], **changes: Any) -> Path:
    """As the gate writes it; `changes` are made before it is sealed."""
    asked = policy(slo={"objectives": JUDGED, "metrics": ["failures"]})
    capacity = Capacity(
        rate_rps=100.0, replicas=1, quantile=0.99, limit_ms=25.0, is_lower_bound=False, message="m"
    )
    load = report().model_copy(update={"capacity": capacity})
    judged = judge(
        load,
        per_look(asked.slo, asked.load),
        first_release=True,
        readings=findings_of(given, asked.slo, capacity),
    )
    kept = of_load_test(load, asked, judged, first_release=True, answers=given, versions=versions())
    write_evidence(path, sealed(kept.model_copy(update=changes)))
    return path


@pytest.mark.parametrize(
    ("failing", "peak", "word"), [(2, 100, Word.PASS), (9, 100, Word.FAIL), (2, 190, Word.FAIL)]
)
def test_what_was_asked_is_judged_again_from_its_numbers(
    tmp_path: Path, failing: float, peak: float, word: Word
) -> None:
    _, (again,) = replayed(gate_evidence(tmp_path / "e.json", answered(failing=failing, peak=peak)))
    assert again.word is word
    named = {one.name: one for one in again.findings}
    assert named["failed inferences"].observed == failing
    assert named["capacity"].limit == pytest.approx(1.2 * peak)
    assert named["restarts"].observed == 1


def test_a_recorded_word_that_its_numbers_do_not_lead_to_is_found_out(tmp_path: Path) -> None:
    """Had the words been kept instead of the numbers, this would be a PASS for ever."""
    good = read(gate_evidence(tmp_path / "good", answered(failing=2, peak=1)), Evidence).judged
    with pytest.raises(ConflictError, match=r"was judged PASS and is judged FAIL now: failed inf"):
        replayed(gate_evidence(tmp_path / "bad", answered(failing=9, peak=1), judged=good))


def test_what_a_gate_of_the_users_own_said_is_taken_as_recorded_and_marked(tmp_path: Path) -> None:
    path = gate_evidence(tmp_path / "e.json", answered(failing=2, peak=100))
    done = CliRunner().invoke(app, ["gate", "--replay", str(path)])
    marked = [line for line in done.stderr.splitlines() if "as recorded" in line]
    assert marked == ["PASS: fairness: fair enough (as recorded: that gate is not asked again)"]


def test_an_answer_about_an_objective_that_is_not_there_is_no_evidence(tmp_path: Path) -> None:
    answers = answered(failing=2, peak=100)
    path = gate_evidence(tmp_path / "e.json", answers)
    kept = read(path, Evidence).answers
    moved = tuple(one | {"objective": 7} if "objective" in one else one for one in kept)
    with pytest.raises(DocumentError, match=r"cannot be judged.*slo.objectives.7 is not what was"):
        replayed(gate_evidence(path, answers, answers=moved))


def test_a_bake_that_lost_its_prometheus_is_judged_again_as_well(tmp_path: Path) -> None:
    asked = policy(slo={"objectives": (ERRORS,)})
    crashed = Restarted(restarts=Restarts(since_s=0.0, unseen="HTTP 403"))
    blind = look_record(look(None, lost="Prometheus is away", answers=(crashed,)))
    kept = of_looks(SUBJECT, "r-1", asked, [blind], versions=versions())
    write_evidence(tmp_path / "live.json", kept)
    _, (again,) = replayed(tmp_path / "live.json")
    assert (again.word, again.reason) == (Word.INVALID, "Prometheus is away")


def test_the_gate_without_its_options_and_without_evidence_names_the_first() -> None:
    done = CliRunner().invoke(app, ["gate"])
    assert "--load-report is missing; give it, or --replay" in str(done.exception)
