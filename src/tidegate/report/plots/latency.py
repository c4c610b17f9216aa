"""How long the answers took: the whole distribution of both arms, and every block in its turn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.documents import Arm, ArmSummary, Block
from tidegate.report.plots.drawing import (
    ARM_COLOUR,
    ARM_DASHES,
    INK,
    LIMIT,
    keyed,
    noted,
    picture,
    plain_log_ticks,
    styled,
)
from tidegate.report.writing import ms

TAIL = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)
POINTS = 300  # per curve: more cannot be seen, and 20 000 would make a page of megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """A line that an SLO draws: so many of the requests must be this fast."""

    quantile: float
    limit_ms: float


def latency_curve(arms: Sequence[ArmSummary], limits: Sequence[LatencyLimit]) -> str:
    """The share of requests answered within a time; the scale of shares stretches the tail."""
    shown = [arm for arm in arms if arm.latencies_ms]

    def draw(figure: Any, is_narrow: bool) -> None:
        axes = styled(figure.add_subplot())
        for arm in shown:
            times, heights = _tail(arm.latencies_ms)
            style = {"color": ARM_COLOUR[arm.arm], "linestyle": ARM_DASHES[arm.arm]}
            axes.step(times, heights, where="post", linewidth=2, label=arm.arm.value, **style)
        _scaled(axes, max((len(arm.latencies_ms) for arm in shown), default=1))
        _draw_limits(axes, limits, is_narrow)
        axes.set_xlabel("latency from the intended start, ms")
        axes.set_ylabel("answered within")
        keyed(figure, axes, columns=2)

    alt = "Share of requests answered within a time. " + " ".join(map(_said, shown))
    return picture("latency", alt, draw, height=3.5, narrow_height=3.3)


def _said(arm: ArmSummary) -> str:
    times = f"p50 {ms(arm.p50_ms)}, p95 {ms(arm.p95_ms)}, p99 {ms(arm.p99_ms)} ms"
    return f"{arm.arm.value.capitalize()}: {times}."


def _scaled(axes: Any, longest: int) -> None:
    ticks = [share for share in TAIL if 1 - share >= 0.9 / longest]
    axes.set_xscale("log")
    axes.set_ylim(0, _stretched(1 - 0.5 / longest) * 1.04)
    axes.set_yticks([_stretched(share) for share in ticks], [f"{s * 100:g} %" for s in ticks])


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


def _draw_limits(axes: Any, limits: Sequence[LatencyLimit], is_narrow: bool) -> None:
    low, high = axes.get_xlim()
    low, high = (
        min([low, *(0.9 * one.limit_ms for one in limits)]),
        max([high, *(1.15 * one.limit_ms for one in limits)]),
    )
    axes.set_xlim(low, high)
    plain_log_ticks(axes.xaxis, low, high)
    for n, limit in enumerate(limits):
        axes.axvline(limit.limit_ms, color=LIMIT, linewidth=1.3, linestyle=(0, (5, 3)))
        axes.plot([limit.limit_ms], [_stretched(limit.quantile)], "D", markersize=6, color=LIMIT)
        left = limit.limit_ms > (low * high) ** 0.5  # where there is more room on a log scale
        share = f"{limit.quantile * 100:g} %"
        words = f"SLO: {share} within {limit.limit_ms:g} ms"
        noted(
            axes,
            f"{share} ≤ {limit.limit_ms:g} ms" if is_narrow else words,
            at=(limit.limit_ms, 0),
            offset=(-6 if left else 6, 8 + 15 * n),
            xycoords=("data", "axes fraction"),
            ha="right" if left else "left",
            color=LIMIT,
        )


def block_quantiles(blocks: Sequence[Block]) -> str:
    """p50 (filled) and p99 (hollow) of every block, in the order in which they ran."""
    ordered = sorted(blocks, key=lambda block: block.started_s)

    def draw(figure: Any, is_narrow: bool) -> None:
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes = styled(figure.add_subplot())
        for arm in Arm:
            for name, filled in (("p50", True), ("p99", False)):
                _dots(axes, ordered, arm, name, filled, 4 if is_narrow else 5.5)
        axes.set_yscale("log")
        axes.set_xlim(0.4, len(ordered) + 0.6)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(_few))
        axes.tick_params(which="both", labelcolor=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.set_xlabel("block, in the order of the run")
        axes.set_ylabel("ms")
        keyed(figure, axes, columns=2 if is_narrow else 4)

    alt = f"Median and p99 of each of {len(ordered)} blocks, candidate and baseline by turns."
    return picture("blocks", alt, draw, height=2.9, narrow_height=3.1)


def _dots(
    axes: Any, ordered: Sequence[Block], arm: Arm, name: str, filled: bool, size: float
) -> None:
    at = [(n, getattr(b, f"{name}_ms")) for n, b in enumerate(ordered, 1) if b.arm is arm]
    known = [(n, value) for n, value in at if value is not None]
    if not known:
        return
    face = ARM_COLOUR[arm] if filled else "none"
    shape = "o" if arm is Arm.CANDIDATE else "s"
    style = {"color": ARM_COLOUR[arm], "markerfacecolor": face, "markersize": size}
    axes.plot(*zip(*known, strict=True), shape, **style, label=f"{arm.value} {name}")


def _few(value: float, _: int) -> str:
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""
