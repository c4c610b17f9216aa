"""The life of one revision: storage initializer, server, readiness, restarts with back-off, drain."""

import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import psutil

from tidegate.errors import TidegateError
from tidegate.sandbox import ports, storage, triton_command
from tidegate.sandbox.interfaces import RevisionSpec, RevisionStatus
from tidegate.sandbox.process import Child, Spawner, kill_marked

_POLL_S = 0.05
_MEMORY_POLL_S = 0.25
_ERROR = re.compile(r"E\d{4} |error: |.*(unrecognized|[Uu]sage:)")
_LOAD_FAILED = ("failed to load", "failed to poll", "UNAVAILABLE", "error: creating server")
_PORT_TAKEN = (
    "Socket '127.0.0.1",
    "already in use",
    "failed to start HTTP",
    "failed to start GRPC",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Loopback ports of one revision; they stay the same over restarts."""

    http: int
    grpc: int
    metrics: int


class Revision:
    """One revision and its thread; every public call returns at once, except join."""

    def __init__(
        self,
        spec: RevisionSpec,
        *,
        directory: Path,
        backends: Path,
        log: Path,
        claims: Mapping[str, Path],
        spawner: Spawner,
        sandbox_id: str,
        back_off_s: tuple[float, ...],
        on_change: Callable[[], None],
        after: "Revision | None" = None,
    ) -> None:
        self.spec = spec
        self.log = log
        self.since = time.time()
        self.child: Child | None = None
        self.endpoint = _new_endpoint()
        self.status = RevisionStatus(phase="Pending")
        self._models = directory / "models"
        self._directory = directory
        self._backends = backends
        self._claims = claims
        self._spawner = spawner
        self._sandbox_id = sandbox_id
        self._back_off_s = back_off_s
        self._on_change = on_change
        self._after = after
        self._stop = threading.Event()
        self._drain_s, self._grace_s = 0.0, 15.0
        self._next_memory_look, self._is_out_of_memory = 0.0, False
        self._thread = threading.Thread(target=self._live, name=f"kubelet-{spec.name}", daemon=True)
        self._thread.start()

    @property
    def is_stopping(self) -> bool:
        """Whether stop was called."""
        return self._stop.is_set()

    def stop(self, *, drain_s: float, grace_s: float = 15.0) -> None:
        """End it after the drain, in the background; it is killed when the grace is over."""
        self._drain_s, self._grace_s = drain_s, grace_s
        self._stop.set()

    def join(self) -> None:
        """Wait until server and files are gone."""
        self._thread.join(timeout=30)

    def _live(self) -> None:
        if self._after is not None:  # its own earlier life still has the folder
            self._after.join()
        try:
            if self._initialize():
                self._run()
        finally:
            self._end()

    def _initialize(self) -> bool:
        """Fetch the model, again and again with back-off, as an init container is restarted."""
        while not self._stop.is_set():
            self._set(phase="Initializing")
            try:
                storage.initialize(self.spec.storage_uri, self._models, claims=self._claims)
            except (TidegateError, OSError, ValueError) as error:
                self._fail("StorageInitializerFailed", str(error), exit_code=1)
                self._pause()
            else:
                return True
        return False

    def _run(self) -> None:
        self._set(phase="Loading", reason="", message="", exit_code=None, restarts=0)
        while not self._stop.is_set():
            child = self.child = self._spawn()
            was_ready = self._await_ready(child)
            while not child.wait(_POLL_S) and not self._stop.is_set():
                self._limit_memory(child)
            if self._stop.is_set():
                return
            self._crashed(child, was_ready=was_ready)
            self._pause()

    def _spawn(self) -> Child:
        ends = self.endpoint
        marker = f"{self.spec.namespace}.{self.spec.name}"
        argv = triton_command.arguments(
            models=self._models,
            backends=self._backends,
            ports=(ends.http, ends.grpc, ends.metrics),
            prefix=triton_command.shared_memory_prefix(self._sandbox_id, marker),
            extra=self.spec.args,
        )
        return Child(
            f"revision/{marker}",
            argv,
            env=triton_command.environment(self.spec.env),
            log=self.log,
            spawner=self._spawner,
            sandbox_id=self._sandbox_id,
        )

    def _await_ready(self, child: Child) -> bool:
        url = f"http://127.0.0.1:{self.endpoint.http}/v2/health/ready"
        with httpx.Client(timeout=1.0, trust_env=False) as client:
            while child.is_alive and not self._stop.is_set():
                if answers(client, url):
                    self._set(phase="Ready", reason="", message="")
                    return True
                child.wait(_POLL_S)
                self._limit_memory(child)
        return False

    def _limit_memory(self, child: Child) -> None:
        """What the kernel does at the limit of a cgroup: SIGKILL, and the kubelet says OOMKilled."""
        if self.spec.memory_bytes is None or time.monotonic() < self._next_memory_look:
            return
        self._next_memory_look = time.monotonic() + _MEMORY_POLL_S
        if resident_bytes(child.pid) > self.spec.memory_bytes:
            self._is_out_of_memory = True
            kill_marked(child.marker)

    def _crashed(self, child: Child, *, was_ready: bool) -> None:
        message = "\n".join(telling(child.last_lines(400)))
        load_failed = not was_ready and any(word in message for word in _LOAD_FAILED)
        if any(word in message for word in _PORT_TAKEN):
            self.endpoint = _new_endpoint()  # somebody took a port while the server was down
        reason = "ModelLoadFailed" if load_failed else "CrashLoop"
        if self._is_out_of_memory:
            reason, self._is_out_of_memory = "OutOfMemory", False
        self._fail(reason, message, exit_code=child.exit_code)

    def _fail(self, reason: str, message: str, *, exit_code: int | None) -> None:
        restarts = self.status.restarts + 1
        self._set(
            phase="Failed", reason=reason, message=message, exit_code=exit_code, restarts=restarts
        )

    def _pause(self) -> None:
        self._stop.wait(self._back_off_s[min(self.status.restarts, len(self._back_off_s)) - 1])

    def _end(self) -> None:
        if self.child is not None and self.child.is_alive:
            time.sleep(self._drain_s)  # requests sent before it left the routes
            self.child.stop(grace_s=self._grace_s)
        shutil.rmtree(self._directory, ignore_errors=True)
        self._set(phase="Stopped", reason="", message="")

    def _set(self, **changes: object) -> None:
        before = self.status
        self.status = replace(before, **changes)  # type: ignore[arg-type]
        if before.phase != self.status.phase:
            self.since = time.time()
            self._on_change()


def answers(client: httpx.Client, url: str) -> bool:
    """Whether the URL answers 200 now."""
    try:
        return client.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def resident_bytes(pid: int) -> int:
    """Memory of a process and what it started; 0 when it is gone."""
    try:
        server = psutil.Process(pid)
        return sum(int(p.memory_info().rss) for p in (server, *server.children(recursive=True)))
    except psutil.Error:
        return 0


def telling(lines: Sequence[str], count: int = 12) -> list[str]:
    """The lines that say why Triton ended: its errors, or the last ones without the tables."""
    errors = [line for line in lines if _ERROR.match(line) and "CudaDriverHelper" not in line]
    return (errors or [line for line in lines if not line.startswith(("|", "+"))])[-count:]


def _new_endpoint() -> Endpoint:
    return Endpoint(http=ports.free_port(), grpc=ports.free_port(), metrics=ports.free_port())
