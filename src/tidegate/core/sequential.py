"""Anytime-valid tests for live traffic: looking again every second costs nothing.

An e-value is a bet against "all is well"; by Ville's inequality it ever reaches 1/alpha with probability
at most alpha when all IS well, whenever one looks (Ramdas et al., Statistical Science 38, 2023). Events
are taken as independent: a pod that dies fails many requests at once and reads as stronger evidence.
"""

import math

from scipy import special, stats


def log_e_over_limit(
    events: int, trials: int, *, limit: float, prior: tuple[float, float] = (1.0, 9.0)
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
    return float(stats.beta.logsf(x, a, b))


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
