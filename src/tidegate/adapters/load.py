"""Sends open-loop load: requests leave when a schedule says so, whether or not answers have come back.

Latency counts from the INTENDED start, so a stall of the server shows in every request that it delayed
(coordinated omission). Threads, not asyncio: on 2 cores at 200 requests a second a thread that sleeps
until its request is due was late by 0.4 ms (p99), an event loop by 3 to 4 ms. One connection per worker,
kept alive, no retries.
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
    header_length: int = 0  # REST only


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


def send_block(
    lane: Lane, starts: Sequence[float], watch: Callable[[Measured], None], *, watch_every_s: float
) -> Measured:
    """Send one block and wait for its last answer; `watch` sees the running state now and then."""
    measured = Measured(offered=len(starts), started_s=time.time())
    cpu, begun = time.process_time(), time.perf_counter()
    work = _Work(lane=lane, starts=starts, measured=measured)
    threads = [
        threading.Thread(target=work.run, args=(connection,), daemon=True)
        for connection in lane.connections[: len(starts)]
    ]
    for thread in threads:
        thread.start()
    work.begin()
    for thread in threads:
        while thread.is_alive():
            thread.join(watch_every_s)
            if thread.is_alive():
                watch(measured)
    measured.sent.sort(key=lambda one: one.due_s)
    measured.duration_s = time.perf_counter() - begun
    measured.cpu_s = time.process_time() - cpu
    return measured


@dataclass(slots=True)
class _Work:
    """Workers take the next request of the schedule, sleep until it is due, send it."""

    lane: Lane
    starts: Sequence[float]
    measured: Measured
    begun: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    started: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = iter(range(len(self.starts)))

    def begin(self) -> None:
        """Start the clock once every worker is there; starting threads takes time of its own."""
        self.begun = time.perf_counter() + LEAD_S
        self.started.set()

    def run(self, connection: Connection) -> None:
        """One worker, until the schedule is empty."""
        self.started.wait()
        while (number := self._next()) is not None:
            sent, reply = self._one(connection, number)
            with self.lock:
                self.measured.sent.append(sent)
                if reply.revision:
                    self.measured.revisions[reply.revision] += 1

    def _next(self) -> int | None:
        with self.lock:
            return next(self.numbers, None)

    def _one(self, connection: Connection, number: int) -> tuple[Sent, Reply]:
        due = self.begun + self.starts[number]
        sent = Sent(due_s=self.starts[number])
        ahead = due - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
            sent.late_s = time.perf_counter() - due
        else:
            sent.waited_s = -ahead
        if sent.waited_s > self.lane.timeout_s:
            sent.error = f"no connection was free for {self.lane.timeout_s:g} s"
            return sent, Reply(error=sent.error)
        return sent, self._exchange(connection, number, due, sent)

    def _exchange(self, connection: Connection, number: int, due: float, sent: Sent) -> Reply:
        request = self.lane.requests[number % len(self.lane.requests)]
        actual = time.perf_counter()
        reply = connection.send(request)
        answered = time.perf_counter()
        sent.service_s, sent.error = answered - actual, reply.error
        if not sent.error and sent.service_s > self.lane.timeout_s:  # trickled in, byte by byte
            sent.error = f"no answer within {self.lane.timeout_s:g} s"
        if not sent.error:
            sent.latency_s = answered - due
            sent.wrong = self.lane.check(number, request, reply)
        return reply
