"""The page's plots as inline SVG, in the page's own colours, so that they follow light and dark.

matplotlib is used without pyplot: no global figure, no backend, no window. Colours are written as
placeholders and replaced by CSS variables; text stays text, in the page's font.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from tidegate.documents import Arm, ArmSummary, Block

COLOURS = {
    "#010203": "var(--ink)",
    "#010204": "var(--soft)",
    "#010205": "var(--line)",
    "#010206": "var(--candidate)",
    "#010207": "var(--baseline)",
    "#010208": "var(--limit)",
    "#010209": "var(--paper)",
}
INK, SOFT, LINE, CANDIDATE, BASELINE, LIMIT, PAPER = COLOURS
ARM_COLOUR = {Arm.CANDIDATE: CANDIDATE, Arm.BASELINE: BASELINE}
TAIL = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)
POINTS = 400  # per curve: more cannot be seen, and 20 000 would make a page of megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """A line that an SLO draws: so many of the requests must be this fast."""

    quantile: float
    limit_ms: float


def latency_curve(arms: Sequence[ArmSummary], limits: Sequence[LatencyLimit]) -> str:
    """The share of requests answered within a time; the scale of shares stretches the tail."""
    figure, axes = _figure(height=3.4)
    shown = [arm for arm in arms if arm.latencies_ms]
    for arm in shown:
        times, heights = _tail(arm.latencies_ms)
        colour = ARM_COLOUR[arm.arm]
        axes.step(times, heights, where="post", color=colour, linewidth=1.8, label=arm.arm.value)
    longest = max((len(arm.latencies_ms) for arm in shown), default=1)
    ticks = [share for share in TAIL if 1 - share >= 0.9 / longest]
    axes.set_xscale("log")
    axes.set_ylim(0, _stretched(1 - 0.5 / longest) * 1.04)
    axes.set_yticks([_stretched(share) for share in ticks], [f"{s * 100:g} %" for s in ticks])
    _draw_limits(axes, limits)
    _plain_log_ticks(axes)
    axes.set_xlabel("latency from the intended start, ms")
    axes.set_ylabel("answered within")
    axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    return _svg(figure, f"Share of requests answered within a time, {_names(shown)}")


def _tail(latencies_ms: Sequence[float]) -> tuple[list[float], list[float]]:
    """Points of the empirical distribution, dense where the stretched scale is."""
    ordered = sorted(latencies_ms)
    count = len(ordered)
    ranks = {round(count * (1 - 10 ** (-4.5 * i / POINTS))) for i in range(POINTS)}
    kept = sorted({min(rank, count - 1) for rank in ranks} | {count - 1})
    times = [max(ordered[rank], 1e-3) for rank in kept]
    return times, [_stretched((rank + 0.5) / count) for rank in kept]


def _stretched(share: float) -> float:
    from math import log10

    return -log10(1 - share)


def _draw_limits(axes: Any, limits: Sequence[LatencyLimit]) -> None:
    low, high = axes.get_xlim()
    for n, limit in enumerate(limits):
        axes.axvline(limit.limit_ms, color=LIMIT, linewidth=1.2, linestyle=(0, (5, 3)))
        axes.plot([limit.limit_ms], [_stretched(limit.quantile)], "D", markersize=5, color=LIMIT)
        left = limit.limit_ms > (low * high) ** 0.5  # where there is more room on a log scale
        axes.annotate(
            f"SLO: {limit.quantile * 100:g} % within {limit.limit_ms:g} ms",
            xy=(limit.limit_ms, 0),
            xycoords=("data", "axes fraction"),
            xytext=(-7 if left else 7, 12 + 16 * n),
            textcoords="offset points",
            ha="right" if left else "left",
            color=LIMIT,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5},
            fontsize=9,
        )


def _plain_log_ticks(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    narrow = high / low < 100
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def block_quantiles(blocks: Sequence[Block]) -> str:
    """p50 (filled) and p99 (hollow) of every block, in the order in which they ran."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, axes = _figure(height=2.8)
    ordered = sorted(blocks, key=lambda block: block.started_s)
    for arm in Arm:
        for name, filled in (("p50", True), ("p99", False)):
            at = [(n, getattr(b, f"{name}_ms")) for n, b in enumerate(ordered, 1) if b.arm is arm]
            known = [(n, ms) for n, ms in at if ms is not None]
            if known:
                face = ARM_COLOUR[arm] if filled else "none"
                style = {"color": ARM_COLOUR[arm], "markerfacecolor": face, "markersize": 5}
                label = f"{arm.value} {name}"
                axes.plot(*zip(*known, strict=True), "o", **style, label=label)
    axes.set_yscale("log")
    axes.set_xlim(0.4, len(ordered) + 0.6)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(FuncFormatter(_few))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("block, in the order of the run")
    axes.set_ylabel("ms")
    handles = axes.get_legend_handles_labels()
    figure.legend(*handles, frameon=False, loc="outside upper right", ncols=4, labelcolor=INK)
    return _svg(figure, "p50 and p99 of each block")


def _few(value: float, _: int) -> str:
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def traffic_steps(
    points: Sequence[tuple[float, int]], load_test: tuple[float, float] | None
) -> str:
    """The candidate's share of production over time; points are (Unix time, percent from then on)."""
    figure, axes = _figure(height=2.0)
    began = points[0][0]
    at = [(moment - began) / 60 for moment, _ in points]
    shares = [percent for _, percent in points]
    if load_test is not None:
        low, high = ((moment - began) / 60 for moment in load_test)
        axes.axvspan(low, high, color=LINE, alpha=0.7, linewidth=0)
        centre = {"xy": ((low + high) / 2, 1), "xycoords": ("data", "axes fraction")}
        place = {"xytext": (0, -12), "textcoords": "offset points", "ha": "center"}
        axes.annotate("load test", **centre, **place, color=SOFT, fontsize=9)
    axes.step(at, shares, where="post", color=CANDIDATE, linewidth=2.2)
    axes.fill_between(at, shares, step="post", color=CANDIDATE, alpha=0.15, linewidth=0)
    axes.set_ylim(-4, 108)
    axes.set_yticks([0, 50, 100], ["0 %", "50 %", "100 %"])
    axes.set_xlabel("minutes since the first act")
    axes.set_ylabel("candidate's share")
    return _svg(figure, "The candidate's share of production over time")


def _names(arms: Sequence[ArmSummary]) -> str:
    return " and ".join(arm.arm.value for arm in arms) or "no answers"


def _figure(*, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, height), layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(which="both", color=SOFT, labelcolor=INK)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Any, title: str) -> str:
    """The figure as an <svg> element without ids that another plot of the page might have too."""
    import matplotlib as mpl

    out = StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", text)
    text = re.sub(r"<svg ", f'<svg role="img" aria-label="{title}" ', text, count=1)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: (\d+)px [^;\"]*", r"font: \1px var(--sans)", text)
    for placeholder, variable in COLOURS.items():
        text = text.replace(placeholder, variable)
    return text
