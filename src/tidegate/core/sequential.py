"""Anytime-valid tests for live traffic: looking again every second costs nothing.

An e-value is a bet against "all is well"; by Ville's inequality it ever reaches 1/alpha with probability
at most alpha when all IS well, whenever one looks (Ramdas et al., Statistical Science 38, 2023). Events
are taken as independent: a pod that dies fails many requests at once and reads as stronger evidence.
"""

import math
from collections.abc import Callable

from scipy import optimize, special, stats

PRIOR = (1.0, 9.0)  # Beta, of a probability: small ones are likelier


def log_e_over_limit(
    events: int, trials: int, *, limit: float, prior: tuple[float, float] = PRIOR
) -> float:
    """ln E against "the event's probability is at most `limit`".

    Mixture of the likelihood ratio over a Beta prior cut to (limit, 1): E = B(a+k, b+n-k)/B(a, b) *
    sf(limit; a+k, b+n-k)/sf(limit; a, b) / (limit^k (1-limit)^(n-k)).
    """
    if trials == 0 or not 0 < limit < 1:
        return 0.0
    a, b = prior
    misses = trials - events
    mixture = float(special.betaln(a + events, b + misses) - special.betaln(a, b))
    cut = _log_sf(limit, a + events, b + misses) - _log_sf(limit, a, b)
    null = events * math.log(limit) + misses * math.log1p(-limit)
    return mixture + cut - null


def _log_sf(x: float, a: float, b: float) -> float:
    """ln of the Beta distribution's upper tail; special's own, since a bound asks for it many times."""
    tail = float(special.betaincc(a, b, x))
    return math.log(tail) if tail > 0 else -math.inf


SMALLEST = 1e-12  # of the observed ratio: a lower bound below that is 0


def ratio_bounds(
    events: int, trials: int, *, alpha_below: float, alpha_above: float
) -> tuple[float, float]:
    """Confidence sequence of an event's probability: one-sided bounds that hold at all looks at once.

    The limits that the bets have not refuted (Howard, Ramdas, McAuliffe & Sekhon, Annals of Statistics 49,
    2021): the lower bound is the highest limit that `log_e_over_limit` finds exceeded at `alpha_below`, the
    upper one the lowest that its mirror image finds kept at `alpha_above`. Wider than Clopper and Pearson's,
    which hold at one look. (0, 1) of nothing.
    """
    if trials == 0:
        return 0.0, 1.0

    def over(limit: float) -> float:
        return log_e_over_limit(events, trials, limit=limit) + math.log(alpha_below)

    def under(limit: float) -> float:
        return _log_e_under_limit(events, trials, limit=limit) + math.log(alpha_above)

    seen = events / trials
    lower = _crossing(over, SMALLEST * seen, min(seen, 1 - SMALLEST)) if events else None
    upper = _crossing(under, max(seen, SMALLEST), 1 - SMALLEST) if events < trials else None
    return 0.0 if lower is None else lower, 1.0 if upper is None else upper


def surely_under(events: int, trials: int, *, limit: float, alpha: float) -> bool:
    """Whether the event's probability is below `limit`, at whatever look one asks."""
    return fires(_log_e_under_limit(events, trials, limit=limit), alpha)


def _log_e_under_limit(events: int, trials: int, *, limit: float) -> float:
    """ln E against "the event's probability is at least `limit`": the other events, over 1 - limit."""
    return log_e_over_limit(trials - events, trials, limit=1 - limit, prior=PRIOR[::-1])


def _crossing(bet: Callable[[float], float], start: float, end: float) -> float | None:
    """Where the bet is just won; None when it is nowhere between the two."""
    if bet(start) * bet(end) > 0:
        return None
    return float(optimize.brentq(bet, start, end, xtol=1e-15, rtol=1e-9))


RATIOS = (3.0, 5.0, 8.0)  # times the incumbent's errors; such bets win on 2 and on 20 times too


def log_e_over_incumbent(
    candidate_events: int, incumbent_events: int, candidate_trials: int, incumbent_trials: int
) -> float:
    """ln E against "the candidate's error ratio is at most the incumbent's".

    Among all errors the candidate's are Binomial(k, w) with w its OBSERVED share of requests, whatever
    the common error ratio: self-normalising, so a bad day of the whole cluster accuses nobody
    (Przyborowski & Wilenski, Biometrika 31, 1940, made sequential). With r times the incumbent's ratio
    the share of errors is p = wr / (wr + 1 - w); E is the mean over RATIOS of
    (p/w)^k_c ((1-p)/(1-w))^k_i, the method of mixtures (Robbins, Annals of Mathematical Statistics 41,
    1970) on a geometric grid: unlike a Beta prior on p it bets alike at 10 % and at 50 % of traffic.
    """
    trials = candidate_trials + incumbent_trials
    if not candidate_trials or not incumbent_trials:
        return 0.0
    share = candidate_trials / trials
    bets = [
        candidate_events * math.log(ratio)
        - (candidate_events + incumbent_events) * math.log(ratio * share + 1 - share)
        for ratio in RATIOS
    ]
    return float(special.logsumexp(bets)) - math.log(len(RATIOS))


def alpha_of_step(alpha: float, *, step: int, steps: int) -> float:
    """The part of `alpha` that the tests of one traffic step (from 0) may spend: a half, a quarter, ...

    The parts add up to alpha, so all steps together err with it (Bonferroni with unequal weights).
    Most goes to the first step, where requests are fewest and harm is usually met.
    """
    return alpha / float(2 ** min(step + 1, steps - 1))


def fires(log_e: float, alpha: float) -> bool:
    """Whether the bet has been won at level alpha."""
    return log_e >= -math.log(alpha)


def sample_ratio_p(candidate: int, total: int, *, share: float) -> float:
    """Two-sided exact binomial p-value of the candidate's requests against its share of traffic.

    A sample-ratio mismatch (Fabijan et al., KDD 2019) says that the split is not what was ordered, so
    that no comparison can be believed.
    """
    if total == 0:
        return 1.0
    return float(stats.binomtest(candidate, total, share).pvalue)
