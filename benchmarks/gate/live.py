"""Simulated traffic steps at 10 %: errors of candidate and incumbent, looked at every five seconds."""

import numpy as np

from tidegate.core.counters import Histogram, Served
from tidegate.core.live import Look, judge_live
from tidegate.documents import Word
from tidegate.policy import ErrorSlo, Policy, Slo, Traffic
from tidegate.policy.model import Model

RATIO = 0.002  # of the incumbent's requests fail
SHARE = 10  # percent of the traffic
LOOK_REQUESTS = 25  # of the candidate between two looks
MOST_REQUESTS = 3000
POLICY = Policy(
    name="m",
    model=Model(uri="models:/m/2"),
    # The incumbent itself misses the default limit of 0.1 %, so that every release would.
    slo=Slo(objectives=(ErrorSlo(kind="errors", limit=0.02),)),
    traffic=Traffic(bake_s=10_000, max_bake_s=20_000),
)


def stopped_after(times: float, seeds: range) -> list[int | None]:
    """Canary requests until FAIL, None when it never was, with so many times the incumbent's errors."""
    return [_stopped(np.random.default_rng([seed, round(10 * times)]), times) for seed in seeds]


def _stopped(rng: np.random.Generator, times: float) -> int | None:
    looks = MOST_REQUESTS // LOOK_REQUESTS
    mine = np.cumsum(rng.binomial(LOOK_REQUESTS, times * RATIO, looks))
    others = LOOK_REQUESTS * (100 - SHARE) // SHARE
    theirs = np.cumsum(rng.binomial(others, RATIO, looks))
    for n in range(1, looks + 1):
        look = Look(
            percent=SHARE,
            elapsed_s=5.0 * n,
            candidate=_served(n * LOOK_REQUESTS, int(mine[n - 1]), 5.0 * n),
            incumbent=_served(n * others, int(theirs[n - 1]), 5.0 * n),
            compared=True,
        )
        if judge_live(look, POLICY).word is Word.FAIL:
            return n * LOOK_REQUESTS
    return None


def _served(requests: int, errors: int, seconds: float) -> Served:
    latency = Histogram(edges_ms=(100.0,), cumulative=(float(requests),), total=float(requests))
    return Served(requests=requests, errors=errors, latency=latency, started_s=0.0, ended_s=seconds)
