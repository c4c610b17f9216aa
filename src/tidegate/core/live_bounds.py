"""Confidence bounds of what live traffic is judged by; they hold at every look of a bake at once. Pure."""

import bisect

from tidegate.core import sequential
from tidegate.core.counters import Histogram


def quantile_bounds(
    latency: Histogram, total: int, *, share: float, alpha_below: float, alpha_above: float
) -> tuple[float | None, float | None]:
    """Bucket edges in ms that enclose the quantile 1 - share: no value inside a bucket is known.

    The highest edge that more than `share` of the requests are surely over, and the lowest that fewer are;
    the inverse of the test of an edge, so bounds and verdict cannot disagree. None: no edge is that sure.
    """
    over = [
        min(total, latency.over(edge)[0]) for edge in latency.edges_ms
    ]  # falls from edge to edge

    def is_below(count: int) -> bool:
        log_e = sequential.log_e_over_limit(count, total, limit=share)
        return sequential.fires(log_e, alpha_below)

    def is_above(count: int) -> bool:
        return sequential.surely_under(count, total, limit=share, alpha=alpha_above)

    below = bisect.bisect_left(over, True, key=lambda count: not is_below(count))
    above = bisect.bisect_left(over, True, key=is_above)
    return (
        latency.edges_ms[below - 1] if below else None,
        latency.edges_ms[above] if above < len(over) else None,
    )
