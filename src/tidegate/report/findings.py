"""Every judged number: what was seen, how surely, what is allowed, on how much, by which query."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tidegate.documents import Finding, TrafficStep, Word
from tidegate.report.tables import (
    MOST_OF_A_NAME,
    MOST_ROWS,
    Table,
    badge,
    columns,
    distilled,
    interval,
    short,
    weight,
    with_unit,
)
from tidegate.report.writing import number

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, EDGE = 110.0, 3.0  # of the drawn interval, in CSS pixels
Placing = Callable[[float | None, float], float]
RANK = {Word.FAIL: 0, Word.INVALID: 1, Word.INCONCLUSIVE: 2}
MOST_OF_A_QUERY = 400
HEAD = ("!Word", "*Objective", "#Observed", "!Interval", "#Limit", "#Samples")


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """What decided comes first."""
    return sorted(findings, key=lambda f: (not f.blocking, not f.warns, RANK.get(f.word, 3)))


def findings_table(findings: Sequence[Finding]) -> Table:
    """Of many, those that passed are left out first."""
    ordered = by_severity(findings)
    left = len(ordered) - MOST_ROWS
    words = f"{left} more findings, the least severe, are in report_document." if left > 0 else ""
    return Table(
        caption="Objectives",
        columns=columns(*HEAD),
        rows=[_row(finding) for finding in ordered[:MOST_ROWS]],
        more=words,
    )


def live_findings_table(steps: Sequence[TrafficStep]) -> Table | None:
    """What was judged of live traffic at each share, as at the look that decided; None where nothing was."""
    found = [(step.percent, one) for step in steps for one in by_severity(step.findings)]
    if not found:
        return None
    shown, more = distilled(found, "live findings")
    return Table(
        caption="Objectives of live traffic",
        columns=columns("#Share", *HEAD),
        rows=[(f"{percent} %", *_row(one)) for percent, one in shown],
        more=more,
    )


def _row(finding: Finding) -> tuple[object, ...]:
    return (
        badge(finding.word),
        _objective(finding),
        with_unit(finding.observed, finding.unit),
        _interval(finding),
        with_unit(finding.limit, finding.unit),
        number(finding.samples),
    )


def _objective(finding: Finding) -> "Markup":
    from markupsafe import Markup

    counts = weight(finding)
    soft = Markup(' <span class="soft">({})</span>').format(counts) if counts else ""
    query = Markup("<code>{}</code>").format(short(finding.query, most=MOST_OF_A_QUERY))
    named = Markup("<b>{}</b>{}<br>{}{}")
    return named.format(
        short(finding.name, most=MOST_OF_A_NAME),
        soft,
        short(finding.message),
        query if finding.query else "",
    )


def _interval(finding: Finding) -> "Markup":
    from markupsafe import Markup

    text = Markup('<span class="figures">{}</span>').format(interval(finding))
    return text + Markup(_drawn(finding))  # noqa: S704 - drawn from numbers


def _drawn(finding: Finding) -> str:
    """The interval beside its limit, each on a scale of its own; '' where there is nothing to compare."""
    bounds = (finding.lower, finding.observed, finding.upper, finding.limit)
    known = [value for value in bounds if value is not None]
    if finding.observed is None or finding.limit is None or min(known) == max(known):
        return ""
    room = 0.2 * (max(known) - min(known))
    start = min(known) - room
    scale = (WIDTH - 2 * EDGE) / (max(known) + room - start)

    def at(value: float | None, otherwise: float) -> float:
        return round(EDGE + scale * (value - start), 1) if value is not None else otherwise

    return "".join(_marks(at(finding.observed, 0), at(finding.limit, 0), *_ends(finding, at)))


def _ends(finding: Finding, at: Placing) -> tuple[float, float] | tuple[()]:
    if finding.lower is None and finding.upper is None:
        return ()
    return at(finding.lower, EDGE), at(finding.upper, WIDTH - EDGE)


def _marks(observed: float, limit: float, *ends: float) -> Iterator[str]:
    """A bar from bound to bound, a dot for what was observed, a line for the limit."""
    yield f'<svg class="interval" viewBox="0 0 {WIDTH:g} 14" aria-hidden="true">'
    if ends:
        yield f'<path class="bar" d="M{ends[0]} 7H{ends[1]}"/>'
    yield f'<path class="limit" d="M{limit} 1V13"/><circle cx="{observed}" cy="7" r="3"/></svg>'
