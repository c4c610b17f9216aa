"""Throughput and latency of the candidate together, and where the SLO cuts them."""

from collections.abc import Sequence
from typing import Any

from tidegate.documents import Capacity, CurvePoint
from tidegate.report.plots.drawing import (
    BAD,
    CANDIDATE,
    GOOD,
    LIMIT,
    PAPER,
    SOFT,
    keyed,
    noted,
    picture,
    plain_log_ticks,
    styled,
)
from tidegate.report.writing import ms, number

# keeps_limit -> (shape, colour, filled): shape and colour both say it
KEEPS = {
    True: ("o", GOOD, True, "keeps the limit"),
    False: ("X", BAD, True, "does not"),
    None: ("o", SOFT, False, "not known"),
}


def throughput_latency(curve: Sequence[CurvePoint], capacity: Capacity | None) -> str:
    """p99 and p50 by good answers a second, one point for each number of requests in flight."""
    shown = [point for point in curve if point.p99_ms is not None]

    def draw(figure: Any, is_narrow: bool) -> None:
        axes = styled(figure.add_subplot())
        rates = [point.throughput_rps for point in shown]
        axes.plot(rates, [p.p99_ms for p in shown], color=CANDIDATE, linewidth=1.8, label="p99")
        medians = [float("nan") if p.p50_ms is None else p.p50_ms for p in shown]
        thin = {"linewidth": 1.2, "linestyle": (0, (2, 2))}
        axes.plot(rates, medians, color=CANDIDATE, **thin, label="p50")
        _points(axes, shown)
        axes.set_yscale("log")
        axes.set_xlim(left=0)
        axes.margins(x=0.08)
        _limit(axes, capacity)
        plain_log_ticks(axes.yaxis, *axes.get_ylim())
        axes.set_xlabel("good answers a second (the number at a point: requests in flight)")
        if is_narrow:
            axes.set_xlabel("good answers a second; at points: in flight")
        axes.set_ylabel("ms")
        keyed(figure, axes, columns=3 if is_narrow else 6)

    return picture("capacity", _alt(shown, capacity), draw, height=3.3, narrow_height=3.4)


def _points(axes: Any, shown: Sequence[CurvePoint]) -> None:
    labelled = set()
    for point in shown:
        shape, colour, filled, words = KEEPS[point.keeps_limit]
        style = {"color": colour, "markerfacecolor": colour if filled else PAPER, "markersize": 7}
        label = {} if words in labelled else {"label": words}
        labelled.add(words)
        place = (point.throughput_rps, point.p99_ms or 0.0)
        axes.plot([place[0]], [place[1]], shape, linestyle="none", **style, **label)
        noted(axes, str(point.concurrency), at=place, offset=(0, 8), ha="center", color=SOFT)


def _limit(axes: Any, capacity: Capacity | None) -> None:
    if capacity is None:
        return
    if capacity.limit_ms is not None:
        low, high = axes.get_ylim()
        axes.set_ylim(low, max(high, 1.4 * capacity.limit_ms))
        axes.axhline(capacity.limit_ms, color=LIMIT, linewidth=1.3, linestyle=(0, (5, 3)))
        words = f"SLO: p{capacity.quantile * 100:g} within {capacity.limit_ms:g} ms"
        place = {"xycoords": ("axes fraction", "data"), "color": LIMIT, "va": "bottom"}
        noted(axes, words, at=(0.01, capacity.limit_ms), offset=(0, 3), **place)


def _alt(shown: Sequence[CurvePoint], capacity: Capacity | None) -> str:
    points = (
        f"{p.concurrency} in flight: {number(round(p.throughput_rps, 1))} a second at p99 {ms(p.p99_ms)} ms"
        for p in shown
    )
    said = f" {capacity.message}" if capacity else ""
    return f"Throughput and latency of the candidate. {'; '.join(points)}.{said}"
