"""SIGTERM: the act at hand is finished, production goes back to the incumbent, the guard does the rest.

Kubernetes gives a pod 30 s between SIGTERM and SIGKILL, which is enough for one patch and not for a repair.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tidegate.core.decisions import Act
from tidegate.core.journal import ActKind
from tidegate.core.traffic import rules_of
from tidegate.errors import TidegateError, UnavailableError

if TYPE_CHECKING:
    from tidegate.steps.traffic_driver import Driver

_asked: list[int] = []


class StoppedError(UnavailableError):
    """SIGTERM came; the release is not over, and whoever finds its journal may end it."""


@contextmanager
def finishing_acts() -> Iterator[None]:
    """SIGTERM stops between two acts instead of within one."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; elsewhere nobody sends us signals
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: _asked.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _asked.clear()


def stop_if_asked() -> None:
    """Raise StoppedError when SIGTERM came."""
    if _asked:
        raise StoppedError("stopped by SIGTERM between two acts; run guard to return the traffic")


@contextmanager
def retreating(driver: "Driver") -> Iterator[None]:
    """A promotion that is told to stop takes its share back before it goes."""
    try:
        yield
    except StoppedError as stop:
        said = take_share_back(driver)
        raise StoppedError(f"stopped by SIGTERM: {said}; run guard to repair the spec") from stop


def take_share_back(driver: "Driver") -> str:
    """The first act of a return, when it is one patch of the percent; what came of it."""
    try:
        seen = driver.service.look()
        first = rules_of(driver.journal).next_for_return(seen, driver.journal, 0)
        if not isinstance(first, Act) or (first.kind, first.percent) != (ActKind.SHIFT, 0):
            return "there is no share that one patch could take back"
        driver.act(first, seen)
    except TidegateError as error:
        return f"the share could not be taken back ({error})"
    return "the share of the candidate is 0 %"
