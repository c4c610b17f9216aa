import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from tidegate.core import sequential
from tidegate.core.statistics import ratio_bounds


@pytest.mark.parametrize(("events", "trials"), [(0, 50), (1, 50), (4, 200), (30, 300)])
def test_the_e_value_is_the_integral_it_stands_for(events: int, trials: int) -> None:
    limit = 0.01

    def ratio(p: float) -> float:
        null = events * math.log(limit) + (trials - events) * math.log1p(-limit)
        return math.exp(events * math.log(p) + (trials - events) * math.log1p(-p) - null) * float(
            stats.beta.pdf(p, 1, 9)
        )

    mixed, _ = integrate.quad(ratio, limit, 1, limit=200, points=[0.02, 0.1, 0.2])
    expected = math.log(mixed / stats.beta.sf(limit, 1, 9))
    assert sequential.log_e_over_limit(events, trials, limit=limit) == pytest.approx(
        expected, rel=1e-4
    )


def stopped_at(rng: np.random.Generator, p: float, requests: int, alpha: float) -> int | None:
    """The first look, every 50 requests, at which the bet against 1 % is won."""
    events = np.cumsum(rng.random(requests) < p)
    for n in range(50, requests + 1, 50):
        if sequential.fires(sequential.log_e_over_limit(int(events[n - 1]), n, limit=0.01), alpha):
            return n
    return None


def test_looking_all_the_time_seldom_stops_a_model_at_its_limit() -> None:
    rng = np.random.default_rng(3)
    stops = sum(stopped_at(rng, 0.01, 3000, 0.01) is not None for _ in range(100))
    assert stops <= stats.binom.ppf(0.999, 100, 0.01)


def test_five_times_the_limit_is_found_within_a_few_hundred_requests() -> None:
    rng = np.random.default_rng(4)
    found = [stopped_at(rng, 0.05, 3000, 0.01) for _ in range(40)]
    assert all(found)
    assert np.median([n for n in found if n]) <= 300


def test_errors_of_both_accuse_nobody_and_errors_of_one_accuse_it() -> None:
    both = sequential.log_e_over_incumbent(20, 180, 1000, 9000)
    one = sequential.log_e_over_incumbent(20, 20, 1000, 9000)
    assert not sequential.fires(both, 0.01)
    assert sequential.fires(one, 0.01)
    assert sequential.log_e_over_incumbent(5, 0, 100, 0) == 0.0


@given(trials=st.integers(0, 5000), events=st.integers(0, 5000), more=st.integers(0, 100))
def test_more_events_never_weaken_the_evidence(trials: int, events: int, more: int) -> None:
    events, worse = min(events, trials), min(events + more, trials)
    before = sequential.log_e_over_limit(events, trials, limit=0.01)
    after = sequential.log_e_over_limit(worse, trials, limit=0.01)
    assert not math.isnan(after)
    assert after >= before - 1e-9


def test_no_request_is_no_evidence() -> None:
    assert sequential.log_e_over_limit(0, 0, limit=0.01) == 0.0
    assert sequential.sample_ratio_p(0, 0, share=0.1) == 1.0


def test_a_share_that_is_off_shows() -> None:
    assert sequential.sample_ratio_p(1200, 10_000, share=0.1) < 1e-9
    assert sequential.sample_ratio_p(1010, 10_000, share=0.1) > 0.1


def test_the_bet_against_the_incumbent_is_fair_by_exact_enumeration() -> None:
    trials = (300, 2700)  # a tenth of the requests; 12 errors fall on either as the requests do
    e_values = [math.exp(sequential.log_e_over_incumbent(k, 12 - k, *trials)) for k in range(13)]
    assert sum(stats.binom.pmf(range(13), 12, 0.1) * e_values) == pytest.approx(1.0)
    assert sum(stats.binom.pmf(range(13), 12, 0.07) * e_values) < 1.0
    assert sum(stats.binom.pmf(range(13), 12, 0.4) * e_values) > 100


@given(
    mine=st.integers(0, 50),
    theirs=st.integers(0, 500),
    requests=st.integers(50, 5000),
    others=st.integers(500, 5000),
)
def test_one_more_error_of_the_candidate_accuses_it_and_one_of_the_incumbent_clears_it(
    mine: int, theirs: int, requests: int, others: int
) -> None:
    now = sequential.log_e_over_incumbent(mine, theirs, requests, others)
    assert sequential.log_e_over_incumbent(mine + 1, theirs, requests, others) > now
    assert sequential.log_e_over_incumbent(mine, theirs + 1, requests, others) < now


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7])
def test_the_steps_of_a_release_spend_one_alpha(steps: int) -> None:
    spent = [sequential.alpha_of_step(0.01, step=n, steps=steps) for n in range(steps)]
    assert sum(spent) == pytest.approx(0.01)
    assert spent == sorted(spent, reverse=True)


@given(
    trials=st.integers(1, 5000), share=st.floats(0, 1), limit=st.sampled_from([0.001, 0.01, 0.2])
)
def test_the_bounds_of_a_ratio_are_the_limits_that_the_bets_do_not_refute(
    trials: int, share: float, limit: float
) -> None:
    events = round(share * trials)
    lower, upper = sequential.ratio_bounds(events, trials, alpha_below=0.01, alpha_above=0.05)
    assert 0 <= lower <= events / trials <= upper <= 1
    over = sequential.fires(sequential.log_e_over_limit(events, trials, limit=limit), 0.01)
    if abs(lower - limit) > 1e-6:
        assert (lower > limit) is over
    if abs(upper - limit) > 1e-6:
        under = sequential.surely_under(events, trials, limit=limit, alpha=0.05)
        assert (upper < limit) is under


def test_the_bounds_hold_at_all_looks_at_once_where_one_looks_bounds_do_not() -> None:
    rng, p, runs = np.random.default_rng(5), 0.05, 100
    missed = {"sequence": 0, "one look": 0}
    for _ in range(runs):
        counts = np.cumsum(rng.random(2000) < p)
        looks = [(int(counts[n - 1]), n) for n in range(100, 2001, 100)]
        missed["sequence"] += any(
            sequential.fires(sequential.log_e_over_limit(k, n, limit=p), 0.05)  # p below the lower
            or sequential.surely_under(k, n, limit=p, alpha=0.05)  # or above the upper bound
            for k, n in looks
        )
        once = (ratio_bounds(k, n, alpha=0.05) for k, n in looks)
        missed["one look"] += any(not low <= p <= high for low, high in once)
    assert missed["sequence"] <= stats.binom.ppf(0.999, runs, 0.1)
    assert missed["one look"] > stats.binom.ppf(0.999, runs, 0.1)


def test_nothing_is_known_of_no_request_and_a_few_leave_much_open() -> None:
    assert sequential.ratio_bounds(0, 0, alpha_below=0.01, alpha_above=0.05) == (0.0, 1.0)
    lower, upper = sequential.ratio_bounds(0, 1000, alpha_below=0.01, alpha_above=0.05)
    assert (lower, round(upper, 4)) == (0.0, 0.0045)
