"""int8 against fp32 on this CPU: speed of one row on one thread, and the same answers, on real digits.

A small convolutional network (drawn kernels, a head that is fitted to scikit-learn's digits) is quantized as
`optimize.precision: int8` does it, calibrated on rows of its own, and compared on digits that neither has
seen. Both graphs are timed in turn in one run, so that the machine's mood meets both alike. Exit 1 when a
target is missed.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.steps.model.networks import convolutions
from tidegate.adapters import onnx_runtime, quantization
from tidegate.core import parity

SIDE, CHANNELS, GRID, ROUNDS = 128, (32, 64, 64, 128, 128), 4, 60
FASTER, ALIKE = 2.0, 0.99


def digits() -> tuple[Any, Any]:
    """All images at SIDE x SIDE, and what they show."""
    from sklearn.datasets import load_digits

    rows, truth = load_digits(return_X_y=True)
    images = (rows.reshape(-1, 1, 8, 8) / 8 - 1).astype(np.float32)
    return images.repeat(SIDE // 8, axis=2).repeat(SIDE // 8, axis=3), truth


def with_a_fitted_head(folder: Path, images: Any, truth: Any) -> Any:
    """The network whose last layer was fitted to these images."""
    from sklearn.linear_model import LogisticRegression

    width = CHANNELS[-1] * GRID**2
    head = (np.eye(width), np.zeros(width))
    onnx.save(
        convolutions(side=SIDE, channels=CHANNELS, grid=GRID, head=head),
        str(folder / "features.onnx"),
    )
    features = onnx_runtime.load(folder / "features.onnx", what="features").run({"X": images})
    fitted = LogisticRegression(max_iter=2000).fit(features["scores"], truth)
    return convolutions(
        side=SIDE, channels=CHANNELS, grid=GRID, head=(fitted.coef_.T, fitted.intercept_)
    )


def milliseconds(graph: onnx_runtime.Graph, row: Any) -> float:
    """One request of one row."""
    started = time.perf_counter()
    graph.session.run(None, {"X": row})
    return 1000 * (time.perf_counter() - started)


def main() -> int:
    """Print the figures; 1 when int8 is not twice as fast or does not answer alike."""
    images, truth = digits()
    train, calibration, unseen = images[:600], images[600:664], images[664:]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = with_a_fitted_head(folder, train, truth[:600])
        for file in ("fp32.onnx", "int8.onnx"):
            onnx.save(model, str(folder / file))
        quantization.quantize(folder / "int8.onnx", {"X": calibration}, what="the network")
        graphs = {
            kind: onnx_runtime.load(folder / f"{kind}.onnx", what=kind) for kind in ("fp32", "int8")
        }
        sizes = {kind: (folder / f"{kind}.onnx").stat().st_size / 1e6 for kind in graphs}
        times: dict[str, list[float]] = {kind: [] for kind in graphs}
        for n in range(ROUNDS + 5):
            for kind, graph in graphs.items():
                taken = milliseconds(graph, unseen[n : n + 1])
                if n >= 5:
                    times[kind].append(taken)
        answers = {kind: graph.run({"X": unseen})["scores"] for kind, graph in graphs.items()}
    return _shown(times, sizes, answers, truth[664:])


def _shown(
    times: dict[str, list[float]], sizes: dict[str, float], answers: dict[str, Any], truth: Any
) -> int:
    for kind, taken in times.items():
        right = float((answers[kind].argmax(axis=1) == truth).mean())
        print(
            f"{kind}: p50 {statistics.median(taken):.2f} ms a row on one thread, {sizes[kind]:.2f} MB, "
            f"{right:.2%} of {len(truth)} unseen digits right"
        )
    faster = statistics.median(times["fp32"]) / statistics.median(times["int8"])
    same = parity.top_matches(answers["int8"], answers["fp32"])
    assert same is not None
    agreement = float(same.mean())
    lower = parity.lower_bound(int(same.sum()), same.size)
    print(f"int8 is {faster:.1f}x as fast (wanted {FASTER:g}x)")
    print(f"top-1 agreement {agreement:.2%}, at least {lower:.2%} (95 %; wanted {ALIKE:.0%})")
    return 0 if faster >= FASTER and agreement >= ALIKE else 1


if __name__ == "__main__":
    sys.exit(main())
