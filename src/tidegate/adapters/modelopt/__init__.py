"""NVIDIA's ModelOpt, in an interpreter of its own: it brings torch, and pins what we do not share with it.

The graph and the calibration rows go in as files, and the graph comes back as one.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters import onnx_files
from tidegate.adapters.trees import disk_errors
from tidegate.config import settings
from tidegate.errors import RejectedError, UsageError

Array = npt.NDArray[Any]
SCRIPT = Path(__file__).with_name("conversion.py")
MISSING = 3  # exit code of the script where the interpreter has no ModelOpt
NOTHING = 4  # and where there was nothing to convert


def convert(
    path: Path, precision: str, rows: Mapping[str, Array], *, opset: int, what: str
) -> None:
    """Put the graph in that precision in the place of the one at `path`; inputs and outputs keep their types.

    `rows`: input -> calibration rows; {} only for fp16 and bf16. Raises UsageError where the interpreter of
    TIDEGATE_MODELOPT_PYTHON has no ModelOpt, RejectedError where ModelOpt cannot.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, disk_errors(path):
        inside = Path(folder)
        np.savez(inside / "rows.npz", **rows)
        asked = {
            "source": str(path),
            # Under its own name: a graph names the file of its weights, which may not be renamed.
            "target": str(inside / path.name),
            "precision": precision,
            "rows": str(inside / "rows.npz") if rows else "",
            "opset": opset,
        }
        _run(asked, inside, precision, what)
        onnx_files.drop(path)
        for made in inside.glob(f"{path.name}*"):
            made.replace(path.with_name(made.name))


def _run(asked: Mapping[str, Any], folder: Path, precision: str, what: str) -> None:
    interpreter = settings().modelopt_python or sys.executable
    try:
        done = subprocess.run(
            [interpreter, "-W", "ignore", str(SCRIPT), json.dumps(asked)],
            capture_output=True, text=True, errors="replace", cwd=folder, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except OSError as error:
        raise UsageError(
            f"TIDEGATE_MODELOPT_PYTHON is {interpreter!r}: {error.strerror}; set it to a Python that has "
            "nvidia-modelopt"
        ) from error
    if done.returncode == MISSING:
        raise UsageError(
            f"{interpreter} has no nvidia-modelopt, which writes {precision}; "
            "set TIDEGATE_MODELOPT_PYTHON to a Python that has (docs/precision.md)"
        )
    if done.returncode == NOTHING:
        raise RejectedError(
            f"{what} has no operator that ModelOpt writes in {precision}; set optimize.precision: source"
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it says no reason"]
        raise RejectedError(
            f"{what} cannot be written in {precision} by ModelOpt: {lines[-1]}; "
            "set optimize.precision: source"
        )
