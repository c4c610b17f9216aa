from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import measured
from tidegate.core.load_plan import PlannedBlock
from tidegate.core.measured import Measured, Place, Sent
from tidegate.documents import Arm
from tidegate.policy import Load

PLACE = Place(arm=Arm.CANDIDATE, host="c.test", revision="m-2", rate_rps=10.0, total_rate_rps=10.0)
PLANNED = PlannedBlock(arm=Arm.CANDIDATE, pair=3, rate_rps=10.0, requests=4, duration_s=0.4)


def answered(ms: float, **more: Any) -> Sent:
    return Sent(**{"due_s": 0.0, "service_s": ms / 1000, "latency_s": ms / 1000} | more)


def sent(*requests: Sent, offered: int | None = None, cpu_s: float = 0.1) -> Measured:
    return Measured(
        offered=len(requests) if offered is None else offered,
        started_s=100.0,
        duration_s=1.0,
        cpu_s=cpu_s,
        busiest_cpu_s=cpu_s,
        sent=list(requests),
        revisions=Counter({"m-2": len(requests)}),
    )


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (0.07, 7), (0.57, 57), (1.0, 100)]
)
def test_a_quantile_is_an_observed_value_and_never_one_off(share: float, value: float) -> None:
    assert measured.quantile([float(n) for n in range(100, 0, -1)], share) == value


def test_nothing_has_no_quantile() -> None:
    assert measured.quantile([], 0.5) is None


@given(
    values=st.lists(st.floats(0, 1e6), min_size=1),
    share=st.floats(0.01, 1),
    more=st.floats(0, 1e6),
)
def test_a_quantile_has_its_share_at_or_below_it(
    values: list[float], share: float, more: float
) -> None:
    found = measured.quantile(values, share)
    assert found is not None
    assert sum(value <= found for value in values) >= share * len(values) - 1e-6
    worse = measured.quantile([*values[1:], values[0] + more], share)
    assert worse is not None
    assert worse >= found


def test_a_block_counts_errors_and_wrong_answers_apart() -> None:
    block = measured.block(
        PLANNED, sent(answered(5), answered(7, wrong="label"), Sent(due_s=0.2, error="HTTP 503"))
    )
    assert (block.pair, block.offered, block.delivered) == (3, 3, 2)
    assert (block.errors, block.wrong, block.p50_ms, block.p99_ms) == (1, 1, 5.0, 7.0)


def test_a_block_without_answers_has_no_latency() -> None:
    block = measured.block(PLANNED, sent(Sent(due_s=0.0, error="refused")))
    assert (block.p50_ms, block.p95_ms, block.p99_ms, block.errors) == (None, None, None, 1)


def test_an_arm_adds_its_blocks_up_in_their_order() -> None:
    arm = measured.arm_summary(PLACE, [sent(answered(9)), sent(answered(3), answered(4))])
    assert arm.latencies_ms == (9.0, 3.0, 4.0)
    assert (arm.requests, arm.errors, arm.p50_ms, arm.max_ms) == (3, 0, 4.0, 9.0)
    assert arm.revisions_seen == {"m-2": 3}


def test_a_request_that_the_generator_lost_is_no_good_answer_and_makes_it_unfit() -> None:
    lossy = sent(answered(5), offered=10)
    assert measured.block(PLANNED, lossy).errors == 9
    assert measured.arm_summary(PLACE, [lossy]).errors == 9
    fit = measured.generator([lossy], Load())
    assert fit.saturated
    assert "9 of 10 requests were lost in it" in fit.message


@pytest.mark.parametrize(
    ("requests", "cpu_s", "words"),
    [
        ([answered(5)] * 100, 0.1, ""),
        ([answered(5)] * 98 + [answered(5, late_s=0.05)] * 2, 0.1, "left 50.0 ms late"),
        ([answered(5)] * 100, 0.95, "used 95% of a core"),
        ([answered(5, waited_s=0.1)] * 100, 0.1, "waited 100 ms (p99) for one of 64"),
        ([answered(100, waited_s=0.1)] * 100, 0.1, ""),  # the server held every connection
        (
            [answered(5, waited_s=9)] * 9 + [Sent(due_s=0, error="no", waited_s=9)] * 9,
            0.1,
            "only 50.0% of the requests were sent at all",
        ),
    ],
)
def test_the_generator_is_unfit_for_its_own_faults_only(
    requests: list[Sent], cpu_s: float, words: str
) -> None:
    fit = measured.generator([sent(*requests, cpu_s=cpu_s)], Load())
    assert fit.saturated == bool(words)
    assert words in fit.message
