import time
from typing import Any

import pytest

from tests.evidence.conftest import deployment, free_port, policy
from tidegate.documents import Word
from tidegate.steps import live_gate
from tidegate.steps.live_gate import LiveEvidence, judge_step

ERRORS = {"kind": "errors", "limit": 0.01}
AT_EDGE = {"kind": "latency", "quantile": 0.99, "limit_ms": 250}
BETWEEN = {"kind": "latency", "quantile": 0.99, "limit_ms": 300}
PROMQL = {
    "kind": "promql",
    "name": "failures",
    "query": 'sum(failures{revision="$revision"})',
    "limit": 3,
}
BAKED = {"bake_s": 60, "max_bake_s": 600, "min_requests": 100}


def look(
    namespace: str, *objectives: dict[str, Any], percent: int = 10, **traffic: Any
) -> LiveEvidence:
    deployed = deployment().model_copy(update={"namespace": namespace})
    slo = {"objectives": objectives or (ERRORS,), "metrics": ["failures"]}
    wanted = policy(slo=slo, traffic=BAKED | traffic)
    return judge_step(deployed, wanted, percent=percent, since_s=time.time() - 150)


@pytest.mark.real
@pytest.mark.parametrize(
    ("namespace", "objective", "word", "words"),
    [
        ("good", ERRORS, Word.PASS, "candidate requests in 150 s"),
        ("good", AT_EDGE, Word.PASS, "0 of"),
        ("good", BETWEEN, Word.PASS, "0 of"),
        ("failing", ERRORS, Word.FAIL, "live requests answered 5xx, limit 0.01"),
        ("failing", AT_EDGE, Word.PASS, ""),
        ("slow", AT_EDGE, Word.FAIL, "requests over 250 ms"),
        ("slow", BETWEEN, Word.INCONCLUSIVE, "the limit is no bucket edge of the histogram"),
        ("stale", ERRORS, Word.INVALID, "s old, scraped every 5 s"),
        ("double", ERRORS, Word.INVALID, "the split is not what was ordered"),
        ("uncounted", ERRORS, Word.INVALID, "while the incumbent answered"),
        ("broken", ERRORS, Word.INVALID, "samples that are no number"),
        ("gappy", ERRORS, Word.INVALID, "s, scraped every 5 s"),
        ("nowhere", ERRORS, Word.INCONCLUSIVE, "no request of the candidate"),
        ("good", PROMQL, Word.PASS, ""),
        ("good", PROMQL | {"limit": 2}, Word.FAIL, "failures 3 > 2"),
        ("good", PROMQL | {"limit": 2, "live": False}, Word.PASS, ""),
        ("good", PROMQL | {"limit": 2, "severity": "warn"}, Word.PASS, ""),
    ],
)
def test_live_traffic_has_its_word(
    past: str, namespace: str, objective: dict[str, Any], word: Word, words: str
) -> None:
    found = look(namespace, objective)
    assert (found.word, words in found.reason) == (word, True), found.reason


@pytest.mark.real
def test_what_the_candidate_answered_is_told(past: str) -> None:
    found = look("slow")
    assert found.requests is not None
    assert 1350 <= found.requests <= 1500  # 10 rps for as long as the scrapes cover of 150 s
    assert found.p50_ms is not None
    assert found.p50_ms < 100
    assert found.p99_ms is not None
    assert 250 < found.p99_ms < 500


@pytest.mark.real
def test_too_few_requests_and_too_short_a_bake_go_on_baking(past: str) -> None:
    assert "of 10000 candidate requests" in look("good", min_requests=10_000).reason
    early = look("good", bake_s=500)
    assert (early.word, early.reason) == (Word.INCONCLUSIVE, "baked 150 of 500 s")


@pytest.mark.real
def test_a_first_release_has_no_share_to_check(past: str) -> None:
    deployed = deployment(first_release=True).model_copy(update={"namespace": "double"})
    wanted = policy(slo={"objectives": (ERRORS,)}, traffic=BAKED)
    found = judge_step(deployed, wanted, percent=100, since_s=time.time() - 150)
    assert found.word is Word.PASS


def test_without_a_prometheus_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_PROMETHEUS_URL", raising=False)
    assert look("good").word is Word.INVALID
    monkeypatch.setattr(live_gate, "BUDGET_S", 0.2)
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", f"http://127.0.0.1:{free_port()}")
    found = look("good")
    assert (found.word, found.requests) == (Word.INVALID, None)
    assert "check TIDEGATE_PROMETHEUS_URL" in found.reason
