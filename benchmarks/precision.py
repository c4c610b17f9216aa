"""Every precision that can be written into a graph, on this CPU: size, speed, the same answers, real digits.

The network and the rows are those of `benchmarks/int8.py`. ModelOpt writes in its own interpreter
(`sh scripts/setup modelopt`). bf16 is written and not run: ONNX Runtime has no such convolution on a CPU.
What a GPU makes of these graphs is not measured here.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.int8 import digits, milliseconds, with_a_fitted_head
from tidegate.adapters import modelopt, onnx_runtime, quantization
from tidegate.errors import RejectedError

ROOT = Path(__file__).parents[1]
ROUNDS = 30
GRAPHS = (
    ("int8, onnxruntime", "onnxruntime", "int8"),
    ("int8, modelopt", "modelopt", "int8"),
    ("fp8, modelopt", "modelopt", "fp8"),
    ("fp16, modelopt", "modelopt", "fp16"),
    ("bf16, modelopt", "modelopt", "bf16"),
)


def written(folder: Path, source: Path, calibration: Any) -> dict[str, tuple[Path, float]]:
    """Name -> the graph, and the seconds that writing it took."""
    found = {"fp32": (source, 0.0)}
    for name, tool, precision in GRAPHS:
        path = folder / f"{tool}-{precision}.onnx"
        shutil.copyfile(source, path)
        began = time.perf_counter()
        if tool == "onnxruntime":
            quantization.quantize(path, {"X": calibration}, what=name)
        else:
            modelopt.convert(path, precision, {"X": calibration}, opset=18, what=name)
        found[name] = path, time.perf_counter() - began
    return found


def measured(path: Path, unseen: Any, expected: Any) -> tuple[float, float, float] | None:
    """p50 of one row on one thread, the largest difference, the share of equal top-1; None = not run."""
    try:
        graph = onnx_runtime.load(path, what=path.stem)
    except RejectedError:
        return None
    scores = graph.run({"X": unseen})["scores"]
    times = [milliseconds(graph, unseen[n : n + 1]) for n in range(ROUNDS + 5)][5:]
    alike = float((scores.argmax(1) == expected.argmax(1)).mean())
    return statistics.median(times), float(np.abs(scores - expected).max()), alike


def main() -> None:
    """Print a table."""
    os.environ.setdefault(
        "TIDEGATE_MODELOPT_PYTHON", str(ROOT / ".tidegate" / "modelopt" / "bin" / "python")
    )
    rows, truth = digits()
    train, calibration, unseen = rows[:600], rows[600:664], rows[664:]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "fp32.onnx"
        onnx.save(with_a_fitted_head(Path(name), train, truth[:600]), str(source))
        expected = onnx_runtime.load(source, what="fp32").run({"X": unseen})["scores"]
        print("| graph | written in | size | p50 | largest difference | top-1 agreement |")
        print("|---|---:|---:|---:|---:|---:|")
        for graph, (path, seconds) in written(Path(name), source, calibration).items():
            size = path.stat().st_size / 1e6
            found = measured(path, unseen, expected)
            told = "not run here | | " if found is None else (
                f"{found[0]:.1f} ms | {found[1]:.3g} | {found[2]:.2%}"
            )  # fmt: skip
            print(f"| {graph} | {seconds:.1f} s | {size:.2f} MB | {told} |")
    print(f"\nScores go up to {np.abs(expected).max():.3g}; {len(unseen)} unseen digits.")


if __name__ == "__main__":
    main()
