"""int8 in the graph: calibrated on the version's own rows, judged by others, served by any runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.steps.model.networks import convolutions, images
from tidegate.adapters import onnx_runtime, quantization
from tidegate.errors import DocumentError, RejectedError

LOOSE = {"max_mismatch_ratio": 1.0, "min_cosine": 0.99, "min_top1": 0.8}


def version(release: Any, *, calibration: Any = None, seed: int = 0) -> Path:
    """An ONNX version with golden rows, and calibration rows if given."""
    tree: Path = release.onnx_tree(convolutions(seed=seed))
    release.golden(tree, {"X": images(100, seed=1)})
    if calibration is not None:
        np.savez(tree / "calibration.npz", **{"input.X": calibration})
    release.policy["optimize"] = {"precision": "int8"}
    release.policy["parity"] = {"default": LOOSE}
    release.fetched("onnx")
    return tree


def test_the_graph_is_quantized_and_as_good_as_its_source(release: Any) -> None:
    version(release, calibration=images(64, seed=2))
    assert release.run("optimize")["verdict"] == "PASS"
    document = release.document("optimized")
    (scores,) = document["parity"]["outputs"]
    assert document["precision"] == "int8"
    assert scores["max_abs_error"] > 0
    assert scores["agreement_lower"] < scores["agreement"] < 1
    model = onnx.load(str(release.path("optimized_model") / "model.onnx"))
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    assert {entry.domain for entry in model.opset_import} == {""}
    assert [t.name for t in model.graph.input] == ["X"]


def test_what_the_policy_does_not_tolerate_is_refused(release: Any) -> None:
    version(release, calibration=images(64, seed=2))
    release.policy["parity"] = {}
    result = release.run("optimize")
    assert result["verdict"] == "FAIL"
    assert "output scores: largest difference" in result["reason"]
    assert "the first layer that differs is" in result["reason"]


def test_golden_rows_among_the_calibration_rows_are_refused(release: Any) -> None:
    version(release, calibration=np.concatenate([images(10, seed=2), images(100, seed=1)[7:9]]))
    with pytest.raises(DocumentError, match=r"2 golden rows \(the first is 7\) are in calibration"):
        release.run("optimize")
    assert not release.path("optimized").exists()


def test_without_calibration_rows_it_is_one_line(release: Any) -> None:
    version(release)
    with pytest.raises(DocumentError, match=r"has no calibration.npz, which int8 is calibrated on"):
        release.run("optimize")


def test_calibration_rows_of_another_shape_are_one_line(release: Any) -> None:
    version(release, calibration=np.zeros((4, 3), np.float32))
    with pytest.raises(DocumentError, match=r"calibration.npz: input X has shape \(4, 3\)"):
        release.run("optimize")


def test_a_graph_with_nothing_to_quantize_is_refused(release: Any, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["X"], ["Y"])],
        "identity",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    tree = release.onnx_tree(model)
    release.golden(tree, {"X": np.ones((60, 4), np.float32)})
    np.savez(tree / "calibration.npz", **{"input.X": np.zeros((4, 4), np.float32)})
    release.policy["optimize"] = {"precision": "int8"}
    release.fetched("onnx")
    with pytest.raises(RejectedError, match="no operator that int8 makes faster; set optimize"):
        release.run("optimize")


def test_the_source_graphs_weights_beside_it_do_not_stay_with_the_int8_graph(
    tmp_path: Path,
) -> None:
    path, rows = tmp_path / "model.onnx", {"X": images(16, seed=2)}
    onnx.save(
        convolutions(), str(path), save_as_external_data=True, location="model.onnx.data",
        size_threshold=0,
    )  # fmt: skip
    quantization.quantize(path, rows, what="m")
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert onnx_runtime.load(path, what="m").run(rows)["scores"].shape == (16, 10)
