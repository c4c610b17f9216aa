"""Sends load from one process: open loop, when a schedule says so, or closed loop, when an answer is in.

In an open loop latency counts from the INTENDED start, so a stall of the server shows in every request
that it delayed (coordinated omission). Threads, not asyncio: on 2 cores at 200 requests a second a thread
that sleeps until its request is due was late by 0.4 ms (p99), an event loop by 3 to 4 ms. One connection
per worker, kept alive, no retries.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tidegate.core.measured import Measured, Sent

LEAD_S = 0.02  # for the workers to wake and take their first request


def arrivals(
    kind: Literal["poisson", "constant"], *, requests: int, duration_s: float, seed: int
) -> tuple[float, ...]:
    """Intended starts in seconds, computed up front.

    Given its number, the arrivals of a Poisson process are independent and uniform over the duration
    (Ross, Stochastic Processes, theorem 2.3.1), so every block has its exact size and length.
    """
    if kind == "constant":
        return tuple(duration_s * n / requests for n in range(requests))
    drawn = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return tuple(sorted(drawn.uniform(0.0, duration_s) for _ in range(requests)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One encoded request and the golden row it was made from."""

    row: int
    body: bytes
    header_length: int = 0  # of REST's binary tensors; 0: all of it is JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back on the wire: an error in words, or the body."""

    error: str = ""
    body: bytes = b""
    header_length: int | None = None
    revision: str = ""


class Connection(Protocol):
    """One worker's way to the server."""

    def send(self, request: Request) -> Reply:
        """Send and wait for the answer, at most the timeout; never raises for what a server does."""
        ...

    def close(self) -> None:
        """Give the connection back."""


Check = Callable[[int, Request, Reply], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Where one arm's requests go: its connections, requests in a cycle, and the check of each answer."""

    connections: Sequence[Connection]
    requests: Sequence[Request]
    check: Check
    timeout_s: float

    def close(self) -> None:
        """Close every connection."""
        for connection in self.connections:
            connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What is sent: intended starts, or in a closed loop the earliest ones, and when it ends for good.

    `first` and `stride` number the requests of one of several processes that share a schedule.
    """

    starts: Sequence[float]
    closed: bool = False
    workers: int | None = None  # None: as many as there are connections
    least_s: float = 0.0  # closed loop: until that time and that many answers have passed,
    least_requests: int = 0
    most_s: float = 0.0  # or this time has
    first: int = 0
    stride: int = 1


def send_block(
    lane: Lane,
    schedule: Schedule,
    watch: Callable[[Measured], None],
    *,
    watch_every_s: float,
    stop: threading.Event | None = None,
    begin_at: float | None = None,
) -> Measured:
    """Send one block and wait for its last answer; `watch` sees the running state now and then.

    Once `stop` is set no further request leaves. `begin_at` (perf_counter, which all processes of a machine
    share) is the instant that starts count from.
    """
    measured = Measured(offered=len(schedule.starts), started_s=time.time())
    cpu, begun = time.process_time(), time.perf_counter()
    work = _Work(lane=lane, schedule=schedule, measured=measured, stop=stop or threading.Event())
    count = min(schedule.workers or len(lane.connections), len(schedule.starts))
    threads = [
        threading.Thread(target=work.run, args=(connection,), daemon=True)
        for connection in lane.connections[:count]
    ]
    for thread in threads:
        thread.start()
    work.begin(begin_at)
    for thread in threads:
        while thread.is_alive():
            thread.join(watch_every_s)
            if thread.is_alive():
                watch(measured)
    measured.sent.sort(key=lambda one: one.due_s)
    if schedule.closed or work.stop.is_set():
        measured.offered = len(measured.sent)
    measured.duration_s = time.perf_counter() - max(begun, begin_at or 0.0)
    measured.cpu_s = measured.busiest_cpu_s = time.process_time() - cpu
    return measured


@dataclass(slots=True)
class _Work:
    """Workers take the next request of the schedule, sleep until it is due, send it."""

    lane: Lane
    schedule: Schedule
    measured: Measured
    stop: threading.Event
    begun: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    started: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = iter(range(len(self.schedule.starts)))

    def begin(self, at: float | None) -> None:
        """Start the clock once every worker is there; starting threads takes time of its own."""
        self.begun = at if at is not None else time.perf_counter() + LEAD_S
        self.started.set()

    def run(self, connection: Connection) -> None:
        """One worker, until the schedule is empty or the load is stopped."""
        self.started.wait()
        while (number := self._next()) is not None:
            start = self.schedule.starts[number]
            sent = Sent(due_s=start)
            self._sleep_until(self.begun + start, sent)
            if self.stop.is_set():
                return
            reply = self._one(connection, number, sent)
            with self.lock:
                self.measured.sent.append(sent)
                if reply.revision:
                    self.measured.revisions[reply.revision] += 1

    def _next(self) -> int | None:
        with self.lock:
            return None if self.stop.is_set() or self._enough() else next(self.numbers, None)

    def _enough(self) -> bool:
        """A closed loop has gone on for long enough."""
        plan = self.schedule
        if not plan.closed:
            return False
        passed = time.perf_counter() - self.begun
        least = passed >= plan.least_s and len(self.measured.sent) >= plan.least_requests
        return least or passed >= plan.most_s

    def _sleep_until(self, due: float, sent: Sent) -> None:
        ahead = due - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
            sent.late_s = time.perf_counter() - due
        elif not self.schedule.closed:
            sent.waited_s = -ahead

    def _one(self, connection: Connection, number: int, sent: Sent) -> Reply:
        if sent.waited_s > self.lane.timeout_s:
            sent.error = f"no connection was free for {self.lane.timeout_s:g} s"
            return Reply(error=sent.error)
        return self._exchange(connection, number, self.begun + sent.due_s, sent)

    def _exchange(self, connection: Connection, number: int, due: float, sent: Sent) -> Reply:
        number = self.schedule.first + number * self.schedule.stride
        request = self.lane.requests[number % len(self.lane.requests)]
        actual = time.perf_counter()
        reply = connection.send(request)
        answered = time.perf_counter()
        sent.service_s, sent.error = answered - actual, reply.error
        if not sent.error and sent.service_s > self.lane.timeout_s:  # trickled in, byte by byte
            sent.error = f"no answer within {self.lane.timeout_s:g} s"
        if not sent.error:
            sent.latency_s = answered - (actual if self.schedule.closed else due)
            sent.wrong = self.lane.check(number, request, reply)
        return reply
