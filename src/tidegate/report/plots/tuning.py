"""The frontier of a search: throughput and p99 of every level, and the settings that nothing beats."""

from collections.abc import Sequence
from typing import Any

from tidegate.documents import CurvePoint, Setting, Trial, Tuning
from tidegate.report.plots.drawing import (
    BAD,
    CANDIDATE,
    GOOD,
    LIMIT,
    PAPER,
    SOFT,
    alone,
    keyed,
    noted,
    plain_log_ticks,
    styled,
)
from tidegate.report.writing import ms

Place = tuple[CurvePoint, Setting]


def frontier(places: Sequence[Place]) -> tuple[Place, ...]:
    """What no other place beats in both throughput and p99, in order of throughput."""
    ordered = sorted(places, key=lambda p: (-p[0].throughput_rps, p[0].p99_ms or 0.0))
    kept: list[Place] = []
    for point, setting in ordered:
        if not kept or (point.p99_ms or 0.0) < (kept[-1][0].p99_ms or 0.0):
            kept.append((point, setting))
    return tuple(reversed(kept))


def tuning_frontier(found: Tuning) -> str:
    """An SVG file of its own: every level that was measured, the frontier, the limit and the winner."""
    places = [place for trial in found.trials for place in _places(trial)]

    def draw(figure: Any, _is_narrow: bool) -> None:
        axes = styled(figure.add_subplot())
        _levels(axes, places)
        edge = frontier(places)
        rates = [point.throughput_rps for point, _ in edge]
        line = {"color": CANDIDATE, "linewidth": 1.8, "zorder": 1}
        axes.plot(rates, [point.p99_ms for point, _ in edge], **line, label="frontier")
        _winner(axes, found)
        axes.set_yscale("log")
        axes.set_xlim(left=0)
        axes.margins(x=0.08)
        low, high = axes.get_ylim()
        axes.set_ylim(low, max(high, 1.5 * found.limit_ms))
        axes.axhline(found.limit_ms, color=LIMIT, linewidth=1.3, linestyle=(0, (5, 3)))
        words = f"SLO: p{100 * found.limit_quantile:g} within {found.limit_ms:g} ms"
        place = {"xycoords": ("axes fraction", "data"), "color": LIMIT, "va": "bottom"}
        noted(axes, words, at=(0.01, found.limit_ms), offset=(0, 3), **place)
        plain_log_ticks(axes.yaxis, *axes.get_ylim())
        axes.set_xlabel("good answers a second, closed loop")
        axes.set_ylabel("p99, ms")
        keyed(figure, axes, columns=4)

    return alone("tuning", _alt(found), draw, height=4.2)


def _places(trial: Trial) -> list[Place]:
    return [(level, trial.setting) for level in trial.levels if level.p99_ms is not None]


def _levels(axes: Any, places: Sequence[Place]) -> None:
    for keeps, shape, colour, filled, words in (
        (True, "o", GOOD, True, "keeps the limit"),
        (False, "X", BAD, False, "does not"),
    ):
        shown = [point for point, _ in places if bool(point.keeps_limit) is keeps]
        style = {"color": colour, "markerfacecolor": colour if filled else PAPER, "markersize": 6}
        if shown:
            at = ([p.throughput_rps for p in shown], [p.p99_ms for p in shown])
            axes.plot(*at, shape, linestyle="none", **style, label=words)


def _winner(axes: Any, found: Tuning) -> None:
    best = found.confirmed.best if found.confirmed else None
    if found.winner is None or best is None:
        return
    style = {"color": CANDIDATE, "markersize": 13, "linestyle": "none"}
    axes.plot([best.throughput_rps], [best.p99_ms], "*", **style, label="winner, on fresh data")
    place = {"ha": "right", "color": SOFT}
    at = (best.throughput_rps, best.p99_ms or 0.0)
    noted(axes, str(found.winner), at=at, offset=(-8, -14), **place)


def _alt(found: Tuning) -> str:
    best = found.confirmed.best if found.confirmed else None
    said = f" p99 {ms(best.p99_ms)} ms." if best else ""
    return f"Throughput and p99 of {len(found.trials)} measured settings. {found.reason}.{said}"
