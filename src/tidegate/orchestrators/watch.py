"""Shows the steps of a local run as they go: which step, how long, what it waits for."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEARTBEAT_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The first error a step reported."""

    step: str
    error: str
    message: str
    exit_code: int


class Watch:
    """Follows the progress file of a run; never silent for longer than HEARTBEAT_S."""

    def __init__(self, path: Path, *, quiet: bool = False) -> None:
        self.path = path
        self.release_id = ""
        self.failure: Failure | None = None
        self.seconds: dict[str, float] = {}
        self.said: dict[str, str] = {}  # the last words of each step
        self.due = ""  # what a scheduled run's trigger has decided
        self._quiet = quiet
        self._offset = 0
        self._began = time.monotonic()
        self._spoke = self._began
        self.step = "start"
        self._last = "starting the pipeline"
        self._starts: dict[str, float] = {}

    def show(self) -> None:
        """Print what is new; repeat what is being waited for when nothing is."""
        for event in self._new_events():
            self._take(event)
        if time.monotonic() - self._spoke > HEARTBEAT_S:
            self.line(f"{self.step:<10} still: {self._last}")

    def line(self, text: str) -> None:
        """Print one line with the run's age."""
        self._spoke = time.monotonic()
        if not self._quiet:
            sys.stderr.write(f"{self._spoke - self._began:7.1f}s  {text}\n")
            sys.stderr.flush()

    def _new_events(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            file.seek(self._offset)
            complete, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(complete) + len(newline)
        return [json.loads(line) for line in complete.splitlines() if line]

    def _take(self, event: dict[str, Any]) -> None:
        self.step, self._last = event["step"].replace("_", "-"), event["message"]
        self.release_id = event.get("release_id") or self.release_id
        self.due = event.get("due") or self.due
        if "error" in event and self.failure is None:
            self.failure = Failure(
                step=self.step,
                error=event["error"],
                message=event["message"],
                exit_code=event["exit_code"],
            )
        if event["message"] not in {"started", "finished"}:
            self.said[self.step] = event["message"]
        self.line(f"{self.step:<10} {self._timed(event)}")

    def _timed(self, event: dict[str, Any]) -> str:
        message: str = event["message"]
        if message == "started":
            self._starts[self.step] = event["at_s"]
        if message == "finished" and self.step in self._starts:
            self.seconds[self.step] = event["at_s"] - self._starts[self.step]
            words = [event[key] for key in ("verdict", "outcome") if event.get(key)]
            return " ".join([f"finished in {self.seconds[self.step]:.1f} s", *words])
        return message
