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


def log_e_over_incumbent(
    candidate_events: int, incumbent_events: int, candidate_trials: int, incumbent_trials: int
) -> float:
    """ln E against "the candidate's error ratio is at most the incumbent's".

    Among all errors the candidate's are Binomial(k, w) with w its OBSERVED share of requests, whatever
    the common error ratio: self-normalising, so a bad day of the whole cluster accuses nobody.
    """
    trials = candidate_trials + incumbent_trials
    if not candidate_trials or not incumbent_trials:
        return 0.0
    share = candidate_trials / trials
    errors = candidate_events + incumbent_events
    return log_e_over_limit(candidate_events, errors, limit=share, prior=(1.0, 1.0))


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
