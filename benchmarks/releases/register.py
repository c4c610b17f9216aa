"""Registers three versions of one network: 1 and 2 take equally long, 3 takes 30 % longer to answer.

Nothing sleeps: the time is that of matrix products, one after another, and 3 has more of them.
"""

import sys
import tempfile
import time
from pathlib import Path

import mlflow
import mlflow.onnx
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

NAME = "chain"
WIDTH, INPUTS, OUTPUTS = 512, 16, 4
ANSWER_MS = 6.0
AROUND_MS = (
    3.0  # HTTP, Envoy and Triton's Python backend; the slow version is slower by their share too
)
SLOWER = 1.3


def network(layers: int, seed: int) -> onnx.ModelProto:
    """X -> tanh(X A), then `layers` times tanh(. W), then the output; W is shared by all layers."""
    rng = np.random.default_rng(seed)
    shapes = {"A": (INPUTS, WIDTH), "W": (WIDTH, WIDTH), "B": (WIDTH, OUTPUTS)}
    weights = {
        name: (rng.normal(0, 1, shape) / np.sqrt(shape[0])).astype(np.float32)
        for name, shape in shapes.items()
    }
    names = ["A", *["W"] * layers]
    nodes = []
    for n, name in enumerate(names):
        before = "X" if n == 0 else f"h{n - 1}"
        nodes.append(helper.make_node("MatMul", [before, name], [f"p{n}"]))
        nodes.append(helper.make_node("Tanh", [f"p{n}"], [f"h{n}"]))
    nodes.append(helper.make_node("MatMul", [f"h{len(names) - 1}", "B"], ["y"]))
    graph = helper.make_graph(
        nodes,
        NAME,
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["rows", INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", OUTPUTS])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    made.ir_version = 10
    return made


def answer_ms(layers: int) -> float:
    """The median time of one answer, on one thread, with a pause before each as between requests."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        network(layers, 1).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    row, times = np.ones((1, INPUTS), np.float32), []
    for _ in range(25):
        time.sleep(0.02)
        began = time.perf_counter()
        session.run(None, {"X": row})
        times.append(1000 * (time.perf_counter() - began))
    return float(np.median(times))


def register(layers: int, seed: int) -> str:
    """Log and register one version with golden data; its number."""
    model = network(layers, seed)
    rows = np.random.default_rng(5).normal(size=(64, INPUTS)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    answers = session.run(None, {"X": rows})[0]
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        golden = Path(folder) / "golden.npz"
        np.savez(golden, **{"input.X": rows, "output.y": answers})
        logged = mlflow.onnx.log_model(
            model, name=NAME, registered_model_name=NAME, pip_requirements=["onnxruntime"]
        )
        mlflow.MlflowClient().log_model_artifact(logged.model_id, str(golden))
    return str(logged.registered_model_version)


def main() -> None:
    """Register all three."""
    per_layer = answer_ms(200) / 200
    usual = round(ANSWER_MS / per_layer)
    slow = round((SLOWER * (ANSWER_MS + AROUND_MS) - AROUND_MS) / per_layer)
    for layers, seed in ((usual, 1), (usual, 2), (slow, 1)):
        print(f"version {register(layers, seed)}: {layers} layers", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
