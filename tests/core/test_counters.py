import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.counters import (
    Histogram,
    Series,
    growth,
    is_finite,
    longest_gap,
    of_one_end,
    scrape_interval,
    served,
)

LATENCY = Histogram(edges_ms=(5, 10, 25, 50), cumulative=(50, 90, 98, 99), total=100)


@pytest.mark.parametrize(
    ("values", "grown"),
    [
        ([5, 7, 9], 4),
        ([5], 0),
        ([], 0),
        ([5, 9, 2, 4], 8),  # restart: 4 before, 4 since
        ([5, 5, 5], 0),
        ([3, 0, 0], 0),
    ],
)
def test_a_counter_grows_and_starts_again_with_its_process(
    values: list[float], grown: float
) -> None:
    samples = [(float(n), value) for n, value in enumerate(values)]
    assert growth(samples, since=0, first=0) == grown


def test_a_series_that_appears_later_began_at_zero() -> None:
    assert growth([(5.0, 3.0), (6.0, 4.0)], since=0, first=1) == 4
    assert growth([(-5.0, 3.0), (5.0, 3.0), (6.0, 4.0)], since=0, first=1) == 1


def test_what_was_counted_before_the_window_does_not_count() -> None:
    assert growth([(0.0, 100.0), (10.0, 200.0), (11.0, 205.0)], since=9, first=10) == 5


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.sets(st.integers(1, 29)))
def test_growth_is_what_was_counted_between_the_scrapes(steps: list[int], resets: set[int]) -> None:
    value, samples, counted = 0, [], 0
    for n, step in enumerate(steps):
        restarted = n in resets and value > step
        value = step if restarted else value + step
        counted += step if n else 0
        samples.append((float(n), float(value)))
    assert growth(samples, since=0, first=0) == counted


@pytest.mark.parametrize(
    ("limit", "over"),
    [(25, (2, 2)), (10, (10, 10)), (12, (2, 10)), (3, (50, 100)), (60, (0, 1)), (50, (1, 1))],
)
def test_requests_over_a_limit_are_exact_at_an_edge_and_a_bracket_between(
    limit: float, over: tuple[int, int]
) -> None:
    assert LATENCY.over(limit) == over


@pytest.mark.parametrize(
    ("quantile", "bracket"),
    [(0.5, (0, 5)), (0.9, (5, 10)), (0.95, (10, 25)), (0.99, (25, 50)), (0.999, (50, math.inf))],
)
def test_a_quantile_lies_in_a_bucket(quantile: float, bracket: tuple[float, float]) -> None:
    assert LATENCY.bracket(quantile) == bracket
    shown = LATENCY.shown(quantile)
    assert shown is not None
    assert bracket[0] <= shown <= bracket[1]


def test_an_empty_histogram_has_no_quantile() -> None:
    empty = Histogram(edges_ms=(5,), cumulative=(0,), total=0)
    assert empty.shown(0.5) is None
    assert empty.bracket(0.5) is None


def series(code: str, le: str, *values: float) -> Series:
    samples = tuple((float(n), value) for n, value in enumerate(values))
    return Series(labels={"code": code, "le": le}, samples=samples)


def test_pods_and_codes_are_added_and_5xx_are_errors() -> None:
    buckets = [
        series("200", "0.005", 10, 15),
        series("200", "+Inf", 10, 20),
        series("200", "+Inf", 0, 7),
        series("503", "0.005", 0, 2),
        series("503", "+Inf", 0, 3),
        series("404", "+Inf", 0, 1),
    ]
    found = served(buckets, since=0, code_label="code")
    assert found is not None
    assert (found.requests, found.errors, found.seconds) == (21, 3, 1)
    assert found.latency.over(5) == (14, 14)
    assert served(buckets, since=50, code_label="code") is None
    assert served([], since=0, code_label="code") is None


def test_the_scrape_interval_is_the_usual_gap() -> None:
    one = Series(labels={}, samples=tuple((float(t), 0.0) for t in (0, 10, 20, 55, 65)))
    assert scrape_interval([one]) == 10
    assert scrape_interval([Series(labels={}, samples=((0.0, 1.0),))]) is None


def test_the_longest_gap_is_without_any_series_and_inside_the_window() -> None:
    one = Series(labels={}, samples=tuple((float(t), 0.0) for t in (0, 30, 40, 70)))
    other = Series(labels={}, samples=((50.0, 0.0),))
    assert longest_gap([one, other], since=30) == 20
    assert longest_gap([one], since=71) == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_counter_that_is_no_number_is_seen(value: float) -> None:
    assert is_finite([series("200", "+Inf", 1, 2)])
    assert not is_finite([series("200", "+Inf", 1, value)])


@given(
    counts=st.lists(st.integers(0, 20), min_size=5, max_size=5),
    limit=st.one_of(st.floats(1, 100), st.sampled_from([5.0, 10.0, 25.0, 50.0])),
)
def test_the_fewest_are_never_more_than_the_most(counts: list[int], limit: float) -> None:
    cumulative = tuple(float(sum(counts[: n + 1])) for n in range(4))
    found = Histogram(edges_ms=(5, 10, 25, 50), cumulative=cumulative, total=sum(counts))
    fewest, most = found.over(limit)
    assert 0 <= fewest <= most <= sum(counts)
    if limit in found.edges_ms:
        assert fewest == most


def test_a_request_that_both_ends_report_is_counted_where_it_arrives() -> None:
    left = Series(labels={"reporter": "source"}, samples=((0.0, 1.0),))
    arrived = Series(labels={"reporter": "destination"}, samples=((0.0, 1.0),))
    assert of_one_end((left, arrived), "reporter") == (arrived,)
    assert of_one_end((left,), "reporter") == (left,)
    assert of_one_end((left, arrived), "") == (left, arrived)


def test_milliseconds_stay_milliseconds() -> None:
    labels = {"le": "250", "response_code": "200"}
    buckets = [
        Series(labels=labels, samples=((0.0, 0.0), (5.0, 9.0))),
        Series(labels={**labels, "le": "+Inf"}, samples=((0.0, 0.0), (5.0, 10.0))),
        Series(labels={"le": "+Inf", "response_code": "503"}, samples=((0.0, 0.0), (5.0, 2.0))),
    ]
    found = served(buckets, since=0, code_label="response_code", unit_ms=1.0)
    assert found is not None
    assert (found.requests, found.errors, found.latency.edges_ms) == (12, 2, (250.0,))
