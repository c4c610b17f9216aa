"""The knee of the candidate: how throughput and latency go together in a closed loop, level by level.

The capacity is the highest throughput of a level whose latency quantile surely keeps the objective's limit:
the exceedance test of the gate, so too few requests are no capacity. Requests in flight are the only
control: by Little's law (Operations Research 9, 1961) concurrency = throughput x latency, so past the knee
more of them add latency alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.core.measured import Measured, quantile
from tidegate.documents import Capacity, CurvePoint
from tidegate.policy import LatencySlo, Slo

LEAST_GAIN = 0.05  # of throughput from one level to the next; less is past the knee
MOST_ERRORS = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The tightest absolute latency objective; limit_ms None: there is none."""

    quantile: float
    limit_ms: float | None
    alpha_pass: float
    alpha_fail: float


def limit_of(slo: Slo) -> Limit:
    """The blocking latency objective with the lowest limit."""
    blocking = [
        one for one in slo.objectives if isinstance(one, LatencySlo) and one.severity == "blocking"
    ]
    tightest = min(blocking, key=lambda one: (one.limit_ms, -one.quantile), default=None)
    return Limit(
        quantile=tightest.quantile if tightest else 0.99,
        limit_ms=tightest.limit_ms if tightest else None,
        alpha_pass=slo.alpha_pass,
        alpha_fail=slo.alpha_fail,
    )


def point(concurrency: int, measured: Measured, limit: Limit) -> CurvePoint:
    """One level as the report keeps it."""
    latencies = measured.latencies_ms
    good = len(latencies) - measured.wrong
    return CurvePoint(
        concurrency=concurrency,
        duration_s=measured.duration_s,
        requests=measured.offered,
        errors=measured.unanswered,
        wrong=measured.wrong,
        throughput_rps=good / measured.duration_s if measured.duration_s > 0 else 0.0,
        p50_ms=quantile(latencies, 0.5),
        p95_ms=quantile(latencies, 0.95),
        p99_ms=quantile(latencies, 0.99),
        keeps_limit=_keeps(measured, limit),
    )


def _keeps(measured: Measured, limit: Limit) -> bool | None:
    if measured.errors + measured.wrong > MOST_ERRORS * measured.offered:
        return False
    if limit.limit_ms is None or not measured.offered:
        return None
    latencies = measured.latencies_ms
    from tidegate.core import statistics  # scipy: not for every `tidegate --help`

    test = statistics.exceedance(
        sum(value > limit.limit_ms for value in latencies) + measured.unanswered,
        measured.offered,
        share=1 - limit.quantile,
        inefficiency=statistics.inefficiency(latencies, share=1 - limit.quantile),
        alpha=limit.alpha_pass,
    )
    if test.p_above <= limit.alpha_fail:
        return False
    return True if test.p_within <= limit.alpha_pass else None


def ends(points: Sequence[CurvePoint]) -> str:
    """Why no further level is worth its load; '' while one is."""
    last = points[-1]
    if last.errors + last.wrong > MOST_ERRORS * max(1, last.requests):
        return f"{last.errors + last.wrong} of {last.requests} requests failed or wrong"
    if last.keeps_limit is False:
        return f"at {last.concurrency} in flight the latency limit is broken"
    if len(points) < 2:
        return ""
    gain = last.throughput_rps / max(1e-9, points[-2].throughput_rps) - 1
    if gain >= LEAST_GAIN:
        return ""
    return (
        f"from {points[-2].concurrency} to {last.concurrency} in flight throughput grew {gain:.0%}"
    )


def capacity(points: Sequence[CurvePoint], limit: Limit, *, replicas: int, ended: str) -> Capacity:
    """The highest rate that kept the limit, or the highest of all where no limit is set."""
    eligible = [
        one
        for one in points
        if one.keeps_limit is True or (limit.limit_ms is None and one.keeps_limit is None)
    ]
    best = max(eligible, key=lambda one: one.throughput_rps, default=None)
    name = f"p{100 * limit.quantile:.10g}"
    kept = "no latency limit" if limit.limit_ms is None else f"{name} <= {limit.limit_ms:g} ms"
    ended = ended or "the levels ended"
    return Capacity(
        rate_rps=best.throughput_rps if best else None,
        replicas=replicas,
        quantile=limit.quantile,
        limit_ms=limit.limit_ms,
        is_lower_bound=best is not None and best is points[-1],
        message=(
            f"{best.throughput_rps:.1f} rps at {best.concurrency} in flight with {kept}; {ended}"
            if best
            else f"no level surely kept {kept}; {ended}"
        ),
    )
