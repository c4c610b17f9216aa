"""Simulated load tests: who says what of a version whose truth is known. One cell is one kind of version."""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.gate import rivals
from tidegate.core.measured import quantile_index
from tidegate.operations.simulation import (
    Arms,
    Draw,
    Floats,
    arrivals,
    drifting,
    gamma,
    judged,
    queues,
    sojourns,
)
from tidegate.policy import LatencySlo, Load, RelativeLatencySlo, Slo

LOAD = Load()  # the policy's defaults: 20 pairs of 1,000 requests, Poisson arrivals, 3 extensions
MARGIN = RelativeLatencySlo(kind="relative_latency").margin
DRIFT = 0.05
SAME, SLOWER, SLOWER_SERVICE, AT_MARGIN, WITHIN_LIMIT, AT_LIMIT, AT_LIMIT_DRIFTING = KINDS = (
    "the same version",
    "+30 % latency",
    "+30 % service time",
    "exactly at the margin",
    "p99 a fifth below its limit",
    "p99 at its limit, steady",
    "p99 at its limit, drifting",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What serves: its utilisation by the incumbent, and its service times' coefficient of variation."""

    utilisation: float
    cv: float

    @property
    def service(self) -> Draw:
        """Service times in ms."""
        return gamma(1000 * self.utilisation / LOAD.rate_rps, self.cv)


def words(queue: Queue, kind: str, seeds: range) -> "Counter[tuple[str, str]]":
    """How often each judge said what: (judge, word) -> count."""
    counted: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        looks = _drawn(np.random.default_rng([seed, round(100 * queue.utilisation)]), queue, kind)
        counted.update(_said(looks, queue, kind).items())
    return counted


def _drawn(rng: np.random.Generator, queue: Queue, kind: str) -> Iterator[Arms]:
    """One load test."""
    return queues(
        rng,
        LOAD,
        queue.service,
        drift=0.0 if kind == AT_LIMIT else DRIFT,
        slower=1.3 if kind == SLOWER else 1.0,
        slower_service={SLOWER_SERVICE: 1.3, AT_MARGIN: at_margin(queue)}[kind]
        if kind in (SLOWER_SERVICE, AT_MARGIN)
        else 1.0,
    )


def _said(looks: Iterator[Arms], queue: Queue, kind: str) -> dict[str, str]:
    """Ours may ask for more pairs; the others judge the first 20, as they have no word for "not yet"."""
    few = next(looks)
    if kind in (WITHIN_LIMIT, AT_LIMIT, AT_LIMIT_DRIFTING):
        limit = p99(queue, 0.0 if kind == AT_LIMIT else DRIFT)
        limit *= 1.25 if kind == WITHIN_LIMIT else 1.0
        slo = Slo(objectives=(LatencySlo(kind="latency", limit_ms=limit),))
        others = {"fixed threshold": rivals.fixed_limit(few, limit)}
    else:
        slo = Slo()
        others = {
            "fixed threshold": rivals.fixed_threshold(few, MARGIN),
            "Mann-Whitney": rivals.mann_whitney(few, slo.alpha_fail),
            "Kayenta-style": rivals.kayenta(few),
        }
    return {"tidegate": judged(itertools.chain([few], looks), slo, LOAD).word.value, **others}


# -- the truth, from a very long run of the same queue

BLOCKS = 1000


def _long_run(queue: Queue, slower_service: float, drift: float) -> Floats:
    rng = np.random.default_rng(7)
    machine = drifting(rng, len_blocks=BLOCKS, spread=drift)[:, None]
    service = queue.service(rng, (BLOCKS, LOAD.block_requests)) * machine * slower_service
    return sojourns(service, arrivals(rng, LOAD, BLOCKS))


@cache
def p99(queue: Queue, drift: float) -> float:
    """The limit that is exactly met."""
    times = _long_run(queue, 1.0, drift).ravel()
    at = quantile_index(0.99, len(times))
    return float(np.partition(times, at)[at])


@cache
def at_margin(queue: Queue) -> float:
    """How much longer the service takes when the worse of p50 and p95 is exactly the margin above."""
    low, high = 1.0, 1 + MARGIN
    usual = _block_quantiles(queue, 1.0)
    for _ in range(10):
        middle = (low + high) / 2
        ratio = float(max(_block_quantiles(queue, middle) / usual))
        low, high = (middle, high) if ratio < 1 + MARGIN else (low, middle)
    return low


def _block_quantiles(queue: Queue, slower_service: float) -> Floats:
    """Geometric means over blocks of p50 and p95, which is what pairs of blocks compare."""
    ordered = np.sort(_long_run(queue, slower_service, DRIFT), axis=1)
    at = [quantile_index(share, LOAD.block_requests) for share in (0.5, 0.95)]
    return np.asarray(np.exp(np.log(ordered[:, at]).mean(axis=0)))
