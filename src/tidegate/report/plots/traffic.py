"""The candidate's share of production over time, every look at it with its word, and live p99."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.documents import LiveLook, TrafficStep, Word
from tidegate.report.plots.drawing import (
    CANDIDATE,
    LIMIT,
    LINE,
    PAPER,
    SOFT,
    WORD_MARK,
    keyed,
    noted,
    picture,
    styled,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """What there is to draw; times are Unix seconds."""

    shares: tuple[tuple[float, int], ...]  # the candidate's percent from then on
    load_test: tuple[float, float] | None = None
    steps: tuple[TrafficStep, ...] = ()
    limit_ms: float | None = None  # of p99

    @property
    def looks(self) -> tuple[tuple[int, LiveLook], ...]:
        """(percent, look) of every step; one without looks has been seen once, when it ended."""
        return tuple((s.percent, look) for s in self.steps for look in s.looks or (_end(s),))

    def minutes(self, moment: float) -> float:
        """Since the first act."""
        return (moment - self.shares[0][0]) / 60


def _end(step: TrafficStep) -> LiveLook:
    return LiveLook(at_s=step.at_s, word=step.word, requests=step.requests, p99_ms=step.p99_ms)


def traffic_timeline(line: Timeline) -> str:
    """The share as steps, the looks as marks on it; below, p99 at each look where it is known."""
    measured = [(look.at_s, look.p99_ms) for _, look in line.looks if look.p99_ms is not None]

    def draw(figure: Any, is_narrow: bool) -> None:
        two = len(measured) > 1
        heights = {"height_ratios": (3, 2)} if two else {}
        panels = figure.subplots(2 if two else 1, sharex=True, squeeze=False, **heights)[:, 0]
        _shares(styled(panels[0]), line, is_narrow)
        if two:
            _latencies(styled(panels[1]), line, measured)
        panels[-1].set_xlabel("minutes since the first act")
        keyed(figure, panels[0], columns=3 if is_narrow else 6)

    height = 3.6 if len(measured) > 1 else 2.4
    return picture("traffic", _alt(line), draw, height=height, narrow_height=height)


def _shares(axes: Any, line: Timeline, is_narrow: bool) -> None:
    at = [line.minutes(moment) for moment, _ in line.shares]
    percents = [percent for _, percent in line.shares]
    if line.load_test is not None:
        low, high = map(line.minutes, line.load_test)
        axes.axvspan(low, high, color=LINE, alpha=0.6, linewidth=0)
        place = {"xycoords": ("data", "axes fraction"), "ha": "center", "va": "top", "color": SOFT}
        noted(
            axes,
            "load" if is_narrow else "load test",
            at=((low + high) / 2, 1),
            offset=(0, -3),
            **place,
        )
    axes.step(at, percents, where="post", color=CANDIDATE, linewidth=2.2)
    axes.fill_between(at, percents, step="post", color=CANDIDATE, alpha=0.13, linewidth=0)
    _marks(axes, line)
    axes.set_ylim(-6, 112)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    axes.set_ylabel("candidate's share")


def _marks(axes: Any, line: Timeline) -> None:
    for word in Word:
        seen = [(line.minutes(k.at_s), percent) for percent, k in line.looks if k.word is word]
        if seen:
            style = {"markersize": 6, "linestyle": "none", "clip_on": False}
            axes.plot(*zip(*seen, strict=True), **style, **WORD_MARK[word], label=word.value)


def _latencies(axes: Any, line: Timeline, measured: Sequence[tuple[float, float]]) -> None:
    at = [line.minutes(moment) for moment, _ in measured]
    values = [value for _, value in measured]
    style = {"linewidth": 1, "marker": "o", "markersize": 3.5, "markerfacecolor": PAPER}
    axes.plot(at, values, color=CANDIDATE, **style)
    top = max([*values, line.limit_ms or 0.0]) * 1.45
    if line.limit_ms is not None:
        axes.axhline(line.limit_ms, color=LIMIT, linewidth=1.3, linestyle=(0, (5, 3)))
        place = {"xycoords": ("axes fraction", "data"), "color": LIMIT, "va": "bottom"}
        noted(axes, f"SLO: {line.limit_ms:g} ms", at=(0.01, line.limit_ms), offset=(0, 4), **place)
    axes.set_ylim(0, top or 1)
    axes.set_ylabel("live p99, ms")


def _alt(line: Timeline) -> str:
    ends = (f"{s.word.value} at {s.percent} %" for s in line.steps)
    said = ", ".join(ends) or "no step was judged"
    return f"The candidate's share of production over time: {said}."
