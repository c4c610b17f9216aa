from typing import Any

import pytest

from tests.evidence.conftest import SUBJECT
from tidegate.core.readings import Reading, Trouble
from tidegate.core.slo import judge_capacity, judge_cost, judge_throughput
from tidegate.documents import Arm, ArmSummary, Capacity, Finding, Generator, LoadReport, Word
from tidegate.policy import CapacitySlo, CostSlo, ThroughputSlo

PASS, FAIL, INCONCLUSIVE, INVALID = Word.PASS, Word.FAIL, Word.INCONCLUSIVE, Word.INVALID


def capacity(rate: float | None = 100.0, **more: Any) -> Capacity:
    known: dict[str, Any] = {"replicas": 2, "quantile": 0.99, "limit_ms": 50.0}
    return Capacity(
        rate_rps=rate, message="p99 within 50 ms", **{"is_lower_bound": False} | known | more
    )


def report(found: Capacity | None) -> LoadReport:
    candidate = ArmSummary(
        arm=Arm.CANDIDATE, host="h", revision="m-2", requests=1, errors=0, wrong=0, rate_rps=1,
        total_rate_rps=1, p50_ms=1.0, p95_ms=1.0, p99_ms=1.0, max_ms=1.0, latencies_ms=(1.0,),
    )  # fmt: skip
    return LoadReport(
        subject=SUBJECT, release_id="r", started_s=0, ended_s=1, protocol="http",
        candidate=candidate, baseline=None, blocks=(), fairness="", fair=True, capacity=found,
        generator=Generator(lag_p99_ms=1, cpu_share=0.1, delivered_ratio=1, saturated=False),
    )  # fmt: skip


def throughput(found: Capacity | None, limit: float) -> Finding:
    return judge_throughput(ThroughputSlo(kind="throughput", limit_rps=limit), report(found))


def cost(found: Capacity | None, limit: float) -> Finding:
    return judge_cost(CostSlo(kind="cost", gpu_hour=3.6, limit=limit), report(found))


def headroom(found: Capacity | None, peak: Reading, **more: Any) -> Finding:
    return judge_capacity(CapacitySlo(kind="capacity", **more), found, peak, replicas=3)


PEAK = Reading(
    query="q", value=125.0
)  # times 1.2 is the 150 rps that 3 of 2 replicas' 100 rps carry


@pytest.mark.parametrize(
    ("finding", "word", "words"),
    [
        (throughput(capacity(), 100), PASS, "100.0 rps sustained, 100 are wanted"),
        (throughput(capacity(), 101), FAIL, "101 are wanted"),
        (throughput(capacity(is_lower_bound=True), 101), INCONCLUSIVE, "p99 within 50 ms"),
        (throughput(capacity(None), 1), INCONCLUSIVE, "no rate surely kept the limit"),
        (throughput(None, 1), INVALID, "set load.curve"),
        # 2 GPUs at 3.6 an hour carry 360,000 inferences: 0.02 for 1,000
        (cost(capacity(), 0.02), PASS, "0.02 per 1,000 inferences"),
        (cost(capacity(), 0.0199), FAIL, "(2 GPUs at 3.6 an hour carry 100.0 rps)"),
        (cost(capacity(is_lower_bound=True), 0.0199), INCONCLUSIVE, ""),
        (cost(None, 1), INVALID, "set load.curve"),
        (headroom(capacity(), PEAK), PASS, "3 replicas carry 150.0 rps, 150.0 are wanted"),
        (headroom(capacity(), PEAK, headroom=1.3), FAIL, "1.3 times the peak of 125.0"),
        (headroom(capacity(None), PEAK), INCONCLUSIVE, "no rate surely kept"),
        (headroom(None, PEAK), INVALID, "set load.curve"),
    ],
)
def test_what_the_candidate_carries_is_compared_with_what_is_wanted(
    finding: Finding, word: Word, words: str
) -> None:
    assert finding.word is word
    assert words in finding.message


@pytest.mark.parametrize(
    ("trouble", "on_no_data", "word"),
    [
        (Trouble.EMPTY, "INCONCLUSIVE", INCONCLUSIVE),
        (Trouble.EMPTY, "FAIL", FAIL),
        (Trouble.UNREACHABLE, "FAIL", INVALID),
        (Trouble.STALE, "FAIL", INVALID),
    ],
)
def test_a_peak_that_is_not_known_is_never_low(
    trouble: Trouble, on_no_data: str, word: Word
) -> None:
    lost = Reading(query="q", trouble=trouble, detail="because")
    finding = headroom(capacity(10_000), lost, on_no_data=on_no_data)
    assert finding.word is word
    assert "production's peak is not known" in finding.message
