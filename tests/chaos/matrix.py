"""The whole matrix: undisturbed runs tell the writes, then every write is a death at every moment."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.chaos.cells import (
    Cell,
    Result,
    base_of_double_faults,
    cells_of,
    double_faults,
    shared,
    shared_end,
)
from tests.chaos.courses import COURSES, Course, Mode
from tests.chaos.workers import Workers
from tidegate.errors import UsageError

SAY_EVERY_S = 3.0
DOUBLE = "promote"  # the course whose rescues are killed too
DOUBLE_SENTENCE = "the guard of a promotion that was killed at 50 % or 100 % is killed as well"

Say = Callable[[str], None]


@dataclass
class Tally:
    """One line of the table: a course in one mode."""

    mode: Mode
    name: str
    sentence: str
    writes: int = 0
    cells: int = 0
    requests: int = 0
    failed_requests: int = 0
    failed: list[Result] = field(default_factory=list)
    slowest_s: float = 0.0

    def add(self, result: Result) -> None:
        """Count a cell."""
        self.cells += 1
        self.requests += result.requests
        self.failed_requests += result.failed_requests
        self.slowest_s = max(self.slowest_s, result.slowest_s)
        if result.trouble:
            self.failed.append(result)


class Matrix:
    """Runs the courses of one mode, and says every few seconds how far it is."""

    def __init__(
        self, mode: Mode, pool: Workers, say: Say, *, full: bool = False, every: int = 1
    ) -> None:
        self._mode, self._pool, self._say = mode, pool, say
        self._full, self._every = full, every
        self._progress = Progress(say)
        self.tallies = {c.name: Tally(mode, c.name, c.sentence) for c in COURSES}
        self.tallies["double"] = Tally(mode, "double", DOUBLE_SENTENCE)

    def run(self, courses: Sequence[Course]) -> None:
        """Every course, undisturbed and then killed at every write."""
        dry = self._undisturbed(courses)
        cells = [cell for number in range(len(dry)) for cell in self._deaths(dry, number)]
        self._all(cells[:: self._every], "every write of every course")
        bases = [c for d in dry if d.cell.course.name == DOUBLE for c in base_of_double_faults(d)]
        first = self._all(bases, "what the guard writes", counted=False)
        self.tallies["double"].writes = sum(len(result.rescue_writes) for result in first)
        doubles = [cell for result in first for cell in double_faults(result, full=self._full)]
        self._all(doubles[:: self._every], "every write of the guard")

    def _deaths(self, dry: Sequence[Result], number: int) -> Iterator[Cell]:
        """The cells of one course, but for the beginning that it has in common with an earlier one, and the
        end of the one that it joins."""
        one = dry[number]
        earlier = [
            result.writes for result in dry[:number]
            if result.cell.course.start == one.cell.course.start
        ]  # fmt: skip
        if self._full:
            return cells_of(one, beyond=0, full=True)
        joined = (r.writes for r in dry[:number] if r.cell.course.name == one.cell.course.joins)
        last = max((shared_end(one.writes, writes) for writes in joined), default=0)
        return cells_of(one, beyond=shared(one.writes, earlier), last=last, full=False)

    def one(self, name: str) -> Result:
        """The one cell of this name. Raises UsageError when there is none."""
        parts = name.split("/")
        courses = [course for course in COURSES if course.name in parts[1:2]]
        dry = self._undisturbed(courses)
        found = [
            c
            for d in dry
            for c in cells_of(d, beyond=0, full=True)
            if c.name == "/".join(parts[:4])
        ]
        if parts[4:]:
            first = self._all(found, "what the rescue writes", counted=False)
            found = [
                c for result in first for c in double_faults(result, full=True) if c.name == name
            ]
        if not found:
            names = "|".join(course.name for course in COURSES)
            raise UsageError(f"CELL={name}: unknown; <mode>/<{names}>/<write>-<moment>/<rescue>")
        return self._all(found, name)[0]

    def _undisturbed(self, courses: Sequence[Course]) -> list[Result]:
        cells = [Cell(mode=self._mode, course=course) for course in courses]
        results = self._all(cells, "undisturbed runs")
        for result in results:
            self.tallies[result.cell.course.name].writes = len(result.writes)
        return sorted(results, key=lambda result: courses.index(result.cell.course))

    def _all(self, cells: Sequence[Cell], what: str, *, counted: bool = True) -> list[Result]:
        self._say(f"{self._mode}, {what}: {len(cells)} cells")
        results = []
        for result in self._progress.over(self._pool, cells):
            results.append(result)
            if counted or result.trouble:
                name = "double" if result.cell.second else result.cell.course.name
                self.tallies[name].add(result)
        return results


class Progress:
    """A line every few seconds, and one for every failure at once."""

    def __init__(self, say: Say) -> None:
        self._say, self._began, self._said = say, time.monotonic(), 0.0
        self._done = ""

    def over(self, pool: Workers, cells: Sequence[Cell]) -> Iterator[Result]:
        """The results of the cells, told as they come."""
        self._done = f"[   0/{len(cells)}]"
        for number, result in enumerate(pool.run(cells, lambda: self._tell("working")), 1):
            self._done = f"[{number:4d}/{len(cells)}]"
            if result.trouble:
                self._say(failure(result))
            self._tell(f"{result.cell.name}, {result.requests} requests")
            yield result

    def _tell(self, news: str) -> None:
        now = time.monotonic()
        if now - self._said > SAY_EVERY_S:
            self._say(f"{self._done} {now - self._began:5.0f} s  {news}")
            self._said = now


def failure(result: Result) -> str:
    """What is needed to find out why."""
    return (
        f"FAILED {result.cell.name}: {result.cell.sentence}\n"
        f"       {result.trouble}\n"
        f"       {result.folder}; again alone: make chaos CELL={result.cell.name}"
    )
