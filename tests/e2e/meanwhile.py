"""What goes on in a thread of its own while a story's block runs."""

import threading
from typing import Self


class Meanwhile:
    """`_run` begins with the block, and returns soon after `_stop` is set, at the block's end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        raise NotImplementedError
