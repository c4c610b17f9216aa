"""A component run alone, and what it gave."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMPONENTS = ROOT / "components"
RUNNER = Path(__file__).with_name("run_alone.py")


@dataclass(frozen=True)
class Alone:
    """How it ended: its parameters and the paths of its artifacts, or its error.

    The error is read from the progress file: kfp's runner may lose the last lines of a step's log.
    """

    code: int
    said: str
    error: str
    parameters: dict[str, object]
    files: dict[str, str]


def run_alone(
    step: str,
    folder: Path,
    parameters: Mapping[str, object],
    files: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Alone:
    """One component in a pipeline of its own; `step` is the folder's name."""
    root = tempfile.mkdtemp(prefix=f"{step}-", dir=folder)
    progress = Path(root) / "progress.jsonl"
    given = [json.dumps(dict(parameters)), json.dumps(dict(files or {}))]
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(COMPONENTS / step / "component.yaml"), root, *given],
        env={
            **(os.environ if environment is None else environment),
            "PYTHONWARNINGS": "ignore",
            "TIDEGATE_PROGRESS_FILE": str(progress),
        },
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    if done.returncode:
        return Alone(done.returncode, done.stdout + done.stderr, _error(progress), {}, {})
    output = json.loads(done.stdout.strip().splitlines()[-1])
    files_out = {
        name: entry["artifacts"][0]["uri"] for name, entry in output.get("artifacts", {}).items()
    }
    return Alone(0, done.stdout + done.stderr, "", output.get("parameterValues", {}), files_out)


def _error(progress: Path) -> str:
    if not progress.is_file():
        return ""
    events = [json.loads(line) for line in progress.read_text(encoding="utf-8").splitlines()]
    return next((f"{e['error']}: {e['message']}" for e in events if "error" in e), "")
