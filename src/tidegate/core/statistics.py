"""The tests behind a verdict on one load report: how sure the numbers are, not what they should be.

Every function takes plain numbers and says where its formula comes from. Requests are not independent
(a queue makes neighbours alike), so nothing here feeds raw requests to a test for independent samples:
absolute limits use an effective sample size, comparisons use blocks (`tidegate.core.paired_ratio`).
Sequential tests for live traffic are in `tidegate.core.sequential`.
"""

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


WIDEST_TAIL = 0.02  # a wider one is the body, whose drift says nothing about a limit beyond it
FEWEST_SLOW = 20  # requests that must be "slow" for their clustering to be seen
FEWEST_BLOCKS = 10
MOST_CORRELATED = 0.9


def inefficiency(
    latencies: Sequence[float], *, share: float = 0.01, blocks: Sequence[int] = ()
) -> float:
    """How many neighbouring requests carry the information of one: g = 1 + 2 sum(rho_j), at least 1.

    Autocorrelation of the indicator "among the run's own slowest 2 x share" (FEWEST_SLOW to WIDEST_TAIL),
    summed by Geyer's initial positive sequence (Statistical Science 7, 1992, section 3.3): pairs
    rho_2m + rho_2m+1 while positive. share = 1 - quantile: with the quantile at its limit these are the
    requests that the test counts and those next to them; ranks of all requests, or a wider tail, also
    count the drift of milliseconds far below the limit. Simulated on M/G/1 queues exactly at the limit
    (400 runs of 2,000 requests), false PASS at alpha .05 by width of the tail, in multiples of share:
    utilisation .5: 6.2 % at 1, 5.0 % at 2, 2.5 % at 5; utilisation .7: 10.5 %, 5.2 %, 3.5 %.

    `blocks` are the numbers of requests that were sent together, in order: the same indicator, counted by
    block, shows what drifts more slowly than that sum can see.
    """
    values = np.asarray(latencies, dtype=float)
    if len(values) < 4:
        return 1.0
    edge = np.quantile(
        values, max(0.0, 1 - max(min(2 * share, WIDEST_TAIL), FEWEST_SLOW / len(values)))
    )
    slow = (values > edge if np.any(values > edge) else values >= edge).astype(float)
    centred = slow - slow.mean()
    if not np.any(centred):
        return 1.0
    rho = _autocorrelation(centred)
    even = len(rho) // 2 * 2
    pairs = rho[0:even:2] + rho[1:even:2]
    negative = np.flatnonzero(pairs <= 0)
    kept = pairs[: int(negative[0])] if len(negative) else pairs
    by_block = [int(one.sum()) for one in np.split(slow, np.cumsum(blocks)[:-1])] if blocks else []
    return max(float(2 * kept.sum() - 1), block_inefficiency(by_block, blocks))


def _autocorrelation(centred: Floats) -> Floats:
    size = 1 << (2 * len(centred) - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    covariance = np.fft.irfft(spectrum * spectrum.conjugate(), size)[: len(centred)]
    return np.asarray(covariance / covariance[0], dtype=float)


def block_inefficiency(events: Sequence[int], trials: Sequence[int]) -> float:
    """The same factor from the counts of whole blocks: what a drift from block to block, or a burst, adds.

    Dispersion of the counts against the binomial (McCullagh & Nelder, Generalized Linear Models, 4.5.1)
    times (1 + r)/(1 - r) for their lag-one correlation r, the first-order form of the sum over all lags.
    It is known to a quarter from FEWEST_BLOCKS, and 1 below.
    """
    counts, sizes = np.asarray(events, dtype=float), np.asarray(trials, dtype=float)
    kept = sizes > 0
    counts, sizes = counts[kept], sizes[kept]
    if len(counts) < FEWEST_BLOCKS or not 0 < counts.sum() < sizes.sum():
        return 1.0
    share = counts.sum() / sizes.sum()
    scores = (counts - share * sizes) / np.sqrt(sizes * share * (1 - share))
    total = float((scores**2).sum())
    if total == 0:
        return 1.0
    dispersion = total / (len(scores) - 1)
    correlation = float((scores[1:] * scores[:-1]).sum()) / total
    correlation = min(max(0.0, correlation), MOST_CORRELATED)
    return max(1.0, dispersion * (1 + correlation) / (1 - correlation))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exceedance:
    """How surely the share of requests over a limit is below, or above, what is allowed."""

    requests: int
    over: int
    inefficiency: float
    effective: int
    p_within: float  # small: the share is surely below
    p_above: float  # small: the share is surely above
    allowed: int  # most requests over the limit that would still PASS


def exceedance(
    over: int, requests: int, *, share: float, inefficiency: float = 1.0, alpha: float = 0.05
) -> Exceedance:
    """Exact binomial test of P(X > limit) against `share`, on the effective sample.

    Order-statistic test of a quantile (Conover, Practical Nonparametric Statistics, 3.2). Requests over
    and within the limit are each divided by g and rounded against whoever claims, so correlation can
    only make both claims harder; and one more request over the limit never helps the claim "within",
    which it would if k/g and n/g were rounded apart.
    """
    g, within = max(1.0, inefficiency), requests - over
    up, least = math.ceil(over / g), math.floor(within / g)
    down, most = math.floor(over / g), math.ceil(within / g)
    return Exceedance(
        requests=requests,
        over=over,
        inefficiency=g,
        effective=up + least,
        p_within=float(stats.binom.cdf(up, up + least, share)) if least else 1.0,
        p_above=float(stats.binom.sf(down - 1, down + most, share)) if down else 1.0,
        allowed=_most_allowed(requests, g, share, alpha),
    )


def quantile_bounds(
    latencies: Sequence[float],
    lost: int,
    *,
    share: float,
    inefficiency: float,
    alpha_pass: float,
    alpha_fail: float,
) -> tuple[float | None, float | None]:
    """Bounds of the quantile 1 - share: the highest limit that would FAIL, the lowest that would PASS.

    The inverse of `exceedance`, so an interval and its verdict cannot disagree (order-statistic bounds;
    Conover, 3.2). `lost` requests count as slower than any limit. None: too few requests for that bound,
    or it lies among the lost.
    """
    ordered = sorted(value for value in latencies if math.isfinite(value))
    requests, g = len(latencies) + lost, max(1.0, inefficiency)
    allowed = _most_allowed(requests, g, share, alpha_pass)
    condemned = _fewest_condemned(requests, g, share, alpha_fail)
    below = _at(ordered, requests - condemned)
    return below, _at(ordered, requests - 1 - allowed) if allowed >= 0 else None


def _at(ordered: Sequence[float], rank: int) -> float | None:
    return ordered[rank] if 0 <= rank < len(ordered) else None


def _fewest_condemned(requests: int, g: float, share: float, alpha: float) -> int:
    """Fewest of the requests over the limit for p_above <= alpha; requests + 1 when not even all do."""

    def p_above(over: int) -> float:
        down = math.floor(over / g)
        total = down + math.ceil((requests - over) / g)
        return float(stats.binom.sf(down - 1, total, share)) if down else 1.0

    return bisect.bisect_left(range(requests + 1), -alpha, key=lambda over: -p_above(over))


def _most_allowed(requests: int, g: float, share: float, alpha: float) -> int:
    """Most of the requests that may be over the limit for p_within <= alpha; -1 when not even 0 may."""

    def p_within(over: int) -> float:
        up = math.ceil(over / g)
        return float(stats.binom.cdf(up, up + math.floor((requests - over) / g), share))

    return bisect.bisect_right(range(requests + 1), alpha, key=p_within) - 1


def ratio_bounds(events: int, trials: int, *, alpha: float) -> tuple[float, float]:
    """One-sided lower and upper confidence bound of a ratio, each at `alpha`.

    Clopper & Pearson, Biometrika 26 (1934): quantiles of the beta distribution.
    """
    if trials == 0:
        return 0.0, 1.0
    lower = 0.0 if events == 0 else float(stats.beta.ppf(alpha, events, trials - events + 1))
    upper = (
        1.0 if events == trials else float(stats.beta.ppf(1 - alpha, events + 1, trials - events))
    )
    return lower, upper


def effective_bounds(
    test: Exceedance, *, alpha_pass: float, alpha_fail: float
) -> tuple[float, float]:
    """ratio_bounds of the share over the limit on the effective sample: below at alpha_fail, above at
    alpha_pass, each rounded as the test rounds. What they exclude is what the test rejects."""
    within, g = test.requests - test.over, test.inefficiency
    down, up = math.floor(test.over / g), math.ceil(test.over / g)
    lower, _ = ratio_bounds(down, down + math.ceil(within / g), alpha=alpha_fail)
    _, upper = ratio_bounds(up, up + math.floor(within / g), alpha=alpha_pass)
    return lower, upper


def holm(p_values: Sequence[float], *, alpha: float) -> tuple[bool, ...]:
    """Which of several hypotheses fall, so that any true one falls with probability at most `alpha`.

    Holm, Scandinavian Journal of Statistics 6 (1979): in order of p, the i-th of m falls while
    p <= alpha / (m - i + 1). Holds however the tests depend on each other.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    fallen = [False] * len(p_values)
    for rank, which in enumerate(order):
        if p_values[which] > alpha / (len(order) - rank):
            break
        fallen[which] = True
    return tuple(fallen)
