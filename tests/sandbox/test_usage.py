"""What servers use, from their processes: all that a container started, over a window of its own life."""

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import psutil
import pytest

from tidegate.sandbox.interfaces import Usage
from tidegate.sandbox.usage import ProcessMeter, between, look

# Each line read burns 0.2 s of CPU in a grandchild of the meter, as a stub of Triton's would.
BURNER = """
import sys, time
while sys.stdin.readline():
    until = time.process_time() + 0.2
    while time.process_time() < until: pass
    print("done", flush=True)
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURNER!r}])"
WAITING = f"""
import subprocess, sys
while line := sys.stdin.readline():
    subprocess.run([sys.executable, "-c", {BURNER!r}], input=line, text=True, capture_output=True)
    print("done", flush=True)
"""  # says so when what it started has ended
KEY = ("default", "digits-blue-predictor-abc")


@pytest.fixture
def program() -> str:
    return PARENT


@pytest.fixture
def server(program: str) -> Iterator["subprocess.Popen[str]"]:
    argv = [sys.executable, "-c", program]
    found = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with found:
        yield found
        assert found.stdin is not None
        found.stdin.close()
        found.wait(10)


@pytest.fixture
def burn(server: "subprocess.Popen[str]") -> Callable[[], None]:
    def act() -> None:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write("more\n")
        server.stdin.flush()
        assert server.stdout.readline() == "done\n"

    return act


def used_while(burn: Callable[[], None], server: "subprocess.Popen[str]") -> Usage:
    """Of the server, by two looks that are said to be 10 s apart; 0.2 s of CPU are spent between them."""
    before = look([server.pid], 100.0)
    burn()
    after = look([server.pid], 110.0)
    assert before is not None
    assert after is not None
    used = between(before, after)
    assert used is not None
    assert 0.018 < used.cpu_cores < 0.2
    return used


def test_the_seconds_of_what_a_container_started_are_its_own(
    server: "subprocess.Popen[str]", burn: Callable[[], None]
) -> None:
    burn()
    used = used_while(burn, server)
    assert (used.at_s, used.window_s) == (110.0, 10.0)
    assert used.memory_bytes > psutil.Process(server.pid).memory_info().rss


@pytest.mark.parametrize("program", [WAITING])
def test_the_seconds_of_what_has_ended_stay_its_own(
    server: "subprocess.Popen[str]", burn: Callable[[], None]
) -> None:
    used_while(burn, server)


def test_what_was_started_again_or_has_lost_a_process_is_not_known_for_a_window(
    server: "subprocess.Popen[str]",
) -> None:
    found = look([server.pid], 100.0)
    assert found is not None
    later = replace(found, at_s=110.0)
    assert between(None, later) is None
    assert between(found, replace(later, processes=frozenset({(1, 2.0)}))) is None
    assert between(found, replace(later, cpu_s=found.cpu_s - 1)) is None
    assert between(found, found) is None
    assert between(found, later) is not None


def test_a_process_that_is_not_there_is_not_known() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as ended:
        ended.wait(10)
    assert look([ended.pid], 100.0) is None


def test_only_servers_of_followed_templates_are_looked_at(
    server: "subprocess.Popen[str]", burn: Callable[[], None]
) -> None:
    meter = ProcessMeter(lambda: {(*KEY, 0): [server.pid], ("default", "other", 0): [server.pid]})
    meter.follow([KEY])
    meter.look()
    assert meter.usage(*KEY) is None  # one look is no window
    burn()
    meter.look()
    used = meter.usage(*KEY)
    assert used is not None
    assert used.cpu_cores > 0
    assert meter.usage(*KEY, 1) is None
    assert meter.usage("default", "other") is None
    meter.follow([])
    meter.look()
    assert meter.usage(*KEY) is None


def test_a_look_that_fails_makes_unknown_what_was_known_until_the_next_ones(
    server: "subprocess.Popen[str]",
) -> None:
    broken = threading.Event()

    def running() -> dict[tuple[str, str, int], list[int]]:
        if broken.is_set():
            raise OSError(errno.EMFILE, "Too many open files")
        return {(*KEY, 0): [server.pid]}

    meter = ProcessMeter(running, resolution_s=0.02)
    meter.follow([KEY])
    meter.start()
    for is_broken in (False, True, False):
        broken.set() if is_broken else broken.clear()
        until = time.monotonic() + 30
        while (meter.usage(*KEY) is None) != is_broken and time.monotonic() < until:
            time.sleep(0.01)
        assert (meter.usage(*KEY) is None) == is_broken
    meter.close()
