"""ONNX files without their weights: the same word as ONNX Runtime's, and weights moved byte for byte."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.steps.model.networks import convolutions, images
from tidegate.adapters import onnx_files, onnx_runtime
from tidegate.errors import RejectedError


def external(folder: Path, location: str = "weights.data") -> Path:
    path = folder / "model.onnx"
    onnx.save(
        convolutions(), str(path), save_as_external_data=True, all_tensors_to_one_file=True,
        location=location, size_threshold=0,
    )  # fmt: skip
    return path


def test_the_files_word_is_onnx_runtimes(tmp_path: Path) -> None:
    path = external(tmp_path)
    told, loaded = onnx_files.declared(path, what="m"), onnx_runtime.load(path, what="m")
    assert (told.inputs, told.outputs) == (loaded.inputs, loaded.outputs)
    assert told.batch_symbols == loaded.batch_symbols == {"X": "batch", "scores": "batch"}


def test_a_shape_that_the_file_leaves_open_is_asked_of_onnx_runtime(tmp_path: Path) -> None:
    graph = convolutions()
    graph.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(graph, str(path := tmp_path / "open.onnx"))
    assert onnx_files.declared(path, what="m").outputs == onnx_runtime.load(path, what="m").outputs


def test_weights_are_carried_byte_for_byte_under_the_graphs_name(tmp_path: Path) -> None:
    (source := tmp_path / "source").mkdir()
    (target := tmp_path / "target").mkdir()
    path = external(source)
    proto = onnx_files.header(path, what="m")
    weights = onnx_files.beside(proto, source)
    assert weights is not None
    onnx_files.carry(proto, weights, target / "model.onnx", max_ir_version=8)
    assert sorted(p.name for p in target.iterdir()) == ["model.onnx", "model.onnx.data"]
    assert (target / "model.onnx.data").read_bytes() == weights.read_bytes()
    rows = {"X": images(5, seed=1)}
    before = onnx_runtime.load(path, what="m").run(rows)["scores"]
    np.testing.assert_array_equal(
        onnx_runtime.load(target / "model.onnx", what="m").run(rows)["scores"], before
    )
    assert onnx.load(str(target / "model.onnx")).ir_version == 8


def test_a_graph_with_its_weights_inside_has_nothing_beside_it(tmp_path: Path) -> None:
    onnx.save(convolutions(), str(tmp_path / "model.onnx"))
    proto = onnx_files.header(tmp_path / "model.onnx", what="m")
    assert onnx_files.beside(proto, tmp_path) is None


def test_weights_outside_the_models_folder_are_refused(tmp_path: Path) -> None:
    (folder := tmp_path / "model").mkdir()
    path = external(folder)
    (folder / "weights.data").rename(tmp_path / "weights.data")
    proto = onnx_files.header(path, what="m")
    for tensor in proto.graph.initializer:
        tensor.external_data[0].value = "../weights.data"
    with pytest.raises(RejectedError, match=r"no file \.\./weights\.data among the model's files"):
        onnx_files.beside(proto, folder)


def test_weights_of_a_subgraph_are_found(tmp_path: Path) -> None:
    (tmp_path / "inner.data").write_bytes(b"\0" * 16)
    tensor = TensorProto(name="W", dims=[4], data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="inner.data")
    inner = helper.make_graph([], "inner", [], [], [tensor])
    node = helper.make_node("If", ["c"], ["Y"], then_branch=inner, else_branch=inner)
    proto = helper.make_model(helper.make_graph([node], "outer", [], []))
    found: Any = onnx_files.beside(proto, tmp_path)
    assert found == tmp_path / "inner.data"
