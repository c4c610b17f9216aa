"""Precision by ModelOpt, really run on the CPU in its own interpreter, or skipped (`make test-modelopt`)."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.steps.model.networks import convolutions, images
from tidegate.adapters import modelopt, onnx_runtime
from tidegate.errors import RejectedError, UsageError

OWN = Path(__file__).parents[3] / ".tidegate" / "modelopt" / "bin" / "python"
INTERPRETER = os.environ.get("TIDEGATE_MODELOPT_PYTHON") or (str(OWN) if OWN.exists() else "")
LOOSE = {"max_mismatch_ratio": 1.0, "min_cosine": 0.98, "min_top1": 0.8}


def installed(test: Any) -> Any:
    """For a test that runs ModelOpt: ten seconds, mostly of importing torch."""
    reason = "ModelOpt is not installed; sh scripts/setup modelopt"
    return pytest.mark.long(pytest.mark.skipif(not INTERPRETER, reason=reason)(test))


def version(release: Any, precision: str, *, calibrated: bool = True, **optimize: Any) -> None:
    """A network wide enough for FP8, which ModelOpt writes only where the GPU has kernels for it."""
    tree = release.onnx_tree(convolutions(channels=(32, 64)))
    release.golden(tree, {"X": images(100, seed=1)})
    if calibrated:
        np.savez(tree / "calibration.npz", **{"input.X": images(32, seed=2)})
    release.policy["optimize"] = {"precision": precision, "quantizer": "modelopt", **optimize}
    release.policy["parity"] = {"default": LOOSE}
    release.fetched("onnx")


def graph(release: Any) -> Any:
    return onnx.load(str(release.path("optimized_model") / "model.onnx"))


@pytest.fixture(autouse=True)
def _interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    if INTERPRETER:
        monkeypatch.setenv("TIDEGATE_MODELOPT_PYTHON", INTERPRETER)


@installed
@pytest.mark.parametrize("precision", ["int8", "fp8"])
def test_a_graph_is_quantized_and_answers_as_its_source(release: Any, precision: str) -> None:
    version(release, precision)
    assert release.run("optimize")["verdict"] == "PASS"
    document, written = release.document("optimized"), graph(release)
    kinds = {n.op_type for n in written.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    narrow = {"int8": onnx.TensorProto.INT8, "fp8": onnx.TensorProto.FLOAT8E4M3FN}[precision]
    assert narrow in {weight.data_type for weight in written.graph.initializer}
    assert (document["precision"], document["opset"]) == (
        precision, max(o.version for o in written.opset_import),
    )  # fmt: skip
    (scores,) = document["parity"]["outputs"]
    assert scores["max_abs_error"] > 0
    print(f"{precision}: largest difference {scores['max_abs_error']}, top-1 {scores['agreement']}")


@installed
@pytest.mark.parametrize("calibrated", [True, False])
def test_autocast_writes_what_is_safe_in_half_and_keeps_inputs_and_outputs(
    release: Any, calibrated: bool
) -> None:
    version(release, "fp16", calibrated=calibrated)
    assert release.run("optimize")["verdict"] == "PASS"
    written = graph(release).graph
    assert onnx.TensorProto.FLOAT16 in {weight.data_type for weight in written.initializer}
    assert {t.type.tensor_type.elem_type for t in (*written.input, *written.output)} == {
        onnx.TensorProto.FLOAT
    }
    (scores,) = release.document("optimized")["parity"]["outputs"]
    assert 0 < scores["max_abs_error"] < 0.05
    print(f"fp16: largest difference {scores['max_abs_error']}, top-1 {scores['agreement']}")


@installed
def test_the_source_graphs_weights_beside_it_do_not_stay(tmp_path: Path) -> None:
    path, rows = tmp_path / "model.onnx", {"X": images(16, seed=2)}
    onnx.save(
        convolutions(), str(path), save_as_external_data=True, location="model.onnx.data",
        size_threshold=0,
    )  # fmt: skip
    modelopt.convert(path, "fp16", rows, opset=18, what="m")
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    assert onnx_runtime.load(path, what="m").run(rows)["scores"].shape == (16, 10)


@installed
def test_bfloat16_is_written_and_nobody_on_a_cpu_runs_it(release: Any) -> None:
    version(release, "bf16")
    with pytest.raises(RejectedError, match="does not load in ONNX Runtime"):
        release.run("optimize")


@installed
def test_for_tensorrt_int8_is_modelopts_and_the_ladder_serves_that_very_graph(release: Any) -> None:
    version(release, "int8", target="tensorrt", quantizer="auto", fallback=["onnxruntime"])
    assert release.run("optimize")["verdict"] == "PASS"
    document = release.document("optimized")
    assert [step["wanted"] for step in document["steps_down"]] == ["tensorrt"]
    biases = {
        w.name for w in graph(release).graph.initializer if w.data_type == onnx.TensorProto.INT32
    }
    assert biases == set(), "TensorRT does not read an int32 bias behind a DequantizeLinear"


@installed
def test_a_graph_in_which_nothing_can_be_written_so_is_refused(release: Any) -> None:
    from onnx import TensorProto, helper

    shape = ["batch", 4]
    one = helper.make_graph(
        [helper.make_node("Identity", ["X"], ["Y"])],
        "identity",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(one, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    tree = release.onnx_tree(model)
    release.golden(tree, {"X": np.ones((60, 4), np.float32)})
    np.savez(tree / "calibration.npz", **{"input.X": np.zeros((4, 4), np.float32)})
    release.policy["optimize"] = {"precision": "fp8"}
    release.fetched("onnx")
    with pytest.raises(
        RejectedError, match="no operator that ModelOpt writes in fp8; set optimize"
    ):
        release.run("optimize")


def test_without_calibration_rows_it_is_one_line(release: Any) -> None:
    version(release, "fp8", calibrated=False)
    with pytest.raises(Exception, match=r"has no calibration.npz, which fp8 is calibrated on"):
        release.run("optimize")


def test_an_interpreter_without_modelopt_is_one_line(
    release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    version(release, "fp16")
    monkeypatch.setenv("TIDEGATE_MODELOPT_PYTHON", sys.executable)
    with pytest.raises(
        UsageError, match=r"has no nvidia-modelopt, which writes fp16; set TIDEGATE_M"
    ):
        release.run("optimize")
    monkeypatch.setenv("TIDEGATE_MODELOPT_PYTHON", "/nowhere/python")
    with pytest.raises(UsageError, match=r"'/nowhere/python': No such file"):
        release.run("optimize")
