"""How every plot is drawn: inline SVG in the page's own colours and font, wide and narrow.

matplotlib is used without pyplot: no global figure, no backend, no window. Colours are written as
placeholders and replaced by CSS variables, so a plot follows light, dark and print; text stays text.
A phone gets a drawing of its own: a wide one scaled down could not be read.
"""

import re
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from typing import Any

from tidegate.documents import Arm, Word

COLOURS = {
    "#010203": "var(--ink)",
    "#010204": "var(--soft)",
    "#010205": "var(--line)",
    "#010206": "var(--candidate)",
    "#010207": "var(--baseline)",
    "#010208": "var(--limit)",
    "#010209": "var(--paper)",
    "#01020a": "var(--good)",
    "#01020b": "var(--bad)",
    "#01020c": "var(--doubt)",
    "#01020d": "var(--broken)",
    "#01020e": "var(--calm)",
}
INK, SOFT, LINE, CANDIDATE, BASELINE, LIMIT, PAPER, GOOD, BAD, DOUBT, BROKEN, CALM = COLOURS
ARM_COLOUR = {Arm.CANDIDATE: CANDIDATE, Arm.BASELINE: BASELINE}
ARM_DASHES = {Arm.CANDIDATE: "-", Arm.BASELINE: (0, (4, 1.5))}
# Shape and colour: neither alone carries the word.
WORD_MARK = {
    Word.PASS: {"marker": "o", "color": GOOD},
    Word.FAIL: {"marker": "X", "color": BAD},
    Word.INCONCLUSIVE: {"marker": "o", "color": DOUBT, "markerfacecolor": PAPER},
    Word.INVALID: {"marker": "D", "color": BROKEN, "markerfacecolor": PAPER},
    Word.UNCHANGED: {"marker": "s", "color": CALM},
}
WIDE, NARROW = 9.2, 4.3  # inches of 72 units; a phone shows 4.3 at about its own size
TEXT, SMALL = 9.5, 8.5

Draw = Callable[[Any, bool], None]


def picture(name: str, alt: str, draw: Draw, *, height: float, narrow_height: float) -> str:
    """Both drawings; CSS shows one. `draw(figure, is_narrow)`; `alt` says what a reader would see."""
    kinds = (("wide", WIDE, height), ("narrow", NARROW, narrow_height))
    return "".join(
        f'<div class="{kind}">{_drawn(f"{name}-{kind}", alt, draw, size, kind == "narrow")}</div>'
        for kind, *size in kinds
    )


# The page's light colours, for a drawing that is a file of its own.
LIGHT = {
    "ink": "#1a2130", "soft": "#566074", "line": "#dde2ea", "candidate": "#1c64d9", "baseline": "#8a5c00",
    "limit": "#b3261e", "paper": "#fff", "good": "#14683a", "bad": "#b3261e", "doubt": "#855500",
    "broken": "#67399c", "calm": "#46546b", "sans": "sans-serif",
}  # fmt: skip


def alone(name: str, alt: str, draw: Draw, *, height: float) -> str:
    """One drawing as an SVG file, in the page's light colours."""
    text = _drawn(name, alt, draw, (WIDE, height), False)
    text = re.sub(r"var\(--(\w+)\)", lambda found: LIGHT[found[1]], text)
    background = f'<rect width="100%" height="100%" fill="{LIGHT["paper"]}"/>'
    return re.sub(r"(<svg [^>]*>)", rf"\1{background}", text, count=1) + "\n"


def _drawn(name: str, alt: str, draw: Draw, size: Sequence[float], is_narrow: bool) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,  # no id that another plot of the page might have too
        "font.size": TEXT,
        "legend.fontsize": SMALL,
        "axes.labelsize": SMALL,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(size[0], size[1]), layout="constrained")
        draw(figure, is_narrow)
        out = StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    return _own(out.getvalue(), alt)


def _own(text: str, alt: str) -> str:
    """The <svg> element alone, in the page's colours and font."""
    text = text[text.index("<svg") :]
    text = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", text)
    text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px var(--sans)", text)
    for placeholder, variable in COLOURS.items():
        text = text.replace(placeholder, variable)
    return text


def styled(axes: Any) -> Any:
    """Axes as all plots have them: two spines, a quiet grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(SOFT)
    axes.tick_params(which="both", color=SOFT, labelcolor=INK)
    axes.xaxis.label.set_color(SOFT)
    axes.yaxis.label.set_color(SOFT)
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def noted(
    axes: Any, text: str, *, at: tuple[float, float], offset: tuple[float, float], **more: Any
) -> None:
    """A label in points from a place, on the paper's own colour so that lines do not cross it."""
    axes.annotate(
        text,
        xy=at,
        xytext=offset,
        textcoords="offset points",
        fontsize=SMALL,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.2, "alpha": 0.85},
        **more,
    )


def keyed(figure: Any, axes: Any, *, columns: int) -> None:
    """The legend above the plot, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, frameon=False, loc="outside upper left", ncols=columns, labelcolor=INK,
            handletextpad=0.5, columnspacing=1.4, borderpad=0, borderaxespad=0.1,
        )  # fmt: skip


def plain_log_ticks(axis: Any, low: float, high: float) -> None:
    """1, 2, 5, 10 instead of powers; fewer where many decades are shown."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
