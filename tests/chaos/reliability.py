"""The figures of docs/reliability.md, written by the run that measured them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.cells import Result
from tests.chaos.matrix import Tally

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All courses together."""

    cells: int
    failed: int
    requests: int
    failed_requests: int

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> "Summary":
        """Added up."""
        every = list(tallies)
        return cls(
            cells=sum(t.cells for t in every),
            failed=sum(len(t.failed) for t in every),
            requests=sum(t.requests for t in every),
            failed_requests=sum(t.failed_requests for t in every),
        )

    def __str__(self) -> str:
        return (
            f"{self.cells:,} cells, {self.failed} failed; {self.requests:,} requests of the client, "
            f"{self.failed_requests} failed"
        )


def table(tallies: Sequence[Tally]) -> list[str]:
    """A Markdown table that is readable on a terminal too."""
    lines = [
        "| mode     | course        | what happens | writes | cells | failed | requests | failed |",
        "|----------|---------------|--------------|-------:|------:|-------:|---------:|-------:|",
    ]
    for t in tallies:
        figures = (t.writes, t.cells, len(t.failed), t.requests, t.failed_requests)
        shown = " | ".join(str(figure) for figure in figures)
        lines.append(f"| {t.mode:8} | {t.name:13} | {t.sentence} | {shown} |")
    return lines


def named_table(results: Sequence[tuple[str, Result]], seconds: float) -> list[str]:
    """The named cells, one a line."""
    lines = [
        "|  # | mode | what dies, and when | rescue | ended | requests | failed |",
        "|---:|------|---------------------|--------|-------|---------:|-------:|",
    ]
    for number, (sentence, result) in enumerate(results, 1):
        ended = "FAILED" if result.trouble else "ok"
        figures = f"{ended} | {result.requests} | {result.failed_requests}"
        mode, rescue = result.cell.mode, result.cell.rescue
        lines.append(f"| {number} | {mode} | {sentence} | {rescue} | {figures} |")
    failed = sum(bool(result.trouble) for _, result in results)
    requests = sum(result.requests for _, result in results)
    lost = sum(result.failed_requests for _, result in results)
    figures = f"{len(results)} cells, {failed} failed; {requests:,} requests, {lost} failed"
    return [*lines, "", f"{figures}; {seconds / 60:.0f} minutes on {os.cpu_count()} cores."]


def write_block(name: str, lines: Iterable[str], page: Path = PAGE) -> None:
    """Replace what stands between the page's two marks of this name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text().partition(begin)
    _, _, after = rest.partition(end)
    page.write_text("\n".join([before + begin, *lines, end + after]))
