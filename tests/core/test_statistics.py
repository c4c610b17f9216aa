import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tidegate.core import statistics
from tidegate.core.paired_ratio import paired_ratio, signed_rank_cut


def queue(rng: np.random.Generator, requests: int, utilisation: float) -> statistics.Floats:
    """Sojourn times of an M/G/1 queue by Lindley's recursion, warmed up: neighbours are alike."""
    drawn = requests + 200
    service = rng.gamma(1 / 0.09, 0.09 * utilisation, drawn)
    walk = np.cumsum(np.append(0.0, (service - rng.exponential(1.0, drawn))[:-1]))
    return np.asarray((walk - np.minimum.accumulate(walk) + service)[200:])


@pytest.mark.parametrize(
    ("over", "requests"), [(0, 299), (0, 298), (1, 473), (5, 1049), (40, 1000)]
)
def test_independent_requests_get_scipys_binomial_test(over: int, requests: int) -> None:
    test = statistics.exceedance(over, requests, share=0.01)
    less = stats.binomtest(over, requests, 0.01, alternative="less").pvalue
    greater = stats.binomtest(over, requests, 0.01, alternative="greater").pvalue
    assert test.p_within == pytest.approx(less)
    assert test.p_above == pytest.approx(greater)


@pytest.mark.parametrize(
    ("requests", "allowed"), [(0, -1), (298, -1), (299, 0), (600, 1), (1049, 5), (2549, 17)]
)
def test_what_is_allowed_is_the_last_count_that_passes(requests: int, allowed: int) -> None:
    assert statistics.exceedance(0, requests, share=0.01).allowed == allowed
    if allowed >= 0:
        assert statistics.exceedance(allowed, requests, share=0.01).p_within <= 0.05
    assert statistics.exceedance(allowed + 1, requests, share=0.01).p_within > 0.05


def test_independent_requests_count_almost_fully_and_a_queues_do_not() -> None:
    rng = np.random.default_rng(5)
    assert statistics.inefficiency(list(rng.exponential(1.0, 4000))) < 1.3
    assert statistics.inefficiency(list(queue(rng, 4000, 0.8))) > 3


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 100, [1.0, 2.0, 1.0]])
def test_too_few_or_equal_values_have_no_correlation(values: list[float]) -> None:
    assert statistics.inefficiency(values) == 1.0


@pytest.mark.parametrize("utilisation", [0.05, 0.5])
def test_a_queue_exactly_at_its_limit_seldom_passes_or_fails(utilisation: float) -> None:
    rng = np.random.default_rng(11)
    limit = float(np.quantile(queue(rng, 1_000_000, utilisation), 0.99))
    runs, passed, failed = 300, 0, 0
    for _ in range(runs):
        times = queue(rng, 2000, utilisation)
        over, g = int((times > limit).sum()), statistics.inefficiency(list(times))
        test = statistics.exceedance(over, len(times), share=0.01, inefficiency=g)
        passed += test.p_within <= 0.05
        failed += test.p_above <= 0.01
    assert passed / runs <= 0.07
    assert failed / runs <= 0.03


def test_a_slow_drift_of_a_median_far_below_the_limit_costs_less_than_a_factor_2() -> None:
    rng = np.random.default_rng(23)
    drift = 1 + 0.5 * np.sin(np.linspace(0, 2 * np.pi, 6000))
    times = drift * rng.gamma(10, 0.1, 6000)
    times[rng.random(6000) < 0.06] = 20.0  # what is slow comes by chance, whatever the median does
    assert statistics.inefficiency(list(times)) < 2


def test_an_exceedance_test_of_a_sample_is_scipys_quantile_test() -> None:
    times = np.random.default_rng(29).exponential(1.0, 2000)
    for limit in (4.2, 4.6, 5.5, 7.0):
        test = statistics.exceedance(int((times > limit).sum()), 2000, share=0.01)
        for p, alternative in ((test.p_within, "less"), (test.p_above, "greater")):
            found = stats.quantile_test(times, q=limit, p=0.99, alternative=alternative)
            assert p == pytest.approx(found.pvalue)


@pytest.mark.parametrize(("over", "g"), [(1, 10.0), (0, 3.0), (7, 2.5), (30, 1.0)])
def test_one_more_request_over_the_limit_never_turns_a_verdict_good(over: int, g: float) -> None:
    for requests in range(over, 6000, 29):
        before = statistics.exceedance(over, requests, share=0.01, inefficiency=g)
        after = statistics.exceedance(over + 1, requests + 1, share=0.01, inefficiency=g)
        assert after.p_within >= before.p_within - 1e-12
        good = statistics.exceedance(over, requests + 1, share=0.01, inefficiency=g)
        assert good.p_above >= before.p_above - 1e-12


@given(
    requests=st.integers(0, 3000),
    over=st.integers(0, 3000),
    more=st.integers(0, 500),
    g=st.floats(1, 50),
)
def test_more_requests_over_the_limit_never_help(
    requests: int, over: int, more: int, g: float
) -> None:
    over = min(over, requests)
    worse = min(over + more, requests)
    before = statistics.exceedance(over, requests, share=0.01, inefficiency=g)
    after = statistics.exceedance(worse, requests, share=0.01, inefficiency=g)
    assert after.p_within >= before.p_within - 1e-12
    assert after.p_above <= before.p_above + 1e-12
    assert not (before.p_above <= 0.01 and after.p_within <= 0.05)


@given(requests=st.integers(1, 3000), over=st.integers(0, 3000), g=st.floats(1, 50))
def test_correlation_never_makes_a_claim_easier_than_the_count_supports(
    requests: int, over: int, g: float
) -> None:
    over = min(over, requests)
    test = statistics.exceedance(over, requests, share=0.01, inefficiency=g)
    if test.p_within <= 0.05:
        assert over / requests < 0.01
    if test.p_above <= 0.01:
        assert over / requests > 0.01


@pytest.mark.parametrize(("events", "trials"), [(0, 100), (1, 100), (5, 10_000), (100, 100)])
def test_ratio_bounds_are_clopper_and_pearsons(events: int, trials: int) -> None:
    lower, upper = statistics.ratio_bounds(events, trials, alpha=0.05)
    interval = stats.binomtest(events, trials).proportion_ci(0.90, method="exact")
    assert (lower, upper) == pytest.approx((interval.low, interval.high))


def test_no_trial_says_nothing() -> None:
    assert statistics.ratio_bounds(0, 0, alpha=0.05) == (0.0, 1.0)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("pairs", [2, 5, 10, 20, 40])
def test_the_signed_rank_cut_is_exact(pairs: int, alpha: float) -> None:
    cut = signed_rank_cut(pairs, alpha)
    counts = [0] * (pairs * (pairs + 1) // 2 + 1)
    counts[0] = 1
    for rank in range(1, pairs + 1):
        for total in range(len(counts) - 1, rank - 1, -1):
            counts[total] += counts[total - rank]
    below = sum(counts[: cut + 1]) / 2**pairs
    assert below <= alpha
    assert below + counts[cut + 1] / 2**pairs > alpha


def test_the_rank_bound_is_where_scipys_wilcoxon_stops_rejecting() -> None:
    logs = np.random.default_rng(2).normal(0.1, 0.05, 15)
    ratio = paired_ratio(list(np.exp(logs)), [1.0] * 15, alpha_pass=0.05, alpha_fail=0.01)
    upper = math.log(ratio.rank.upper)
    for shift, rejected in ((upper + 1e-6, True), (upper - 1e-6, False)):
        p = stats.wilcoxon(logs - shift, alternative="less", method="exact").pvalue
        assert (p <= 0.05) == rejected


def test_the_t_bounds_are_scipys() -> None:
    logs = np.random.default_rng(2).normal(0.1, 0.05, 20)
    ratio = paired_ratio(list(np.exp(logs)), [1.0] * 20, alpha_pass=0.05, alpha_fail=0.01)
    test = stats.ttest_1samp(logs, 0)
    assert math.log(ratio.t.upper) == pytest.approx(test.confidence_interval(0.90).high)
    assert math.log(ratio.t.lower) == pytest.approx(test.confidence_interval(0.98).low)


def test_too_few_pairs_cannot_claim_anything() -> None:
    ratio = paired_ratio([1.0, 1.0], [1.0, 1.0], alpha_pass=0.05, alpha_fail=0.01)
    assert (ratio.lower, ratio.upper) == (0.0, math.inf)


def test_a_candidate_exactly_at_the_margin_seldom_passes_or_fails() -> None:
    rng = np.random.default_rng(13)
    runs, passed, failed = 400, 0, 0
    for _ in range(runs):
        candidate = list(np.exp(rng.normal(math.log(1.1), 0.06, 20)))
        ratio = paired_ratio(candidate, [1.0] * 20, alpha_pass=0.05, alpha_fail=0.01)
        passed += ratio.upper <= 1.1
        failed += ratio.lower > 1.1
    assert passed <= stats.binom.ppf(0.999, runs, 0.05)
    assert failed <= stats.binom.ppf(0.999, runs, 0.01)


def test_a_candidate_30_percent_slower_fails_and_an_equal_one_passes() -> None:
    rng = np.random.default_rng(17)
    for factor, word in ((1.3, "slower"), (1.0, "equal")):
        told = 0
        for _ in range(100):
            candidate = list(factor * np.exp(rng.normal(0, 0.05, 20)))
            ratio = paired_ratio(candidate, [1.0] * 20, alpha_pass=0.05, alpha_fail=0.01)
            told += ratio.lower > 1.1 if word == "slower" else ratio.upper <= 1.1
        assert told >= 95


def test_three_pairs_by_hand() -> None:
    ratio = paired_ratio([11.0, 12.0, 13.0], [10.0, 10.0, 10.0], alpha_pass=0.125, alpha_fail=0.125)
    logs = [0.0953102, 0.1823216, 0.2623643]  # ln 1.1, ln 1.2, ln 1.3
    mean, error = 0.1799987, 0.0482350  # their mean, and standard deviation 0.0835455 / sqrt(3)
    assert ratio.t.estimate == pytest.approx(math.exp(mean), rel=1e-6)
    assert ratio.t.upper == pytest.approx(math.exp(mean + 1.6043649 * error), rel=1e-4)
    # Walsh averages: 0.0953 0.1388 0.1788 0.1823 0.2223 0.2624; P(W+ <= 0) = 1/8
    assert ratio.rank.estimate == pytest.approx(math.exp((0.1788373 + 0.1823216) / 2), rel=1e-6)
    assert ratio.rank.lower == pytest.approx(math.exp(logs[0]), rel=1e-6)
    assert ratio.rank.upper == pytest.approx(math.exp(logs[2]), rel=1e-6)
    assert (ratio.lower, ratio.upper) == (
        min(ratio.t.lower, ratio.rank.lower),
        max(ratio.t.upper, ratio.rank.upper),
    )


def test_one_outlying_pair_cannot_pass_or_fail_alone() -> None:
    ratio = paired_ratio([1.0] * 19 + [50.0], [1.0] * 20, alpha_pass=0.05, alpha_fail=0.01)
    assert ratio.rank.upper == 1.0
    assert ratio.upper == ratio.t.upper > 1.1
    assert ratio.lower < 1


@settings(max_examples=60)
@given(
    values=st.lists(st.integers(1, 60), max_size=120),
    lost=st.integers(0, 6),
    inefficiency=st.sampled_from([1.0, 1.7]),
    limit=st.integers(1, 60),
)
def test_the_bounds_of_a_quantile_say_what_the_exceedance_test_says(
    values: list[int], lost: int, inefficiency: float, limit: int
) -> None:
    share, (below, above) = 0.2, _bounds(values, lost, 0.2, inefficiency)
    over = sum(value > limit for value in values) + lost
    test = statistics.exceedance(over, len(values) + lost, share=share, inefficiency=inefficiency)
    assert (above is not None and above <= limit) == (test.p_within <= 0.05)
    if below is not None:  # else not even the slowest answer is surely too slow
        assert (below > limit) == (test.p_above <= 0.01)


def _bounds(
    values: list[int], lost: int, share: float, inefficiency: float
) -> tuple[float | None, float | None]:
    return statistics.quantile_bounds(
        [float(value) for value in values],
        lost,
        share=share,
        inefficiency=inefficiency,
        alpha_pass=0.05,
        alpha_fail=0.01,
    )


def test_ten_thousand_requests_bound_a_p99_by_the_ranks_of_the_binomial() -> None:
    below, above = _bounds(list(range(1, 10_001)), 0, 0.01, 1.0)
    assert below == stats.binom.ppf(0.01, 10_000, 0.99)
    assert above == stats.binom.ppf(0.95, 10_000, 0.99) + 1


@given(st.lists(st.floats(0, 1), max_size=8), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_is_the_closed_test_with_bonferroni_for_every_subset(
    p_values: list[float], alpha: float
) -> None:
    indices = range(len(p_values))
    subsets = [s for size in indices for s in itertools.combinations(indices, size + 1)]
    rejected = {s for s in subsets if min(p_values[n] for n in s) <= alpha / len(s)}
    closed = tuple(all(s in rejected for s in subsets if n in s) for n in indices)
    assert statistics.holm(p_values, alpha=alpha) == closed


@given(
    events=st.integers(0, 60),
    trials=st.integers(60, 3000),
    g=st.sampled_from([1.0, 1.6, 7.0]),
)
def test_the_bounds_of_an_effective_ratio_exclude_what_its_test_rejects(
    events: int, trials: int, g: float
) -> None:
    test = statistics.exceedance(events, trials, share=0.01, inefficiency=g)
    lower, upper = statistics.effective_bounds(test, alpha_pass=0.05, alpha_fail=0.01)
    if min(abs(test.p_above - 0.01), abs(test.p_within - 0.05)) > 1e-9:
        assert (test.p_above < 0.01) == (lower > 0.01)
        assert (test.p_within < 0.05) == (upper < 0.01)


def test_independent_errors_scatter_as_the_binomial_says_and_a_burst_does_not() -> None:
    rng = np.random.default_rng(3)
    sizes = [1000] * 20
    found = [
        statistics.block_inefficiency(list(rng.binomial(1000, 0.01, 20)), sizes) for _ in range(300)
    ]
    assert np.median(found) < 1.3
    assert np.mean(np.array(found) > 3) < 0.02
    assert statistics.block_inefficiency([40] + [0] * 19, sizes) == pytest.approx(40, rel=0.05)
    assert statistics.block_inefficiency([5, 10], [1000, 1000]) == 1.0
    assert statistics.block_inefficiency([0] * 20, sizes) == 1.0


def test_a_drift_from_block_to_block_makes_a_sample_smaller() -> None:
    slow = [round(10 + 8 * math.sin(n / 3)) for n in range(20)]
    shuffled = list(np.random.default_rng(1).permutation(slow))
    drifting = statistics.block_inefficiency(slow, [1000] * 20)
    assert drifting > 2 * statistics.block_inefficiency(shuffled, [1000] * 20) > 2


@given(
    logs=st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=25),
    limit=st.floats(0.7, 1.4),
    alpha=st.sampled_from([0.01, 0.05]),
)
def test_the_p_value_of_a_ratio_is_small_where_its_lower_bound_is_over_the_limit(
    logs: list[float], limit: float, alpha: float
) -> None:
    ratio = paired_ratio(
        list(np.exp(logs)), [1.0] * len(logs), alpha_pass=0.05, alpha_fail=alpha, limit=limit
    )
    if abs(ratio.p_above - alpha) > 1e-9 and abs(ratio.lower - limit) > 1e-9:
        assert (ratio.p_above <= alpha) == (ratio.lower > limit)


def test_the_p_value_of_a_ratio_is_the_larger_of_scipys_two_tests() -> None:
    logs = np.random.default_rng(2).normal(0.1, 0.05, 15)
    ratio = paired_ratio(
        list(np.exp(logs)), [1.0] * 15, alpha_pass=0.05, alpha_fail=0.01, limit=1.05
    )
    against = logs - math.log(1.05)
    t = stats.ttest_1samp(against, 0, alternative="greater").pvalue
    rank = stats.wilcoxon(against, alternative="greater", method="exact").pvalue
    assert ratio.p_above == pytest.approx(max(t, rank))
