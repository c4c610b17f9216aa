"""What a table of the page is made of; cells are text, which is escaped, or markup of our own making."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tidegate.documents import Finding, Word
from tidegate.report.writing import UNKNOWN, number

if TYPE_CHECKING:
    from markupsafe import Markup

T = TypeVar("T")

SIGNS = {
    Word.PASS: "✓",
    Word.FAIL: "✕",
    Word.INCONCLUSIVE: "?",
    Word.INVALID: "!",
    Word.UNCHANGED: "=",
}
MOST_ROWS = 40
MOST_CHARACTERS = 500
MOST_OF_A_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """kind: number is right-aligned; short never wraps where there is room; wide takes what is left."""

    label: str
    kind: Literal["number", "short", "wide", "text"] = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A caption for who cannot see the heading above, columns, rows of cells, and what was left out."""

    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    more: str = ""


def columns(*labels: str) -> tuple[Column, ...]:
    """`#name` is a number, `!name` short, `*name` wide, any other text."""
    kinds: dict[str, Literal["number", "short", "wide"]] = {
        "#": "number",
        "!": "short",
        "*": "wide",
    }
    return tuple(
        Column(label=label[1:], kind=kinds[label[0]]) if label[0] in kinds else Column(label=label)
        for label in labels
    )


def distilled(items: Sequence[T], what: str, *, most: int = MOST_ROWS) -> tuple[Sequence[T], str]:
    """The first few and the last, and words for what is between."""
    if len(items) <= most:
        return items, ""
    head = most // 4
    tail = most - head
    left = len(items) - most
    words = f"{left} more {what} lie between the first {head} and the last {tail}; report_document has all."
    return (*items[:head], *items[-tail:]), words


def short(text: str, *, most: int = MOST_CHARACTERS) -> str:
    """Long words are cut, and seen to be."""
    return (
        text
        if len(text) <= most
        else f"{text[:most].rstrip()} … ({len(text) - most} more characters)"
    )


def badge(word: Word) -> "Markup":
    """The word with its sign; colour only repeats what both say."""
    from markupsafe import Markup

    made = Markup('<span class="word {}"><span aria-hidden="true">{}</span> {}</span>')
    return made.format(word.value.lower(), SIGNS[word], word.value)


def with_unit(value: float | None, unit: str) -> str:
    """A number and its unit, on one line; unknown has none."""
    return (
        number(value)
        if value is None or not unit
        else f"{number(value)}\N{NO-BREAK SPACE}{unit[:16]}"
    )


def weight(finding: Finding) -> str:
    """What its word counts for; '' where it decides."""
    if finding.blocking:
        return ""
    return "a warning, not blocking" if finding.warns else "not blocking"


def interval(finding: Finding) -> str:
    """lower to upper; a side without a bound is open."""
    if finding.lower is None and finding.upper is None:
        return UNKNOWN
    low = "…" if finding.lower is None else number(finding.lower)
    high = "…" if finding.upper is None else number(finding.upper)
    return f"{low} to {high}"
