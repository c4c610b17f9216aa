"""A small convolutional network as ONNX, with weights that are drawn once."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

SIDE, CLASSES = 16, 10


def images(count: int, *, seed: int, side: int = SIDE) -> Any:
    """One channel each."""
    drawn = np.random.default_rng(seed).normal(size=(count, 1, side, side))
    return drawn.astype(np.float32)


def convolutions(
    *,
    seed: int = 0,
    side: int = SIDE,
    channels: tuple[int, ...] = (8, 16),
    grid: int = 1,
    head: Any = None,
) -> Any:
    """Convolutions of 3 x 3 with ReLU, every second one halves the side; then averages of grid x grid fields.

    `head` (weights, bias) maps those features to scores. Input X [batch, 1, side, side], output scores
    [batch, classes].
    """
    drawn, nodes, weights, last, width = np.random.default_rng(seed), [], [], "X", 1
    for n, count in enumerate(channels):
        kernel = drawn.normal(0, (2 / (9 * width)) ** 0.5, (count, width, 3, 3))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"kernel{n}"))
        stride = [1 + n % 2] * 2
        nodes.append(
            helper.make_node("Conv", [last, f"kernel{n}"], [f"c{n}"], pads=[1] * 4, strides=stride)
        )
        nodes.append(helper.make_node("Relu", [f"c{n}"], [f"r{n}"]))
        last, width = f"r{n}", count
    if head is None:
        head = drawn.normal(size=(width * grid**2, CLASSES)), np.zeros(CLASSES)
    for name, array in zip(("head", "bias"), head, strict=True):
        weights.append(numpy_helper.from_array(array.astype(np.float32), name))
    field = [(side >> len(channels) // 2) // grid] * 2
    nodes += [
        helper.make_node("AveragePool", [last], ["pooled"], kernel_shape=field, strides=field),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "head", "bias"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolutions",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 1, side, side])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", head[0].shape[1]])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
