"""One supervised child process: started, probed, watched, and certainly gone at the end.

Four safeguards, because a sandbox that leaves servers behind is worse than none: the kernel kills
a child whose parent died (PR_SET_PDEATHSIG), every child leads a session that ends with it, every
child and what it starts carries a marker in its environment by which leftovers are found, and a pid
is only signalled with its creation time.
"""

import contextlib
import ctypes
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tidegate.errors import RejectedError, UnavailableError

MARKER = "TIDEGATE_SANDBOX_PROCESS"
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # bound before any fork
_TAIL_BYTES = 64 * 1024


class Spawner:
    """Forks every child from one thread that lives as long as the sandbox.

    The parent-death signal is tied to the thread that forked, not to the process: a child forked
    by a worker thread would be killed when that worker ends.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="spawner", daemon=True)
        self._thread.start()

    def spawn(
        self, argv: Sequence[str], *, env: Mapping[str, str], log: Path
    ) -> subprocess.Popen[bytes]:
        """Start a program whose output goes to the end of the log file."""
        if self._closed:
            raise UnavailableError(f"{argv[0]} was not started: the sandbox is ending")
        job = _Job(argv=argv, env=env, log=log)
        self._jobs.put(job)
        return job.done.result(timeout=30)

    def close(self) -> None:
        """End the thread; children still alive die with it."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.done.set_result(_fork(job.argv, job.env, job.log))
            except (OSError, subprocess.SubprocessError) as error:
                job.done.set_exception(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    done: Future[subprocess.Popen[bytes]] = field(default_factory=Future)


def _fork(argv: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def die_with_parent() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            list(argv),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )


class Child:
    """A program under supervision, identified by pid and creation time."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        log: Path,
        spawner: Spawner,
        sandbox_id: str,
        on_exit: Callable[["Child"], None] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.stopping = False
        self.is_ready = False
        self.marker = f"{sandbox_id}/{name}"
        self._on_exit = on_exit
        self._log_start = log.stat().st_size if log.exists() else 0
        self._popen = spawner.spawn(argv, env={**env, MARKER: self.marker}, log=log)
        self.pid = self._popen.pid
        self.create_time = _create_time(self.pid)
        self._exited = threading.Event()
        threading.Thread(target=self._watch, name=f"watch-{name}", daemon=True).start()

    @property
    def is_alive(self) -> bool:
        """Whether the program itself is still running."""
        return not self._exited.is_set()

    @property
    def exit_code(self) -> int | None:
        """The exit status; negative is the signal that ended it; None while it runs."""
        return self._popen.returncode if self._exited.is_set() else None

    def last_lines(self, count: int = 20) -> list[str]:
        """The end of what this run of the program wrote."""
        return tail(self.log, count, start=self._log_start)

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait until the probe says yes; RejectedError when the program ends first."""
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            if self._exited.wait(0.05):
                last = " | ".join(self.last_lines(3))
                raise RejectedError(f"{self.name} ended with {self.exit_code}: {last}; {self.log}")
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{self.name} was not ready after {timeout_s:g} s; read {self.log}"
                )
        self.is_ready = True

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the program; False when it is still running."""
        return self._exited.wait(timeout_s)

    def stop(self, *, grace_s: float = 10.0) -> None:
        """SIGTERM, then SIGKILL after the grace; returns when it and its children are gone."""
        self.stopping = True
        if self.is_alive:
            self._popen.send_signal(signal.SIGTERM)  # Popen never signals a pid it has reaped
        if not self._exited.wait(grace_s):
            self._popen.kill()
            self._exited.wait(10)
        kill_marked(self.marker)

    def _watch(self) -> None:
        with contextlib.suppress(ChildProcessError):  # whoever signals it may reap it
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        kill_session(self.pid)
        self._popen.wait()
        self._exited.set()
        kill_marked(self.marker)  # what a crashed program had started
        if self._on_exit is not None:
            self._on_exit(self)


def tail(log: Path, count: int, *, start: int = 0) -> list[str]:
    """The last non-empty lines of a log, from a byte offset on."""
    try:
        with log.open("rb") as file:
            file.seek(max(start, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines if line.strip()][-count:]


def is_running(pid: int, create_time: float) -> bool:
    """Whether that very process still runs: a re-used pid has another creation time."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return abs(process.create_time() - create_time) < 0.5 and not zombie
    return False


def marked(marker: str) -> list[psutil.Process]:
    """Processes of this user whose environment carries the marker or a part of it (`id/…`)."""
    return [p for p in psutil.process_iter() if p.pid != os.getpid() and _carries(p, marker)]


def kill_session(leader: int) -> None:
    """SIGKILL what an ended child started in its session, though no marker can be read of it.

    The environment of a process in the middle of its exec is empty. While the leader is not reaped,
    nobody else can have its number.
    """
    _kill(process for process in psutil.process_iter() if _session(process.pid) == leader)


def kill_marked(marker: str) -> None:
    """SIGKILL whatever carries the marker; psutil checks the creation time before each.

    It waits without reaping, or nobody else would learn how a child of ours ended.
    """
    _kill(marked(marker))


def _kill(found: Iterable[psutil.Process]) -> None:
    leftovers = []
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            leftovers.append((process, process.create_time()))
            process.kill()
    deadline = time.monotonic() + 5
    while any(is_running(process.pid, born) for process, born in leftovers):
        if time.monotonic() > deadline:
            return
        time.sleep(0.01)


def _carries(process: psutil.Process, marker: str) -> bool:
    try:
        found = process.environ().get(MARKER, "")
    except (psutil.Error, OSError):
        return False
    return found == marker or found.startswith(f"{marker}/")


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _create_time(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:  # it has ended already; the watcher will say so
        return 0.0
