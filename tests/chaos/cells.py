"""A cell: one course, one write, one moment, one rescue; and all the cells of a course."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from tests.chaos.courses import Course, Mode, Verb
from tests.chaos.dying import MOMENTS, SAYING, Moment


@dataclass(frozen=True, kw_only=True)
class Death:
    """At which write of a process, by its number in an undisturbed run, and when."""

    number: int
    name: str
    occurrence: int
    moment: Moment

    @property
    def kill(self) -> tuple[str, int, Moment]:
        """As the process to die is told."""
        return self.name, self.occurrence, self.moment

    @property
    def done(self) -> int:
        """The number of the last write that was done."""
        return self.number - (self.moment == "before")

    @property
    def key(self) -> str:
        """As a cell's name has it."""
        return f"{self.number}-{self.moment}"

    def __str__(self) -> str:
        return f"write {self.number} ({self.name}) {SAYING[self.moment]}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What is tried. No death: an undisturbed run, which tells the writes."""

    mode: Mode
    course: Course
    death: Death | None = None
    rescue: Verb = "guard"
    second: Death | None = None  # of the rescue itself

    @property
    def name(self) -> str:
        """What CELL= takes."""
        said = [self.mode.lower(), self.course.name]
        if self.death:
            said += [self.death.key, self.rescue]
        if self.second:
            said += [self.second.key]
        return "/".join(said)

    @property
    def sentence(self) -> str:
        """For a reader."""
        said = (
            f"{self.course.sentence}, killed at {self.death}" if self.death else "nobody is killed"
        )
        if self.second:
            return f"{said}; {self.rescue} killed at {self.second}, and run again"
        return f"{said}; then {self.rescue}"


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a cell went."""

    cell: Cell
    seconds: float
    trouble: str = ""
    writes: tuple[str, ...] = ()  # of the process that was to die
    rescue_writes: tuple[str, ...] = ()
    requests: int = 0
    failed_requests: int = 0
    slowest_s: float = 0.0
    tries: int = 1
    folder: Path | None = None


def deaths(writes: Sequence[str]) -> Iterator[Death]:
    """Every write at every moment."""
    met: Counter[str] = Counter()
    for number, name in enumerate(writes, 1):
        met[name] += 1
        for moment in MOMENTS:
            yield Death(number=number, name=name, occurrence=met[name], moment=moment)


def chosen(every: Iterable[Death], *, full: bool) -> Iterator[Death]:
    """A death with the answer unread leaves the very cluster that one right after it leaves: the writes
    take turns between these two."""
    for death in every:
        other = ("lost", "after")[death.number % 2]
        if full or death.moment != other:
            yield death


def cells_of(dry: Result, *, beyond: int, full: bool, last: int = 0) -> Iterator[Cell]:
    """Every write after the first `beyond`, before and after it x rescues that take turns; or all of it.
    The `last` writes are left out.

    What a death leaves is told by the last write that was done: the two deaths that leave the same, after
    a write and before the next, meet two rescues, and what the next two leave meets the others.
    """
    rescues = dry.cell.course.rescues
    for death in chosen(deaths(dry.writes), full=full):
        turn = (death.done + (death.moment != "before")) % len(rescues)
        if beyond < death.number <= len(dry.writes) - last:
            for rescue in rescues if full else (rescues[turn],):
                yield replace(dry.cell, death=death, rescue=rescue)


def shared(writes: Sequence[str], others: Iterable[Sequence[str]]) -> int:
    """How many writes from the first on are also those of another course: a death there is the same."""
    return max((_alike(writes, other) for other in others), default=0)


def shared_end(writes: Sequence[str], other: Sequence[str]) -> int:
    """How many writes up to the last are also those of the course that this one joins, but for the first of
    them: before it the two are not yet alike."""
    return max(0, _alike(writes[::-1], other[::-1]) - 1)


def _alike(ours: Sequence[str], theirs: Sequence[str]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))))


def double_faults(first: Result, *, full: bool) -> Iterator[Cell]:
    """The rescue of this cell, killed at every one of its writes too."""
    for death in chosen(deaths(first.rescue_writes), full=full):
        yield replace(first.cell, second=death)


def base_of_double_faults(dry: Result) -> Iterable[Cell]:
    """Two deaths whose rescue has most to do: at half of the traffic, and at all of it."""
    for wanted in ("50 %", "100 %"):
        found = [
            d for d in deaths(dry.writes)
            if d.name.startswith("PATCH") and d.name.endswith(wanted) and d.moment == "after"
        ]  # fmt: skip
        if found:
            yield replace(dry.cell, death=found[-1], rescue="guard")
