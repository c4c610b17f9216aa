import json
from pathlib import Path
from typing import Any

import pytest

from tests.evidence.conftest import CANDIDATE, INCUMBENT, SUBJECT, deployment, free_port, policy
from tidegate.adapters.files import read, read_any, write
from tidegate.adapters.revision_metrics import open_metrics
from tidegate.documents import (
    Arm,
    ArmSummary,
    Document,
    Generator,
    LoadReport,
    Refusal,
    Verdict,
    Word,
)
from tidegate.errors import DocumentError
from tidegate.steps.execution import execute
from tidegate.steps.load_beside import production_before
from tidegate.steps.registry import steps

ERRORS = {"kind": "errors", "limit": 0.01}
OWN = ["failures", "old", "no_such"]
PROMQL = {
    "kind": "promql",
    "name": "failed inferences",
    "query": 'sum(failures{revision="$revision",namespace="$namespace"})',
    "limit": 3,
}


def report(*, errors: int = 0, revision: str = CANDIDATE) -> LoadReport:
    candidate = ArmSummary(
        arm=Arm.CANDIDATE, host="candidate.test", revision=revision, requests=1000, errors=errors,
        wrong=0, rate_rps=50, total_rate_rps=50, p50_ms=5.0, p95_ms=5.0, p99_ms=5.0, max_ms=5.0,
        latencies_ms=(5.0,) * (1000 - errors),
    )  # fmt: skip
    return LoadReport(
        subject=SUBJECT, release_id="r-1", started_s=0.0, ended_s=1.0, protocol="http",
        candidate=candidate, baseline=None, blocks=(), fairness="no incumbent", fair=True,
        generator=Generator(lag_p99_ms=1.0, cpu_share=0.1, delivered_ratio=1.0, saturated=False),
    )  # fmt: skip


def gate(folder: Path, given: Document | Refusal, *objectives: dict[str, Any]) -> dict[str, Any]:
    write(folder / "deployment.json", deployment(first_release=True))
    write(folder / "policy.json", policy(slo={"objectives": objectives, "metrics": OWN}))
    write(folder / "report.json", given)
    return execute(
        steps()["gate"],
        {
            "load_report": folder / "report.json",
            "deployment": folder / "deployment.json",
            "policy_document": folder / "policy.json",
            "release_id": "r-1",
            "verdict_document": folder / "out" / "verdict.json",
            "evidence": folder / "out" / "evidence.json",
            "metrics": folder / "out" / "metrics.json",
        },
    )


def test_a_pass_is_a_document_about_the_subject_with_its_figures(tmp_path: Path) -> None:
    assert gate(tmp_path, report(), ERRORS)["verdict"] == "PASS"
    verdict = read(tmp_path / "out" / "verdict.json", Verdict, about=SUBJECT)
    assert (verdict.word, verdict.release_id, verdict.stage) == (Word.PASS, "r-1", "load test")
    figures = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (figures["candidate_requests"], figures["candidate_p99_ms"]) == (1000, 5)
    assert "baseline_p99_ms" not in figures


def test_a_failure_is_a_verdict_and_no_error(tmp_path: Path) -> None:
    done = gate(tmp_path, report(errors=90), ERRORS)
    assert done["verdict"] == "FAIL"
    verdict = read(tmp_path / "out" / "verdict.json", Verdict)
    assert verdict.reason == done["reason"]
    assert "90 of 1000 requests failed or wrong" in verdict.reason
    assert [finding.word for finding in verdict.findings] == [Word.FAIL]


def test_a_refusal_is_handed_on(tmp_path: Path) -> None:
    refusal = Refusal(subject=SUBJECT, step="optimize", word=Word.FAIL, reason="labels differ")
    done = gate(tmp_path, refusal, ERRORS)
    assert done == {"verdict": "FAIL", "reason": "labels differ"}
    assert read_any(tmp_path / "out" / "verdict.json") == refusal


def test_a_report_about_another_revision_or_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"m-predictor-00009.*run load-test again"):
        gate(tmp_path, report(revision="m-predictor-00009"), ERRORS)
    other = SUBJECT.model_copy(update={"version": "7"})
    with pytest.raises(DocumentError):
        gate(tmp_path, report().model_copy(update={"subject": other}), ERRORS)


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:{port}"])
def test_promql_without_a_prometheus_is_invalid_and_not_a_bad_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    assert open_metrics.__kwdefaults__ is not None
    monkeypatch.setitem(open_metrics.__kwdefaults__, "budget_s", 0.2)
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", url.format(port=free_port()))
    done = gate(tmp_path, report(), ERRORS, PROMQL)
    assert done["verdict"] == "INVALID"
    assert "failed inferences: unreachable" in done["reason"]
    word = gate(tmp_path, report(), ERRORS, PROMQL | {"severity": "warn"})["verdict"]
    assert word == "PASS"


@pytest.mark.real
@pytest.mark.parametrize(
    ("limit", "comparison", "word"),
    [(3, "<=", Word.PASS), (2.9, "<=", Word.FAIL), (3, ">=", Word.PASS), (4, ">=", Word.FAIL)],
)
def test_a_query_is_about_the_candidate_alone(
    past: str, tmp_path: Path, limit: float, comparison: str, word: Word
) -> None:
    asked = PROMQL | {"limit": limit, "comparison": comparison}
    done = gate(tmp_path, report(), ERRORS, asked)
    assert done["verdict"] == word
    finding = read(tmp_path / "out" / "verdict.json", Verdict).findings[-1]
    assert (finding.observed, finding.limit) == (3, limit)
    assert finding.query == f'sum(failures{{revision="{CANDIDATE}",namespace="default"}})'


@pytest.mark.real
@pytest.mark.parametrize(
    ("query", "word"),
    [
        ('sum(no_such{r="$revision"})', Word.INCONCLUSIVE),
        ('sum(failures{revision="$revision"}) / 0', Word.INVALID),
        ('0 * sum(failures{revision="$revision"}) / 0', Word.INCONCLUSIVE),
        ('sum(old{revision="$revision"})', Word.INVALID),
    ],
)
def test_no_number_never_passes(past: str, tmp_path: Path, query: str, word: Word) -> None:
    assert gate(tmp_path, report(), ERRORS, PROMQL | {"query": query})["verdict"] == word


def test_pods_that_no_scrape_has_met_yet_count_in_the_plan_and_not_in_what_was_measured(
    past: str,
) -> None:
    seen = {"namespace": "good", "pods": {CANDIDATE: 2, INCUMBENT: 3}}
    deployed = deployment().model_copy(update=seen)
    assert production_before(deployed, policy())[1] == (2, 1)
    metrics, _ = open_metrics(policy(), deployed)
    assert metrics
    assert metrics.replicas(CANDIDATE) == 1
