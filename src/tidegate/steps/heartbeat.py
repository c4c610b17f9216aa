"""Says every few seconds that a step still works, where the work itself cannot say so."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tidegate.steps.progress import say

EVERY_S = 4.0


@contextmanager
def beating(step: str, doing: str) -> Iterator[None]:
    """Report `doing` now, and again with the seconds so far until the block ends."""
    ended = threading.Event()
    began = time.monotonic()

    def beat() -> None:
        while not ended.wait(EVERY_S):
            say(step, f"still {doing} ({time.monotonic() - began:.0f} s)")

    thread = threading.Thread(target=beat, name=f"{step} heartbeat", daemon=True)
    say(step, doing)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
