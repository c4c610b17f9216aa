"""The processes that send load together where one core is not enough: one schedule, split among them.

Request n goes to process n modulo their number. Starts count from one instant of the monotonic clock, which
all processes of a Linux machine share, so their results merge exactly (`core.measured.merged`). With one
process everything happens in this one.
"""

import os
import pickle
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate.adapters.lanes import Way
from tidegate.adapters.load import Lane, Schedule, send_block
from tidegate.core.measured import Measured, merged
from tidegate.errors import UnavailableError

GATHER_S = 0.3  # for every process to read its part and start its threads
GRACE_S = 60.0  # beyond the schedule and one timeout, until a process counts as hung
Watch = Callable[[Measured], None]


@dataclass(slots=True)
class Fleet:
    """Sends blocks along one way; close it."""

    way: Way
    processes: int = 1
    stop: threading.Event = field(default_factory=threading.Event)
    _lane: Lane | None = None
    _children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __enter__(self) -> "Fleet":
        if self.processes == 1:
            self._lane = self.way.open()
            return self
        for part in self.way.split(self.processes):
            self._children.append(_child(part))
        for child in self._children:
            _receive(child, within_s=GRACE_S)
        return self

    def __exit__(self, *_: object) -> None:
        if self._lane:
            self._lane.close()
        for child in self._children:
            child.kill()
            child.communicate()
        self._children.clear()

    def send(self, schedule: Schedule, watch: Watch, *, watch_every_s: float) -> Measured:
        """Send one block and wait for its last answer. Raises UnavailableError when a process died."""
        if self._lane:
            return send_block(
                self._lane, schedule, watch, watch_every_s=watch_every_s, stop=self.stop
            )
        cpu, begin = time.process_time(), time.perf_counter() + GATHER_S
        parts = [_part(schedule, n, self.processes) for n in range(self.processes)]
        busy = [(c, p) for c, p in zip(self._children, parts, strict=True) if p.starts]
        for child, part in busy:
            _send(child, (part, begin))
        longest = max(schedule.starts[-1] if not schedule.closed else schedule.most_s, 0.0)
        within = GATHER_S + longest + self.way.timeout_s + GRACE_S
        running = Measured(offered=len(schedule.starts), started_s=time.time())
        self._await([child for child, _ in busy], within, lambda: watch(running), watch_every_s)
        found = [_receive(child, within_s=GRACE_S) for child, _ in busy]
        return merged(found, own_cpu_s=time.process_time() - cpu)

    def _await(
        self,
        children: list[subprocess.Popen[bytes]],
        within_s: float,
        watch: Callable[[], None],
        every_s: float,
    ) -> None:
        """Until each has something to say; a stop is passed on."""
        ends, told = time.monotonic() + within_s, False
        for child in children:
            assert child.stdout is not None
            while not select.select([child.stdout], [], [], every_s)[0]:
                if time.monotonic() > ends:
                    raise UnavailableError(f"a load process said nothing for {within_s:.0f} s")
                watch()
                if self.stop.is_set() and not told:
                    told = True
                    for other in children:
                        _send(other, "stop")


def _part(schedule: Schedule, number: int, of: int) -> Schedule:
    workers = schedule.workers
    share = None if workers is None else len(range(number, workers, of))
    return replace(
        schedule,
        starts=() if share == 0 else schedule.starts[number::of],
        workers=share,
        least_requests=-(-schedule.least_requests // of),
        first=number,
        stride=of,
    )


def _child(way: Way) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-m", "tidegate.adapters.fleet"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    _send(child, way)
    return child


def _send(child: subprocess.Popen[bytes], message: Any) -> None:
    assert child.stdin is not None
    try:
        pickle.dump(message, child.stdin)
        child.stdin.flush()
    except OSError as error:
        raise UnavailableError(
            f"a load process died ({error}); give the load test memory"
        ) from error


def _receive(child: subprocess.Popen[bytes], *, within_s: float) -> Any:
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], within_s)[0]:
        raise UnavailableError(f"a load process said nothing for {within_s:.0f} s")
    try:
        return pickle.load(child.stdout)  # noqa: S301 - written by our own child
    except (EOFError, pickle.UnpicklingError) as error:
        code = child.wait(timeout=5)
        raise UnavailableError(
            f"a load process died (exit {code}); give the load test more memory, or lower processes"
        ) from error


# -- the child


def _serve() -> None:
    """One process: its way, then blocks until the parent closes the pipe."""
    incoming, outgoing = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    lane = pickle.load(incoming).open()  # noqa: S301 - written by our own parent
    stop, orders = threading.Event(), _Orders()
    threading.Thread(target=orders.read, args=(incoming, stop), daemon=True).start()
    _answer(outgoing, "ready")
    while (order := orders.next()) is not None:
        schedule, begin_at = order
        _answer(
            outgoing,
            send_block(
                lane, schedule, lambda _: None, watch_every_s=60.0, stop=stop, begin_at=begin_at
            ),
        )


def _answer(outgoing: Any, message: Any) -> None:
    pickle.dump(message, outgoing)
    outgoing.flush()


class _Orders:
    """What the parent wants, read beside the load so that a stop gets through."""

    def __init__(self) -> None:
        self._waiting: list[Any] = []
        self._there = threading.Condition()

    def read(self, incoming: Any, stop: threading.Event) -> None:
        """Until the pipe closes, which stops the load too."""
        while True:
            try:
                order = pickle.load(incoming)  # noqa: S301 - written by our own parent
            except (EOFError, OSError):
                order = None
            if order is None or order == "stop":
                stop.set()
            if order != "stop":
                with self._there:
                    self._waiting.append(order)
                    self._there.notify()
            if order is None:
                return

    def next(self) -> Any:
        with self._there:
            self._there.wait_for(lambda: bool(self._waiting))
            return self._waiting.pop(0)


if __name__ == "__main__":
    _serve()
