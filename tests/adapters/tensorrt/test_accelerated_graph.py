"""ONNX Runtime on a GPU: no provider is no silent CPU, and no more rows at once than a profile takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tidegate.adapters import onnx_runtime
from tidegate.adapters.served_forms import accelerated_graph
from tidegate.adapters.served_forms.accelerated_graph import AcceleratedGraph
from tidegate.errors import UsageError


@pytest.fixture
def counting(tmp_path: Path) -> Path:
    """Y = X times the number of rows that are asked together."""
    graph = helper.make_graph(
        [
            helper.make_node("Shape", ["X"], ["shape"]),
            helper.make_node("Gather", ["shape", "zero"], ["rows"]),
            helper.make_node("Cast", ["rows"], ["count"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["X", "count"], ["Y"]),
        ],
        "counting",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(np.array(0), "zero")],
    )
    path = tmp_path / "counting.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("largest", "asked"), [(256, [10] * 10), (10, [10] * 10), (4, [4] * 8 + [2] * 2)]
)
def test_no_more_rows_than_the_profile_takes_are_asked_at_once(
    counting: Path, largest: int, asked: list[int]
) -> None:
    graph = replace(onnx_runtime.load(counting, what="counting"), largest=largest)
    form = AcceleratedGraph(graph=graph)
    found = form.run({"X": np.ones((10, 2), np.float32)})["Y"]
    assert found[:, 0].tolist() == asked
    assert (form.inputs, form.outputs) == (graph.inputs, graph.outputs)


@pytest.mark.parametrize("accelerator", ["tensorrt", "cuda"])
def test_without_the_provider_nothing_else_takes_its_place(
    counting: Path, accelerator: str
) -> None:
    import onnxruntime

    name = accelerated_graph.NAMES[accelerator]
    if name in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has {name}")
    with pytest.raises(
        UsageError, match=f"has no {name}, only .*CPUExecutionProvider; run optimize"
    ):
        accelerated_graph.load(counting, accelerator, (), what="m 1")  # type: ignore[arg-type]
