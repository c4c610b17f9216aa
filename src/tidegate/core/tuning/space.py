"""The grid of settings, and which of them lie beside one another."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.documents import Setting

AXES = ("max_batch_size", "instances", "threads", "queue_delay_us")
TRADES = ({"instances": -1, "threads": 1}, {"instances": 1, "threads": -1})
LARGEST_BATCH = 64
# Of the limit: a request that waits for longer than half of it has too little left to be answered in.
DELAYS = (0.0, 1 / 64, 1 / 16, 1 / 4)
OVERSUBSCRIBED = 2  # threads of all instances together, in cores; more only take turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The values of each axis in ascending order, and how many threads may run at once; 0 = any number."""

    max_batch_size: tuple[int, ...]
    instances: tuple[int, ...]
    threads: tuple[int, ...]
    queue_delay_us: tuple[int, ...]
    most_threads: int = 0

    def settings(self) -> tuple[Setting, ...]:
        """Every point of it."""
        axes = (getattr(self, axis) for axis in AXES)
        points = (_setting(values) for values in itertools.product(*axes))
        return tuple(point for point in points if self.holds(point))

    def holds(self, one: Setting) -> bool:
        """Whether it is a point of this space. A batch of one has nobody to wait for."""
        if one.max_batch_size <= 1 and one.queue_delay_us > self.queue_delay_us[0]:
            return False
        return not self.most_threads or one.instances * one.threads <= self.most_threads

    def moved(self, one: Setting, steps: dict[str, int]) -> Setting | None:
        """The setting so many grid steps away along each axis; None outside of the space."""
        values = {}
        for axis in AXES:
            line: tuple[int, ...] = getattr(self, axis)
            at = line.index(getattr(one, axis)) + steps.get(axis, 0)
            if not 0 <= at < len(line):
                return None
            values[axis] = line[at]
        moved = Setting(**values)
        return moved if self.holds(moved) else None

    def beside(self, one: Setting) -> Iterator[tuple[dict[str, int], Setting]]:
        """The neighbours, as they are tried: (steps, setting).

        Larger and smaller batches; an instance for a thread, which keeps as many cores busy; then the other
        axes, and diagonals.
        """
        single = [{axis: way} for axis in AXES for way in (1, -1)]
        double = [a | b for a, b in itertools.combinations(single, 2) if a.keys() != b.keys()]
        for steps in (*single[:2], *TRADES, *single[2:], *(d for d in double if d not in TRADES)):
            if (moved := self.moved(one, steps)) is not None:
                yield steps, moved


def _setting(values: tuple[int, ...]) -> Setting:
    return Setting(**dict(zip(AXES, values, strict=True)))


def powers(most: int) -> tuple[int, ...]:
    """1, 2, 4 ... up to most >= 1."""
    return tuple(1 << n for n in range(most.bit_length()))


def usual(*, limit_ms: float, cores: int, batches: bool, has_threads: bool, gpu: bool) -> Space:
    """The space where nobody named another: powers of two, delays as parts of the latency limit.

    On a GPU up to 8 instances of one thread each; on the CPU no more threads than twice the cores.
    """
    delays = sorted({int(1000 * limit_ms * share) for share in DELAYS})
    return Space(
        max_batch_size=powers(LARGEST_BATCH) if batches else (0,),
        instances=powers(8 if gpu else OVERSUBSCRIBED * cores),
        threads=powers(cores) if has_threads and not gpu else (1,),
        queue_delay_us=tuple(delays) if batches else (0,),
        most_threads=0 if gpu else OVERSUBSCRIBED * cores,
    )


def snapped(space: Space, wanted: Setting) -> Setting:
    """The nearest point of the space that is no larger, or the smallest there is."""
    values = {}
    for axis in AXES:
        line: tuple[int, ...] = getattr(space, axis)
        values[axis] = max((v for v in line if v <= getattr(wanted, axis)), default=line[0])
    found = Setting(**values)
    return found if space.holds(found) else space.settings()[0]
