"""What the three commands do: start a supervisor and wait for it, end it, report on it."""

import contextlib
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args

import psutil

from tidegate import __version__
from tidegate.errors import (
    ConflictError,
    RejectedError,
    TidegateError,
    UnavailableError,
    UsageError,
)
from tidegate.sandbox import table, triton_command
from tidegate.sandbox.process import is_running, kill_marked, marked, tail
from tidegate.sandbox.queue_proxy import Era
from tidegate.sandbox.state import REMEDY, Holder, Mode, State, StateDirectory, explanation

Wanted = Mapping[str, int | None]
_START_S = 180.0
_HEARTBEAT_S = 4.0
_FULL_BYTES = 64 * 1024


def up(root: Path, *, ports: Wanted, era: str, mode: str | None, foreground: bool) -> None:
    """Start a sandbox and return when it is ready; join one that runs."""
    if era not in get_args(Era):
        raise UsageError(f"--era {era}: unknown; use one of {', '.join(get_args(Era))}")
    if mode is not None and mode not in get_args(Mode):
        raise UsageError(f"--mode {mode}: unknown; use one of {', '.join(get_args(Mode))}")
    directory = StateDirectory(root)
    directory.create()
    if directory.is_held():
        _say(_summary(directory, _join(directory, ports, mode), "joined"))
    elif foreground:
        _in_foreground(directory, _arguments(directory, ports, era, mode))
    else:
        arguments = _arguments(directory, ports, era, mode)
        _say(_summary(directory, _detached(directory, arguments), "ready"))


def down(root: Path) -> None:
    """End a sandbox and whatever it left; says so when there was nothing to do."""
    directory = StateDirectory(root)
    holder = directory.holder()
    if holder is None:
        if directory.is_held():
            state = directory.read()
            raise ConflictError(
                f"{directory.root} is held by a sandbox of another tidegate; end its supervisor "
                f"with `kill {state.pid if state else '<pid of tidegate.sandbox.supervise>'}`"
            )
        _say(f"no sandbox in {directory.root}")
        return
    _end_supervisor(holder)
    kill_marked(holder.sandbox_id)
    triton_command.remove_shared_memory(holder.sandbox_id)
    _verify_gone(directory, holder)
    _say(f"sandbox in {directory.root} is down")


def status(root: Path, *, as_json: bool) -> None:
    """Print the table; UnavailableError when the sandbox or a part of it is not running."""
    directory = StateDirectory(root)
    state = directory.read()
    if state is None or state.phase == "Stopped":
        if as_json:
            _say(json.dumps({"phase": "Stopped", "parts": []}))
        raise UnavailableError(
            f"no sandbox runs in {directory.root}; `tidegate sandbox up` starts one"
        )
    if state.phase == "Failed":
        raise UnavailableError(f"the sandbox did not start: {state.message}")
    rows = table.rows(state)
    _say(json.dumps(table.document(state, rows), indent=1) if as_json else table.text(rows))
    if not is_running(state.pid, state.create_time):
        raise UnavailableError(f"the supervisor of {directory.root} is dead; {REMEDY}")
    dead = [row.name for row in rows if row.state == "DEAD"]
    if dead:
        raise UnavailableError(f"dead: {', '.join(dead)}; {REMEDY}")


def _join(directory: StateDirectory, ports: Wanted, mode: str | None) -> State:
    """The running sandbox, once it is ready and if it is one to join."""
    state = _await(directory, lambda s: is_running(s.pid, s.create_time), supervisor=None)
    if state.tidegate != __version__:
        raise ConflictError(f"tidegate {state.tidegate} holds {directory.root}; {REMEDY}")
    dead = [row.name for row in table.rows(state) if row.state == "DEAD"]
    if dead:
        raise ConflictError(f"the sandbox in {directory.root} lost {', '.join(dead)}; {REMEDY}")
    if mode not in {None, state.mode}:
        raise ConflictError(f"a sandbox runs with --mode {state.mode}, not {mode}; {REMEDY}")
    for part, port in ports.items():
        if port is not None and port not in _ports_of(state, part):
            raise ConflictError(f"a sandbox runs with another --{part}-port than {port}; {REMEDY}")
    return state


def _ports_of(state: State, part: str) -> list[int]:
    name = {"ingress": "envoy", "kubernetes": "kubernetes-api"}.get(part, part)
    return [port for row in state.parts if row.name == name for port in row.ports.values()]


def _detached(directory: StateDirectory, arguments: Sequence[str]) -> State:
    """A supervisor in a session of its own; it is ended again when this command is interrupted."""
    directory.forget_unreadable()
    with (directory.logs / "supervisor.log").open("ab") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "tidegate.sandbox.supervise", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        with _sigterm_interrupts():
            return _await(directory, lambda s: s.pid == supervisor.pid, supervisor=supervisor)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            _say("interrupted; ending what was started ...")
        supervisor.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(30)
        supervisor.kill()
        raise


def _in_foreground(directory: StateDirectory, arguments: Sequence[str]) -> None:
    """Replaces this process by the supervisor, so that signals reach it and nobody else."""
    _say(f"sandbox in {directory.root}; Ctrl-C ends it")
    os.execv(sys.executable, [sys.executable, "-m", "tidegate.sandbox.supervise", *arguments])  # noqa: S606


def _arguments(directory: StateDirectory, ports: Wanted, era: str, mode: str | None) -> list[str]:
    flags = [f"--{part}-port={port}" for part, port in ports.items() if port is not None]
    flags += ["--mode", mode] if mode else []
    return ["--state", str(directory.root), "--era", era, *flags]


def _await(
    directory: StateDirectory,
    is_ours: Callable[[State], bool],
    *,
    supervisor: "subprocess.Popen[bytes] | None",
) -> State:
    """Wait for Ready and say what is going on; the supervisor's own error when it fails."""
    began = said = time.monotonic()
    shown: set[str] = set()
    while True:
        state = directory.read()
        if state is not None and is_ours(state):
            said = _show(state, shown, began) or said
            if state.phase == "Ready":
                return state
            if state.phase == "Failed":
                raise _failure(state)
        _check_alive(directory, supervisor)
        now = time.monotonic()
        if now - began > _START_S:
            raise UnavailableError(f"not ready after {_START_S:g} s; read {directory.logs}")
        if now - said > _HEARTBEAT_S:
            said = now
            _say(f"{now - began:5.1f} s  waiting for {_missing(state)}")
        time.sleep(0.1)


def _check_alive(
    directory: StateDirectory,
    supervisor: "subprocess.Popen[bytes] | None",
) -> None:
    if supervisor is not None and supervisor.poll() is not None:
        raise _ended(directory, directory.read(), supervisor)
    if supervisor is None and not directory.is_held():
        raise UnavailableError(f"the sandbox in {directory.root} ended; try again")


def _show(state: State, shown: set[str], began: float) -> float | None:
    news = [p.name for p in state.parts if p.state == "Running" and p.name not in shown and p.ports]
    shown.update(news)
    if not news:
        return None
    _say(f"{time.monotonic() - began:5.1f} s  started {', '.join(news)}")
    return time.monotonic()


def _missing(state: State | None) -> str:
    waiting = [part.name for part in state.parts if part.state == "Starting"] if state else []
    return ", ".join(waiting) or "the supervisor"


def _ended(
    directory: StateDirectory, state: State | None, supervisor: "subprocess.Popen[bytes]"
) -> TidegateError:
    if (
        state is not None
        and state.pid == supervisor.pid
        and state.phase == "Failed"
        and state.message
    ):
        return _failure(state)
    if shutil.disk_usage(directory.root).free < _FULL_BYTES:  # too full even for its last words
        return explanation(OSError(errno.ENOSPC, "full"), directory.root)
    last = tail(directory.logs / "supervisor.log", 1)
    line = last[0].partition(" ")[2] if last else "no word"
    for kind in (UsageError, ConflictError, RejectedError):
        if supervisor.returncode == kind.exit_code:
            return kind(line)
    return UnavailableError(f"the supervisor ended with {supervisor.returncode}: {line}")


def _failure(state: State) -> TidegateError:
    for kind in (UsageError, ConflictError, RejectedError):
        if state.exit_code == kind.exit_code:
            return kind(state.message)
    return UnavailableError(state.message)


def _end_supervisor(holder: Holder, timeout_s: float = 30.0) -> None:
    if not is_running(holder.pid, holder.create_time):
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(holder.pid)
        process.terminate()
        began = time.monotonic()
        while is_running(holder.pid, holder.create_time):
            if time.monotonic() - began > timeout_s:
                process.kill()
            time.sleep(0.05)


def _verify_gone(directory: StateDirectory, holder: Holder) -> None:
    deadline = time.monotonic() + 10
    while directory.is_held() or marked(holder.sandbox_id):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"something still runs in {directory.root}; read {directory.logs}"
            )
        time.sleep(0.1)
    directory.forget_unreadable()
    state = directory.read()
    if state is not None and state.phase != "Stopped":
        state.phase, state.parts, state.environment = "Stopped", [], {}
        directory.write(state)


def _summary(directory: StateDirectory, state: State, word: str) -> str:
    lines = [f"sandbox {word}: {directory.root}"]
    lines += [f"  {name:24} {value}" for name, value in state.environment.items()]
    lines += [f"  {'logs':24} {directory.logs}", f"  for a shell: source {directory.env_file}"]
    return "\n".join(lines)


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
