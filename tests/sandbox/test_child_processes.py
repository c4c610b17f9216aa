"""Supervised children: noticed, ended with all that they started, never another's process."""

import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.sandbox.real_servers import eventually
from tidegate.errors import RejectedError, UnavailableError, UsageError
from tidegate.sandbox import ports
from tidegate.sandbox.process import Child, Spawner, is_running, kill_marked, marked


def child(
    code: str,
    tmp_path: Path,
    spawner: Spawner,
    ended: list[Child] | None = None,
    name: str = "part",
) -> Child:
    return Child(
        name,
        [sys.executable, "-c", code],
        env=os.environ,
        log=tmp_path / f"{name}.log",
        spawner=spawner,
        sandbox_id=uuid.uuid4().hex,
        on_exit=None if ended is None else ended.append,
    )


def test_a_death_is_noticed_with_the_last_log_lines(tmp_path: Path, spawner: Spawner) -> None:
    ended: list[Child] = []
    started = child("print('one\\ntwo'); raise SystemExit(3)", tmp_path, spawner, ended)
    eventually(lambda: bool(ended))
    assert (started.is_alive, started.exit_code) == (False, 3)
    assert started.last_lines(1) == ["two"]


def test_a_child_that_ends_before_it_is_ready_says_so(tmp_path: Path, spawner: Spawner) -> None:
    started = child("raise SystemExit('no such option')", tmp_path, spawner)
    with pytest.raises(RejectedError, match=r"part ended with 1: no such option; .*part\.log"):
        started.wait_ready(lambda: False, timeout_s=60)


def test_a_child_that_never_gets_ready_is_given_up(tmp_path: Path, spawner: Spawner) -> None:
    started = child("import time; time.sleep(600)", tmp_path, spawner)
    with pytest.raises(UnavailableError, match=r"not ready after 0\.3 s"):
        started.wait_ready(lambda: False, timeout_s=0.3)
    started.stop()


def test_a_child_that_ignores_sigterm_is_killed_with_what_it_started(
    tmp_path: Path, spawner: Spawner
) -> None:
    code = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "grandchild = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(grandchild.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    started = child(code, tmp_path, spawner)
    eventually(lambda: bool(started.last_lines(1)))
    grandchild = int(started.last_lines(1)[0])
    started.stop(grace_s=0.3)
    assert started.exit_code == -signal.SIGKILL
    eventually(lambda: not psutil.pid_exists(grandchild))  # init reaps it


@pytest.mark.parametrize("end", [Child.stop, lambda one: os.kill(one.pid, signal.SIGKILL)])
def test_what_a_child_started_ends_with_it_though_no_marker_can_be_read(
    tmp_path: Path, spawner: Spawner, end: Callable[[Child], None]
) -> None:
    """As of a process in the middle of its exec: its environment is empty for a moment."""
    code = (
        "import subprocess, time\n"
        "print(subprocess.Popen(['sleep', '600'], env={}).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    started = child(code, tmp_path, spawner)
    eventually(lambda: bool(started.last_lines(1)))
    grandchild = int(started.last_lines(1)[0])
    end(started)
    eventually(lambda: not psutil.pid_exists(grandchild))  # init reaps it


def test_how_a_child_ended_is_known_though_it_was_killed_by_its_marker(
    tmp_path: Path, spawner: Spawner
) -> None:
    for number in range(15):  # one in five was reaped by the one who killed it
        started = child("import time; time.sleep(600)", tmp_path, spawner, name=f"part-{number}")
        kill_marked(started.marker)
        assert started.wait(60)
        assert started.exit_code == -signal.SIGKILL


def test_a_child_dies_with_its_supervisor(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys, time\n"
        "from tidegate.sandbox.process import Child, Spawner\n"
        "c = Child('part', ['sleep', '600'], env=os.environ, log=pathlib.Path(sys.argv[1]),\n"
        "          spawner=Spawner(), sandbox_id='orphan-test')\n"
        "print(c.pid, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    eventually(lambda: not psutil.pid_exists(pid))


def test_a_pid_of_another_birth_is_not_the_child() -> None:
    own = psutil.Process()
    assert is_running(own.pid, own.create_time())
    assert not is_running(own.pid, own.create_time() - 60)


def test_only_processes_that_carry_the_marker_are_found(tmp_path: Path, spawner: Spawner) -> None:
    started = child("import time; time.sleep(600)", tmp_path, spawner)
    assert [p.pid for p in marked(started.marker)] == [started.pid]
    assert marked(started.marker[:-1]) == []
    started.stop()
    assert marked(started.marker) == []


def test_a_program_that_is_not_there_is_an_error_of_the_caller(
    tmp_path: Path, spawner: Spawner
) -> None:
    with pytest.raises(FileNotFoundError):
        Child(
            "part",
            ["/nowhere/server"],
            env={},
            log=tmp_path / "log",
            spawner=spawner,
            sandbox_id="x",
        )


def test_free_ports_are_distinct_and_a_taken_one_is_refused_in_one_line() -> None:
    assert len({ports.free_port() for _ in range(50)}) == 50
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--mlflow-port {port}: the port is in use"):
            ports.wanted_or_free(port, flag="--mlflow-port")


def test_a_port_is_given_to_no_second_process_and_the_first_one_s_server_may_listen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = ports.free_port()
    # a process that may only take this one, and that does not know who else was given it
    monkeypatch.setattr(ports, "_RANGE", range(port, port + 500))
    monkeypatch.setattr(ports, "_handed_out", set(range(port + 1, port + 500)))
    with pytest.raises(UsageError, match="no free loopback port"):
        ports.free_port()
    with socket.create_server(("127.0.0.1", port)) as server:
        socket.create_connection(server.getsockname()).close()
