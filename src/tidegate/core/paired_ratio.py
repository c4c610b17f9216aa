"""How much slower one arm is than the other, from block pairs: by Student's t and by signed ranks.

Blocks are the observations, for requests of a block are not independent; the two tests must agree.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """An estimate with one-sided bounds: `upper` at the PASS level, `lower` at the FAIL level."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedRatio:
    """Candidate over baseline from block pairs, by t and by signed ranks; as ratios, 1 = equal."""

    pairs: int
    t: Bounds
    rank: Bounds
    p_above: float  # small: the ratio is surely above the limit; the larger of the two tests'

    @property
    def upper(self) -> float:
        """The more cautious upper bound: both tests must agree to claim "not slower"."""
        return max(self.t.upper, self.rank.upper)

    @property
    def lower(self) -> float:
        """The more cautious lower bound: both tests must agree to claim "slower"."""
        return min(self.t.lower, self.rank.lower)


def paired_ratio(
    candidate: Sequence[float],
    baseline: Sequence[float],
    *,
    alpha_pass: float,
    alpha_fail: float,
    limit: float = 1.0,
) -> PairedRatio:
    """Ratio of paired block quantiles: d_i = ln(candidate_i / baseline_i), blocks as observations.

    Needs positive, finite values and at least two pairs. `limit` is the ratio of p_above alone.
    """
    logs = np.log(np.asarray(candidate, dtype=float) / np.asarray(baseline, dtype=float))
    return PairedRatio(
        pairs=len(logs),
        t=_exp(_t_bounds(logs, alpha_pass, alpha_fail)),
        rank=_exp(_rank_bounds(logs, alpha_pass, alpha_fail)),
        p_above=max(_t_p_above(logs, math.log(limit)), _rank_p_above(logs, math.log(limit))),
    )


def _exp(bounds: Bounds) -> Bounds:
    return Bounds(
        estimate=math.exp(bounds.estimate),
        lower=math.exp(bounds.lower),
        upper=math.exp(bounds.upper) if bounds.upper < 700 else math.inf,
    )


def _t_bounds(logs: Floats, alpha_pass: float, alpha_fail: float) -> Bounds:
    """Student's t on the mean log ratio; non-inferiority as in ICH E9, section 3.3.2."""
    mean, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    freedom = len(logs) - 1
    return Bounds(
        estimate=mean,
        lower=mean - float(stats.t.ppf(1 - alpha_fail, freedom)) * error,
        upper=mean + float(stats.t.ppf(1 - alpha_pass, freedom)) * error,
    )


def _t_p_above(logs: Floats, limit: float) -> float:
    """One-sided Student's t of "the mean is at most `limit`"; the test that _t_bounds inverts."""
    mean, error = float(logs.mean()), float(logs.std(ddof=1)) / math.sqrt(len(logs))
    if error == 0:
        return 0.0 if mean > limit else 1.0
    return float(stats.t.sf((mean - limit) / error, len(logs) - 1))


def _rank_p_above(logs: Floats, limit: float) -> float:
    """Exact one-sided signed-rank test of the same: W- is the number of Walsh averages at or below."""
    i, j = np.triu_indices(len(logs))
    below = int(((logs[i] + logs[j]) / 2 <= limit).sum())
    return float(_signed_rank_cdf(len(logs))[below])


def _rank_bounds(logs: Floats, alpha_pass: float, alpha_fail: float) -> Bounds:
    """Hodges-Lehmann estimate and exact signed-rank bounds (Hollander & Wolfe, section 3.2-3.3).

    The median of the Walsh averages (d_i + d_j)/2; a bound is the order statistic that the exact null
    distribution of Wilcoxon's W+ allows; too few pairs for the level give an infinite bound.
    """
    i, j = np.triu_indices(len(logs))
    walsh = np.sort((logs[i] + logs[j]) / 2)
    low, high = signed_rank_cut(len(logs), alpha_fail), signed_rank_cut(len(logs), alpha_pass)
    return Bounds(
        estimate=float(np.median(walsh)),
        lower=float(walsh[low]) if low >= 0 else -math.inf,
        upper=float(walsh[len(walsh) - 1 - high]) if high >= 0 else math.inf,
    )


def signed_rank_cut(pairs: int, alpha: float) -> int:
    """Largest c with P(W+ <= c) <= alpha under no difference, -1 when there is none."""
    return int(np.searchsorted(_signed_rank_cdf(pairs), alpha, side="right")) - 1


def _signed_rank_cdf(pairs: int) -> Floats:
    """P(W+ <= c) for c = 0, 1, ...

    Exact: W+ is a sum of independent coin-tossed ranks 1..n, so its distribution is a convolution.
    """
    weights = np.ones(1)
    for rank in range(1, pairs + 1):
        wider = np.zeros(len(weights) + rank)
        wider[: len(weights)] += weights / 2
        wider[rank:] += weights / 2
        weights = wider
    return np.cumsum(weights)
