"""The pure rules of a load test: warm-up, recorded arrivals, the curve, the guard, fair rates."""

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.core import curve, load_plan, measured, recording, warm_up
from tidegate.core.counters import Histogram, Served
from tidegate.core.load_plan import Production
from tidegate.core.measured import Measured, Sent
from tidegate.core.production_guard import Watched, blind, harm
from tidegate.documents import Arm, Word
from tidegate.errors import DocumentError
from tidegate.policy import Load, Slo

# -- warm-up


@pytest.mark.parametrize(
    ("windows", "flat"),
    [
        ([100, 5, 5, 5, 5, 5], True),  # the cold start is over after its first window
        ([60, 50, 40, 30, 20, 10], False),
        ([10, 20, 30, 40, 50, 60], False),  # a rising one is not steady either
        ([60, 50, 40, 30, 20, 10, 10, 11, 10, 9, 10, 10], True),
        ([12, 9, 11, 10, 12, 9], True),
        ([110, 40, 55, 70, 90, 110], False),  # one slow start does not hide a rise
        ([10.05, 10.04, 10.03, 10.02, 10.01, 10.0], True),  # nothing that a verdict could feel
        ([5, 5, 5, 5, 5], False),
        ([5, 5, None, 5, 5, 5], False),
    ],
)
def test_a_warm_up_is_over_once_its_latency_shows_no_trend(
    windows: list[float | None], flat: bool
) -> None:
    assert warm_up.is_flat(windows) is flat


def test_the_trend_s_probability_is_kendall_s_exact_one() -> None:
    for values in ([1, 2, 3, 4, 5, 6], [3, 1, 2, 5, 4, 6], [6, 5, 4, 3, 2, 1], [1, 3, 2, 4, 6, 5]):
        s = abs(sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2)))
        orders = list(itertools.permutations(values))
        beyond = sum(
            sum((b > a) - (b < a) for a, b in itertools.combinations(order, 2)) >= s
            for order in orders
        )
        assert warm_up.trend_p(values) == pytest.approx(beyond / len(orders))


# -- recorded arrivals


def test_timestamps_and_intervals_say_the_same() -> None:
    by_time = recording.intervals([1000, 1500, 1600], kind="timestamps", unit="ms", what="f")
    by_gap = recording.intervals([0.5, 0.1], kind="intervals", unit="s", what="f")
    assert by_time == pytest.approx(by_gap)


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        ([2, 1], "timestamps", "arrival 2 is before the one above it"),
        ([0.1, -1], "intervals", "arrival 2 is -1"),
        ([0.1, float("nan")], "intervals", "arrival 2 is nan"),
        ([1], "timestamps", "0 intervals of no length"),
        ([0, 0], "intervals", "2 intervals of no length"),
    ],
)
def test_a_recording_that_is_none_is_told(values: list[float], kind: str, words: str) -> None:
    with pytest.raises(DocumentError, match=words):
        recording.intervals(values, kind=kind, unit="s", what="f")


@settings(max_examples=50)
@given(
    gaps=st.lists(st.floats(0, 10), min_size=1, max_size=20),
    first=st.integers(0, 100),
    requests=st.integers(1, 60),
)
def test_a_stretched_recording_keeps_its_order_its_length_and_its_shape(
    gaps: list[float], first: int, requests: int
) -> None:
    starts = recording.stretch(gaps, first=first, requests=requests, duration_s=5.0)
    assert len(starts) == requests
    assert starts[0] == 0
    assert all(a <= b for a, b in itertools.pairwise(starts))
    assert starts[-1] <= 5.0
    again = recording.stretch(
        [3 * gap for gap in gaps], first=first, requests=requests, duration_s=5
    )
    assert again == pytest.approx(starts, abs=1e-6)


# -- several processes


def part(*late: float, cpu_s: float = 0.1) -> Measured:
    return Measured(
        offered=len(late), started_s=10.0, duration_s=1.0, cpu_s=cpu_s, busiest_cpu_s=cpu_s,
        sent=[Sent(due_s=due, service_s=0.01, latency_s=0.01) for due in late],
        revisions=Counter({"m-2": len(late)}),
    )  # fmt: skip


def test_what_processes_sent_together_is_one_block_with_every_request_once() -> None:
    block = measured.merged([part(0.0, 0.2, 0.4), part(0.1, 0.3, cpu_s=0.95)], own_cpu_s=0.05)
    assert [one.due_s for one in block.sent] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert (block.offered, block.processes, block.revisions["m-2"]) == (5, 2, 5)
    assert block.cpu_s == pytest.approx(1.1)
    fit = measured.generator([block], Load())
    assert (fit.processes, round(fit.cpu_share, 2)) == (2, 1.1)
    assert "a process of it used 95% of a core" in fit.message  # one that is full is enough


# -- the curve


SLO = Slo.model_validate(
    {
        "objectives": [
            {"kind": "latency", "quantile": 0.99, "limit_ms": 50},
            {"kind": "latency", "quantile": 0.5, "limit_ms": 90},
            {"kind": "latency", "limit_ms": 5, "severity": "report-only"},
        ]
    }
)
LIMIT = curve.limit_of(SLO)


def level(
    ms: float, requests: int, *, over: int = 0, failed: int = 0, rps: float = 100
) -> Measured:
    """A closed-loop level; `over` of its requests took 80 ms, spread evenly."""
    slow = {round(n * requests / over) for n in range(over)} if over else set()
    sent = [
        Sent(due_s=0, service_s=0.01, latency_s=0.08 if n in slow else ms / 1000)
        for n in range(requests - failed)
    ] + [Sent(due_s=0, service_s=0.01, error="HTTP 503")] * failed
    return Measured(offered=requests, started_s=0, duration_s=requests / rps, sent=sent)


def points(*levels: Measured) -> list[Any]:
    return [curve.point(2**n, one, LIMIT) for n, one in enumerate(levels)]


def test_the_tightest_blocking_limit_counts() -> None:
    assert (LIMIT.limit_ms, LIMIT.quantile) == (50, 0.99)
    assert curve.limit_of(Slo(objectives=())).limit_ms is None


def test_the_capacity_is_the_highest_rate_that_surely_keeps_the_limit() -> None:
    found = points(level(10, 2000, rps=100), level(20, 2000, rps=180), level(30, 2000, over=60))
    assert [one.keeps_limit for one in found] == [True, True, False]
    assert curve.ends(found) == "at 4 in flight the latency limit is broken"
    most = curve.capacity(found, LIMIT, replicas=2, ended=curve.ends(found))
    assert (most.rate_rps, most.is_lower_bound, most.replicas) == (180, False, 2)
    assert most.message == (
        "180.0 rps at 2 in flight with p99 <= 50 ms; at 4 in flight the latency limit is broken"
    )


def test_a_curve_that_ends_with_its_levels_is_a_lower_bound() -> None:
    assert curve.capacity(points(level(10, 2000)), LIMIT, replicas=1, ended="").is_lower_bound


def test_too_few_requests_and_a_server_that_refuses_are_no_capacity() -> None:
    few = points(level(10, 100))
    assert few[0].keeps_limit is None
    assert curve.capacity(few, LIMIT, replicas=1, ended="").rate_rps is None
    refusing = points(level(10, 2000, failed=30))
    assert curve.ends(refusing) == "30 of 2000 requests failed or wrong"
    assert curve.capacity(refusing, LIMIT, replicas=1, ended="").rate_rps is None


def test_past_the_knee_no_further_level_is_worth_its_load() -> None:
    assert curve.ends(points(level(10, 2000, rps=100), level(19, 2000, rps=103))) == (
        "from 1 to 2 in flight throughput grew 3%"
    )


# -- production


def served(requests: int, *, errors: int = 0, slow: int = 0) -> Served:
    latency = Histogram(
        edges_ms=(100, 250), cumulative=(requests - slow, requests - slow), total=requests
    )
    return Served(requests=requests, errors=errors, latency=latency, started_s=0, ended_s=30)


GUARDED = Slo.model_validate(
    {
        "objectives": [
            {"kind": "errors", "limit": 0.01},
            {"kind": "latency", "quantile": 0.99, "limit_ms": 250},
        ]
    }
)


@pytest.mark.parametrize(
    ("watched", "words"),
    [
        (None, ""),
        (served(0), ""),
        (served(2000, errors=10, slow=15), ""),
        (
            served(2000, errors=80),
            "80 of 2000 requests to the incumbent answered 5xx (allowed 0.01)",
        ),
        (served(2000, slow=80), "80 of 2000 requests to the incumbent took more than 250 ms"),
    ],
)
def test_the_load_stops_when_production_suffers(watched: Served | None, words: str) -> None:
    found = harm(Watched(served=watched), GUARDED)
    assert bool(found) == bool(words)
    if found:
        assert (found.word, words in found.message) == (Word.INVALID, True)


def test_production_that_cannot_be_seen_is_no_evidence() -> None:
    assert (
        "could not be watched for 9 s (it is down)"
        in blind(Watched(unknown="it is down"), 9).message
    )


# -- fair rates


def test_each_replica_of_either_arm_gets_the_same_total() -> None:
    load = Load(rate_rps=30, pairs=2, block_requests=100, max_warmup_s=0, warmup_s=0)
    before = Production(rate_rps=10.0)
    planned = load_plan.plan(load, has_incumbent=True, production=before, replicas=(1, 3))
    assert (planned.candidate_rps, planned.baseline_rps) == (30, 80)  # 3 replicas: 90, 10 are there
    fair = load_plan.fairness(
        planned, has_incumbent=True, before=before, during=before, replicas=(1, 3)
    )
    assert (fair.fair, fair.candidate_rps, fair.baseline_rps) == (True, 30, 30)


def test_a_candidate_that_is_overloaded_only_because_it_is_small_is_told() -> None:
    load = Load(rate_rps=30, pairs=2, block_requests=100)
    before = Production(rate_rps=0.0)
    planned = load_plan.plan(load, has_incumbent=True, production=before)
    fair = load_plan.fairness(
        planned, has_incumbent=True, before=before, during=before, replicas=(1, 3)
    )
    assert not fair.fair
    assert "a replica of the candidate had more to do" in fair.text


def test_arms_whose_pods_came_or_went_say_so_and_not_that_production_is_too_busy() -> None:
    load = Load(rate_rps=60, pairs=2, block_requests=100)
    before = Production(rate_rps=15.0)
    planned = load_plan.plan(load, has_incumbent=True, production=before, replicas=(1, 2))
    fair = load_plan.fairness(planned, has_incumbent=True, before=before, during=before)
    assert not fair.fair
    words = "which was planned for 1 of the candidate and 2 of the incumbent"
    assert words in fair.text
    assert "raise load.rate_rps" not in fair.text


def test_the_curve_and_the_warm_up_count_in_the_time_that_a_test_may_take() -> None:
    load = {
        "rate_rps": 100,
        "pairs": 1,
        "block_requests": 1000,
        "warmup_s": 5,
        "max_duration_s": 20,
        "max_extensions": 0,
    }
    load_plan.plan(
        Load.model_validate(load), has_incumbent=False, production=Production(rate_rps=0)
    )
    with pytest.raises(DocumentError, match="40 s of curve"):
        load_plan.plan(
            Load.model_validate(load | {"curve": {"concurrencies": [1, 2]}}),
            has_incumbent=False,
            production=Production(rate_rps=0),
        )


def test_extensions_are_further_pairs() -> None:
    load = Load(rate_rps=100, pairs=3, block_requests=100)
    planned = load_plan.plan(load, has_incumbent=True, production=Production(rate_rps=0))
    assert {block.pair for block in load_plan.extended(planned, load, 2)} == {6, 7, 8}
    assert {block.arm for block in planned.windows} == {Arm.CANDIDATE, Arm.BASELINE}
