"""A cell: one course, one write, one moment, one rescue; and all the cells of a course."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

from tests.chaos.actors import Verb
from tests.chaos.courses import Course, Mode
from tests.chaos.dying import MOMENTS, SAYING, Moment

RESCUES: tuple[Verb, ...] = ("guard", "resume", "sweep")


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


def cells_of(dry: Result, *, beyond: int, full: bool) -> Iterator[Cell]:
    """Every write after the first `beyond` x every moment; the rescues in a Latin square, or all of them.

    In the square every write meets all three rescues over its three moments, and every moment meets all
    three over three writes.
    """
    for death in deaths(dry.writes):
        turn = (death.number + MOMENTS.index(death.moment)) % len(RESCUES)
        if death.number > beyond:
            for rescue in RESCUES if full else (RESCUES[turn],):
                yield replace(dry.cell, death=death, rescue=rescue)


def shared(writes: Sequence[str], others: Iterable[Sequence[str]]) -> int:
    """How many writes from the first on are also those of another course: a death there is the same."""
    return max((_alike(writes, other) for other in others), default=0)


def _alike(ours: Sequence[str], theirs: Sequence[str]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(ours, theirs, strict=False))))


def double_faults(first: Result) -> Iterator[Cell]:
    """The rescue of this cell, killed at every one of its writes too."""
    for death in deaths(first.rescue_writes):
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
