"""Adds a row for each call that has none, with what is observed; `--all` observes every row anew.

Of the faults that are alike one is observed for each row; the tests of `make faults` judge the others.

python -m tests.faults.record [--all]
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.table import UNKNOWN, Row, cells, completed, load, save

STEPS = (
    "deploy", "gate", "await-approval", "promote", "roll-back", "guard", "sweep", "abort", "resume",
    "rollback --to",
)  # fmt: skip
PARTS = 6
RECORD = "TIDEGATE_RECORD"  # the folder that the tests write what they observe to
FAULTS = "TIDEGATE_FAULTS"  # which cells are run: all, unknown, and of those a part such as 1/4


def main(everything: bool) -> int:
    """Discover, then observe what is not known."""
    known = {row.key: row for row in load()}
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), "none", 1)
        rows = [Row(*line) for line in _lines(Path(folder), "calls")]
    first: dict[tuple[str, ...], Row] = {}
    for row in rows:
        first.setdefault(row.key, row)
    rows = sorted(first.values(), key=lambda row: STEPS.index(row.step))
    rows = [replace(known.get(row.key, row), scene=row.scene) for row in rows]
    if everything:
        rows = [replace(row, passes={}, stays={}) for row in rows]
    save(rows)
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), "unknown", PARTS)
        save(completed(row) for row in _observed(rows, _lines(Path(folder), "cells")))
    left = [str(cell) for cell in cells(load()) if cell.expected == UNKNOWN]
    print("\n".join([*left, f"{len(left)} cells broke; see the tests of them"]))
    return 1 if left else 0


def _run(folder: Path, which: str, parts: int) -> None:
    """The tests, in as many processes; most of their time is waiting."""
    command = [sys.executable, "-m", "pytest", "tests/faults/test_api_faults.py", "--tb=line"]
    started = [
        subprocess.Popen(
            command, env={**os.environ, RECORD: str(folder), FAULTS: f"{which} {part}/{parts}"}
        )
        for part in range(1, parts + 1)
    ]
    for process in started:
        process.wait()


def _lines(folder: Path, name: str) -> list[Any]:
    found = sorted(folder.glob(f"{name}-*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text().splitlines()]


def _observed(rows: Iterable[Row], lines: Iterable[Any]) -> list[Row]:
    seen = {(tuple(key), half, fault): said for key, half, fault, said in lines}

    def filled(row: Row, half: str) -> dict[str, str]:
        return {
            fault: seen.get((row.key, half, fault), row.said(half, fault)) for fault in row.faults
        }

    return [replace(row, passes=filled(row, "passes"), stays=filled(row, "stays")) for row in rows]


def is_recording() -> bool:
    """What the tests observe is written down, not judged."""
    return RECORD in os.environ


def note(name: str, line: Any) -> bool:
    """Keep what a test observed; False when nothing is being recorded."""
    folder = os.environ.get(RECORD)
    if folder:
        with Path(folder, f"{name}-{os.getpid()}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    return bool(folder)


if __name__ == "__main__":
    raise SystemExit(main("--all" in sys.argv))
