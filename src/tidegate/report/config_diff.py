"""What changes in the texts that KServe and Triton read, as a diff that says + and - in words of one sign."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidegate.documents import ConfigText
from tidegate.report.tables import short

CONTEXT = 2
MOST_LINES = 120
MOST_OF_A_LINE = 300
KINDS: dict[str, Literal["add", "del", "hunk"]] = {"+": "add", "-": "del", "@": "hunk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line, with its sign."""

    kind: Literal["add", "del", "hunk", "same"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One text of both; `note` says what the lines are, or why there are none."""

    name: str
    note: str
    lines: tuple[Line, ...]
    more: str = ""


def differences(configs: Sequence[ConfigText]) -> list[Difference]:
    """One for each text."""
    return [_difference(config) for config in configs]


def _difference(config: ConfigText) -> Difference:
    if config.candidate is None:
        note = (
            "The candidate's could not be read." if config.incumbent else "Neither could be read."
        )
        return Difference(name=config.name, note=note, lines=())
    if config.incumbent is None:
        note = "The candidate's; there is none of the incumbent to compare with."
        return _shown(config.name, note, [f" {line}" for line in config.candidate.splitlines()])
    if config.incumbent == config.candidate:
        return Difference(name=config.name, note="Both are the same.", lines=())
    old, new = config.incumbent.splitlines(), config.candidate.splitlines()
    lines = list(difflib.unified_diff(old, new, lineterm="", n=CONTEXT))[2:]
    count = {sign: sum(line.startswith(sign) for line in lines) for sign in "+-"}
    note = f"- {count['-']} lines of the incumbent, + {count['+']} of the candidate."
    return _shown(config.name, note, lines)


def _shown(name: str, note: str, lines: Sequence[str]) -> Difference:
    left = len(lines) - MOST_LINES
    more = f"{left} more lines are in report_document." if left > 0 else ""
    kept = tuple(
        Line(kind=KINDS.get(line[:1], "same"), text=short(line, most=MOST_OF_A_LINE))
        for line in lines[:MOST_LINES]
    )
    return Difference(name=name, note=note, lines=kept, more=more)
