"""The supervisor: a sandbox that is stopped while it starts ended well, whatever its parts said."""

import os
import signal
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from tidegate.sandbox.cluster import Sandbox
from tidegate.sandbox.supervise import hold

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Starting:
    """A sandbox in the middle of its start: a part that loses its servers raises what it likes."""

    def __init__(self, *, signalled: bool) -> None:
        self._signalled = signalled
        self.stopped = threading.Event()

    def start(self) -> None:
        if self._signalled:
            os.kill(os.getpid(), signal.SIGTERM)
            assert self.stopped.wait(10)
        raise RuntimeError("cannot schedule new futures after shutdown")

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_during_the_start_is_a_clean_end_whatever_a_part_raises() -> None:
    sandbox = Starting(signalled=True)
    hold(cast(Sandbox, sandbox))
    assert sandbox.stopped.is_set()


def test_an_error_of_the_start_itself_is_raised_and_everything_is_stopped() -> None:
    sandbox = Starting(signalled=False)
    with pytest.raises(RuntimeError, match="cannot schedule"):
        hold(cast(Sandbox, sandbox))
    assert sandbox.stopped.is_set()
