"""Knative's activator: a request of a revision without a ready pod waits here, and then goes on to one.

It works on connections and not on requests, so HTTP/1 and gRPC are alike; Envoy opens one for each request
(`max_requests_per_connection`). Unlike Knative's it stands in the way only of what may have to wait, and
keeps no pod from more requests than its `containerConcurrency`.
"""

import asyncio
import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Literal

from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.interfaces import Key

Protocol = Literal["http", "grpc"]
_POLL_S = 0.02
_CHUNK = 64 * 1024
MOST_WAITING = (
    1000  # of one revision; Knative's breaker takes 10,000 (pkg/activator/net/throttler.go)
)


class Activator:
    """One thread; a loopback port for each revision and protocol, from the first time it was held on."""

    def __init__(
        self,
        ready: Callable[[str, str], Sequence[Endpoint]],
        on_change: Callable[[], None] = lambda: None,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._ready, self._on_change, self._most = ready, on_change, most_waiting
        self._held: Mapping[Key, float] = {}
        self._limits: dict[Key, float] = {}  # seconds; of all that were ever held
        self._at: dict[Key, Endpoint] = {}
        self._waiting: Counter[Key] = Counter()
        self._servers: list[asyncio.Server] = []
        self._taken: set[asyncio.Task[None] | None] = set()  # asyncio itself keeps no task alive
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="activator", daemon=True
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End at once; what still waits gets no answer."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(timeout=5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=5)
            self._loop.close()

    def hold(self, held: Mapping[Key, float]) -> None:
        """Take the requests of these revisions and no other: revision -> the seconds that one may wait."""
        self._limits |= held
        for key in held.keys() - self._at.keys():
            self._at[key] = Endpoint(
                http=self._listen(key, "http"), grpc=self._listen(key, "grpc"), metrics=0,
                is_activator=True,
            )  # fmt: skip
        is_other = held.keys() != self._held.keys()
        self._held = dict(held)
        if is_other:
            self._on_change()

    def endpoint(self, namespace: str, name: str) -> Endpoint | None:
        """Where the requests of a revision are held; None when they are not."""
        key = (namespace, name)
        return self._at[key] if key in self._held else None

    def waiting(self) -> Mapping[Key, int]:
        """Requests that wait for a pod now."""
        return {key: count for key, count in self._waiting.copy().items() if count}

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _listen(self, key: Key, protocol: Protocol) -> int:
        """A port whose connections queue in the kernel until the loop takes them."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            self._taken.add(task)
            try:
                async with _closing(writer):
                    await self._take(key, protocol, reader, writer)
            finally:
                self._taken.discard(task)

        async def serve() -> None:
            self._servers.append(await asyncio.start_server(take, sock=listener, limit=_CHUNK))

        asyncio.run_coroutine_threadsafe(serve(), self._loop)
        port: int = listener.getsockname()[1]
        return port

    async def _take(
        self, key: Key, protocol: Protocol, reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        is_full = self._waiting[key] >= self._most
        port = None if is_full else await self._port(key, protocol)
        if port is None:
            late = f"{key[1]} had no ready pod within {self._limits[key]:g} s"
            full = f"{self._most} requests wait for {key[1]} already"
            await _refuse(writer, protocol, full if is_full else late)
        else:
            answers, server = await asyncio.open_connection("127.0.0.1", port, limit=_CHUNK)
            async with _closing(server):
                await asyncio.gather(_pump(reader, server), _pump(answers, writer))

    async def _port(self, key: Key, protocol: Protocol) -> int | None:
        """The next of the ready servers, once there is one; None when it took too long."""
        until = time.monotonic() + self._limits[key]
        self._waiting[key] += 1
        try:
            while not (ready := self._ready(*key)):
                if time.monotonic() > until:
                    return None
                await asyncio.sleep(_POLL_S)
        finally:
            self._waiting[key] -= 1
        self._turn += 1
        chosen = ready[self._turn % len(ready)]
        return chosen.entry if protocol == "http" else chosen.grpc_entry


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Either end may go at any time, which is nothing to tell."""
    try:
        with contextlib.suppress(OSError):
            yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything from one end to the other, and then that there is no more."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _refuse(writer: asyncio.StreamWriter, protocol: Protocol, why: str) -> None:
    """503 in HTTP/1; a gRPC client's Envoy takes the end of the connection for UNAVAILABLE."""
    if protocol == "grpc":
        return
    body = f"activator: {why}\n".encode()
    head = (
        f"HTTP/1.1 503 Service Unavailable\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
    )
    writer.write(head.encode() + b"\r\n" + body)
    await writer.drain()
