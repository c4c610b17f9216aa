"""Light servers behind the real Envoy: one thread, a loopback port per revision, the v2 protocol's few calls.

A model adds its version to what it is given, so an answer tells which version gave it. How a model behaves
is written at the end of its storage URI: `.../2/` serves, `.../2-never-ready/` never comes up.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from typing import Any

import uvicorn

from tests.chaos.courses import NEVER_READY
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.interfaces import RevisionSpec, RevisionStatus

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
CRASH_PATH = "/crash"
CRASHED = RevisionStatus(phase="Failed", reason="CrashLoop", message="signal 11", exit_code=139)


class LightRevision:
    """One server; it is Ready a moment after its start."""

    def __init__(self, spec: RevisionSpec, *, ready_after_s: float) -> None:
        self.spec = spec
        self._folder = spec.storage_uri.rstrip("/").split("/")[-1]
        self._ready_at = time.monotonic() + ready_after_s
        self.has_crashed, self.is_stopped = False, False
        self._socket = socket.create_server(("127.0.0.1", 0))
        port = self._socket.getsockname()[1]
        self.endpoint = Endpoint(http=port, grpc=port, metrics=port)
        config = uvicorn.Config(
            self._app, log_config=None, access_log=False, lifespan="off", ws="none",
            interface="asgi3", proxy_headers=False,
            timeout_graceful_shutdown=2, timeout_keep_alive=3600,
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    @property
    def version(self) -> str:
        """Of the model that it serves."""
        return self._folder.partition("-")[0]

    @property
    def status(self) -> RevisionStatus:
        """As the kubelet would see it."""
        if self.is_stopped:
            return RevisionStatus(phase="Stopped")
        if self.has_crashed:
            return CRASHED
        late = time.monotonic() < self._ready_at or self._folder.endswith(NEVER_READY)
        return RevisionStatus(phase="Loading" if late else "Ready")

    async def serve(self) -> None:
        """Until `close`."""
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        """Finish the open requests, then end."""
        self._server.should_exit = True

    async def _app(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path, body = scope["path"], await _read(receive)
        if path == CRASH_PATH:  # the container that Knative looks at is gone, the port is not
            self.has_crashed = True
            await _answer(send, 200, {})
        elif self.status.phase == "Loading":
            await _answer(send, 400, {"error": "not ready"})
        elif path.endswith("/infer"):
            await _answer(send, 200, self._inferred(path.split("/")[-2], json.loads(body)))
        else:
            await _answer(send, 200, {"name": "shift", "ready": True})

    def _inferred(self, model: str, request: dict[str, Any]) -> dict[str, Any]:
        given = request["inputs"][0]
        data = [value + float(self.version) for value in given["data"]]
        output = {"name": "shifted", "datatype": "FP32", "shape": given["shape"], "data": data}
        return {"model_name": model, "model_version": self.version, "outputs": [output]}


class LightRuntime:
    """Implements RevisionRuntime; one server stands for all replicas of its revision."""

    def __init__(self, *, ready_after_s: float = 0.05, drain_s: float = 0.3) -> None:
        self._ready_after_s, self._drain_s = ready_after_s, drain_s
        self._revisions: dict[tuple[str, str], LightRevision] = {}
        self._serving: list[Future[None]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, spec: RevisionSpec) -> None:
        """Start it; a second call for a started revision changes nothing."""
        known = self._revisions.get((spec.namespace, spec.name))
        if known is None or known.is_stopped:
            revision = LightRevision(spec, ready_after_s=self._ready_after_s)
            self._revisions[spec.namespace, spec.name] = revision
            self._serving.append(asyncio.run_coroutine_threadsafe(revision.serve(), self._loop))

    def status(self, namespace: str, name: str, replica: int = 0) -> RevisionStatus:
        """Stopped for what was never started."""
        revision = self._revisions.get((namespace, name))
        return revision.status if revision else RevisionStatus(phase="Stopped")

    def stop(self, namespace: str, name: str, replica: int = 0) -> None:
        """Drain: it still answers for a moment to what was sent before it left the routes."""
        revision = self._revisions.get((namespace, name))
        if revision and not replica and not revision.is_stopped:
            revision.is_stopped = True
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_s, revision.close)

    def endpoints(self, namespace: str, name: str) -> tuple[Endpoint, ...]:
        """Where it listens."""
        revision = self._revisions.get((namespace, name))
        return (revision.endpoint,) if revision else ()

    def close(self) -> None:
        """End all."""
        for revision in self._revisions.values():
            revision.close()
        wait(self._serving, timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _answer(send: Send, code: int, content: dict[str, Any]) -> None:
    body = json.dumps(content).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": code, "headers": headers})
    await send({"type": "http.response.body", "body": body})
