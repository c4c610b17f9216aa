"""TensorRT's progress monitor: tells how far a build is, and ends it when its time is over."""

import time
from collections.abc import Callable
from typing import Any

from tidegate.core.tensorrt.build_progress import Progress

Tell = Callable[[str, float], None]


def monitor(trt: Any, tell: Tell, until_s: float) -> Any:
    """An IProgressMonitor. `tell` gets the phases and the share done; `until_s` is of time.monotonic."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.progress = Progress()
            self.is_late = False

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.progress = self.progress.started(phase_name, parent_phase or "", num_steps)
            tell(self.progress.shown, self.progress.share)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.progress = self.progress.stepped(phase_name, step)
            tell(self.progress.shown, self.progress.share)
            self.is_late = time.monotonic() > until_s
            return not self.is_late

        def phase_finish(self, phase_name: str) -> None:
            self.progress = self.progress.finished(phase_name)

    return Monitor()
