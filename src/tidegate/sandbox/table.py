"""What `tidegate sandbox status` shows: what the supervisor wrote, checked against the processes."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from tidegate.sandbox.process import is_running
from tidegate.sandbox.state import Part, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One part now."""

    name: str
    pid: int
    ports: dict[str, int]
    state: str
    uptime_s: float
    rss_mb: float
    log: str
    detail: str


def rows(state: State) -> list[Row]:
    """The supervisor and its parts; one whose process is gone is DEAD whatever was written."""
    supervisor = Part(
        name="supervisor",
        state=state.phase,
        pid=state.pid,
        create_time=state.create_time,
        since=state.since,
    )
    return [_row(part) for part in (supervisor, *state.parts)]


def document(state: State, shown: Sequence[Row]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "phase": state.phase,
        "tidegate": state.tidegate,
        "environment": state.environment,
        "parts": [asdict(row) for row in shown],
    }


def text(shown: Sequence[Row]) -> str:
    """Columns, and below them the last log lines of what is dead or failed."""
    head = ("part", "pid", "port", "state", "uptime", "rss")
    lines = [head, *(_cells(row) for row in shown)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    columns = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    details = [f"\n{row.name}: {row.detail}\n  log: {row.log}" for row in shown if row.detail]
    return "\n".join([*(line.rstrip() for line in columns), *details])


def _row(part: Part) -> Row:
    alive = is_running(part.pid, part.create_time) if part.pid else False
    # A revision's server is restarted by its kubelet: its phase says more than the pid of a moment.
    infrastructure = "/" not in part.name
    dead = infrastructure and part.pid != 0 and not alive
    return Row(
        name=part.name,
        pid=part.pid,
        ports=part.ports,
        state="DEAD" if dead else part.state,
        uptime_s=round(time.time() - part.since, 1) if alive and part.since else 0.0,
        rss_mb=_rss_mb(part.pid) if alive else 0.0,
        log=part.log,
        detail=part.detail,
    )


def _cells(row: Row) -> tuple[str, ...]:
    ports = ",".join(map(str, row.ports.values()))
    return (
        row.name,
        str(row.pid or "-"),
        ports or "-",
        row.state,
        f"{row.uptime_s:.0f} s",
        f"{row.rss_mb:.0f} MB",
    )


def _rss_mb(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        return round(float(psutil.Process(pid).memory_info().rss) / 1e6, 1)
    return 0.0
