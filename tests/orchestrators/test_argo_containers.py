"""What one container of a local run hands to the next."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tidegate.orchestrators.argo_containers import copied


def test_a_graph_with_its_weights_beside_it_can_be_read_where_it_is_handed_to(
    tmp_path: Path,
) -> None:
    weights = numpy_helper.from_array(np.ones((64, 64), np.float32), "w")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 64]) for n in "xy")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights]
    )
    given = tmp_path / "fetch" / "model_tree"
    given.mkdir(parents=True)
    onnx.save(
        helper.make_model(graph), str(given / "model.onnx"), save_as_external_data=True,
        location="weights.data", size_threshold=0,
    )  # fmt: skip
    for step in ("optimize", "publish"):
        copied(given, tmp_path / step / "model_tree")
    read = onnx.load(str(tmp_path / "optimize" / "model_tree" / "model.onnx"))
    assert numpy_helper.to_array(read.graph.initializer[0]).sum() == 64 * 64


def test_a_file_that_is_handed_on_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("older")
    copied(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"
