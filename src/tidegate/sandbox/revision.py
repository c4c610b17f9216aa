"""The life of one server of a revision: storage initializer, readiness, restarts with back-off, drain."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import psutil

from tidegate.errors import TidegateError
from tidegate.sandbox import model_command, packages, program, storage, triton_command
from tidegate.sandbox.container import Container
from tidegate.sandbox.endpoint import new_endpoint
from tidegate.sandbox.interfaces import RevisionSpec, RevisionStatus
from tidegate.sandbox.process import Child, Spawner, kill_marked

_POLL_S = 0.05
_MEMORY_POLL_S = 0.25
_LOAD_FAILED = ("failed to load", "failed to poll", "UNAVAILABLE", "error: creating server")
_PORT_TAKEN = (
    "Socket '127.0.0.1",
    "already in use",
    "failed to start HTTP",
    "failed to start GRPC",
)


class Revision:
    """One server of a revision and its thread; every public call returns at once, except join."""

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
        address: Callable[[str], str],
        after: "Revision | None" = None,
    ) -> None:
        self.spec = spec
        self.log = log
        self.since = time.time()
        self.endpoint = new_endpoint(spec)
        self.status = RevisionStatus(phase="Pending")
        self._models = directory / "models"
        self._directory = directory
        self._backends = backends
        self._claims = claims
        self._spawner = spawner
        self._sandbox_id = sandbox_id
        self._back_off_s = back_off_s
        self._on_change = on_change
        self._address = address
        self._after = after
        self._stop = threading.Event()
        self._drain_s, self._grace_s = 0.0, 15.0
        self._next_memory_look, self._is_out_of_memory = 0.0, False
        self._containers = self._of_pod()
        self._thread = threading.Thread(
            target=self._live, name=f"kubelet-{spec.server}", daemon=True
        )
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

    @property
    def child(self) -> Child | None:
        """The pod's main process, the model's server where there is one; None before it is started."""
        return self._containers[0].child

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of its containers; none while one of them does not run."""
        running = [one.child.pid for one in self._containers if one.child and one.is_alive]
        return tuple(running) if len(running) == len(self._containers) else ()

    def _of_pod(self) -> list[Container]:
        model = Container(
            name="", spawn=self._spawn, url=lambda: _url(self.endpoint.http, "/v2/health/ready")
        )
        wanted, found = self.spec.program, [model] if self.spec.has_model else []
        if wanted is None:
            return found
        own = Container(
            name=wanted.container,
            spawn=self._spawn_program,
            url=lambda: _url(self.endpoint.entry, wanted.ready_path or "/"),
            any_answer=not wanted.ready_path,
        )
        return [*found, own]

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
        if not self.spec.has_model:
            return True
        while not self._stop.is_set():
            self._set(phase="Initializing")
            try:
                storage.initialize(self.spec.storage_uri, self._models, claims=self._claims)
                packages.readable(self._models)
            except (TidegateError, OSError, ValueError) as error:
                self._fail("StorageInitializerFailed", str(error), exit_code=1)
                self._pause()
            else:
                return True
        return False

    def _run(self) -> None:
        self._set(phase="Loading", reason="", message="", exit_code=None, restarts=0)
        while not self._stop.is_set():
            for one in self._containers:
                one.ensure()
            was_ready = self._await_ready()
            while not (ended := self._ended()) and not self._stop.wait(_POLL_S):
                self._limit_memory()
            if ended is None or self._stop.is_set():
                return
            self._crashed(ended, was_ready=was_ready)
            self._pause()

    def _ended(self) -> Container | None:
        return next((one for one in self._containers if not one.is_alive), None)

    def _spawn(self) -> Child:
        marker = f"{self.spec.namespace}.{self.spec.server}"
        argv, env = model_command.of(
            self.spec, self.endpoint, models=self._models, backends=self._backends,
            prefix=triton_command.shared_memory_prefix(self._sandbox_id, marker),
        )  # fmt: skip
        return Child(
            f"revision/{marker}", argv, env=env, log=self.log, spawner=self._spawner,
            sandbox_id=self._sandbox_id,
        )  # fmt: skip

    def _spawn_program(self) -> Child:
        wanted, known = self.spec.program, self.endpoint.of_pod(self.spec)
        assert wanted is not None
        return Child(
            f"program/{self.spec.namespace}.{self.spec.server}",
            program.arguments(wanted, known, self._address),
            env=program.environment(self.spec, wanted, known, self._address),
            log=log_of(self.log, wanted.container) if self.spec.has_model else self.log,
            spawner=self._spawner,
            sandbox_id=self._sandbox_id,
        )

    def _await_ready(self) -> bool:
        with httpx.Client(timeout=1.0, trust_env=False) as client:
            while self._ended() is None and not self._stop.is_set():
                if all(one.look(client) for one in self._containers):
                    self._set(phase="Ready", reason="", message="", container="")
                    return True
                self._stop.wait(_POLL_S)
                self._limit_memory()
        return False

    def _limit_memory(self) -> None:
        """What the kernel does at the limit of a cgroup: SIGKILL, and the kubelet says OOMKilled."""
        child = self.child
        if child is None or self.spec.memory_bytes is None:
            return
        if time.monotonic() < self._next_memory_look:
            return
        self._next_memory_look = time.monotonic() + _MEMORY_POLL_S
        if resident_bytes(child.pid) > self.spec.memory_bytes:
            self._is_out_of_memory = True
            kill_marked(child.marker)

    def _crashed(self, ended: Container, *, was_ready: bool) -> None:
        message = ended.last_words()
        load_failed = not was_ready and any(word in message for word in _LOAD_FAILED)
        if any(word in message for word in _PORT_TAKEN):
            self._move()
        reason = "ModelLoadFailed" if load_failed and not ended.name else "CrashLoop"
        if self._is_out_of_memory and ended is self._containers[0]:
            reason, self._is_out_of_memory = "OutOfMemory", False
        self._fail(reason, message, exit_code=ended.exit_code, container=ended.name)

    def _move(self) -> None:
        """Somebody took a port while a server was down: all of the pod gets others."""
        self._end_all()
        self.endpoint = new_endpoint(self.spec)

    def _end_all(self) -> None:
        for one in reversed(self._containers):  # who sends requests goes before who answers them
            if one.child is not None and one.is_alive:
                one.child.stop(grace_s=self._grace_s)

    def _fail(
        self, reason: str, message: str, *, exit_code: int | None, container: str = ""
    ) -> None:
        self._set(
            phase="Failed", reason=reason, message=message, exit_code=exit_code,
            restarts=self.status.restarts + 1, container=container,
        )  # fmt: skip

    def _pause(self) -> None:
        self._stop.wait(self._back_off_s[min(self.status.restarts, len(self._back_off_s)) - 1])

    def _end(self) -> None:
        if any(one.is_alive for one in self._containers):
            time.sleep(self._drain_s)  # requests sent before it left the routes
            self._end_all()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._set(phase="Stopped", reason="", message="")

    def _set(self, **changes: object) -> None:
        before = self.status
        self.status = replace(before, **changes)  # type: ignore[arg-type]
        if before.phase != self.status.phase:
            self.since = time.time()
            self._on_change()


def log_of(log: Path, container: str) -> Path:
    """Where a container beside the model's writes."""
    return log.with_name(f"{log.stem}.{container}.log")


def resident_bytes(pid: int) -> int:
    """Memory of a process and what it started; 0 when it is gone."""
    try:
        server = psutil.Process(pid)
        return sum(int(p.memory_info().rss) for p in (server, *server.children(recursive=True)))
    except psutil.Error:
        return 0


def _url(port: int, path: str) -> str:
    return f"http://127.0.0.1:{port}{path}"
