"""Keras and TensorFlow, trained on TensorFlow: the answers of real Triton are TensorFlow's.

The keras flavor is converted on PyTorch, without TensorFlow; the tensorflow flavor by tf2onnx.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.routes.conftest import Routed
from tests.routes.test_graphs import BFLOAT16
from tidegate.errors import RejectedError

pytestmark = [
    pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("keras", "tensorflow", "tf2onnx", "torch"))),
        reason="keras, tensorflow, tf2onnx or torch is not here",
    ),
]  # fmt: skip
TRAIN = Path(__file__).with_name("train_keras.py")


def trained(routed: Routed, kind: str, flavor: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Rows and TensorFlow's answers; the version is registered."""
    subprocess.run(
        [sys.executable, "-W", "ignore", str(TRAIN), kind, flavor, str(routed.scratch), routed.name],
        env=os.environ | {"MLFLOW_TRACKING_URI": routed.url}, check=True, timeout=300,
    )  # fmt: skip
    routed.release.policy["model"]["uri"] = (routed.scratch / "uri").read_text()
    return read(routed.scratch / "rows.npz"), read(routed.scratch / "answers.npz")


def read(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def precision(target: str) -> tuple[float, dict[str, Any]]:
    """OpenVINO computes in bfloat16 where the CPU has it."""
    if target != "openvino":
        return 1e-5, {}
    pytest.importorskip("openvino")
    return 2e-2, BFLOAT16


@pytest.mark.parametrize("flavor", ["keras", "tensorflow"])
@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_a_network_of_keras_in_either_flavor(routed: Routed, flavor: str, target: str) -> None:
    tolerance, policy = precision(target)
    rows, answers = trained(routed, "convolution", flavor)
    routed.serves(
        flavor, target, rows, answers, "Keras, a convolution", tolerance=tolerance, policy=policy
    )
    assert routed.release.document("repository_document")["max_batch_size"] == 32
    checked = routed.release.document("optimized")["parity"]["checks"]
    assert "edge inputs: zeros" in {one["output"] for one in checked}


@pytest.mark.parametrize("flavor", ["keras", "tensorflow"])
def test_two_inputs_of_which_one_is_of_any_length(routed: Routed, flavor: str) -> None:
    rows, answers = trained(routed, "two_inputs", flavor)
    routed.serves(flavor, "onnxruntime", rows, answers, "Keras, two inputs")
    config = (routed.release.path("repository") / "digits" / "config.pbtxt").read_text()
    assert "dims: [-1, 4]" in config


def test_a_recurrent_network(routed: Routed) -> None:
    rows, answers = trained(routed, "recurrent", "tensorflow")
    routed.serves("tensorflow", "onnxruntime", rows, answers, "Keras, an LSTM")


@pytest.mark.parametrize(
    ("kind", "told"), [("declared", "with a signature"), ("traced", "without a signature")]
)
def test_a_saved_model_with_a_signature_and_without(routed: Routed, kind: str, told: str) -> None:
    rows, answers = trained(routed, kind, "tensorflow")
    routed.serves("tensorflow", "onnxruntime", rows, answers, f"SavedModel {told}")


def test_a_saved_model_that_keras_exported_goes_by_tensorflow(routed: Routed) -> None:
    rows, answers = trained(routed, "convolution", "keras_exported")
    published = routed.steps(optimize={"target": "onnxruntime"})
    assert routed.release.document("optimized")["parity"]["reference"] == "the TensorFlow model"
    (found,) = routed.asked(published["storage_uri"], rows).values()
    np.testing.assert_allclose(found, answers["output"], atol=1e-5)


def test_an_operator_that_tf2onnx_has_no_form_for_is_named(routed: Routed) -> None:
    trained(routed, "gamma", "tensorflow")
    with pytest.raises(
        RejectedError, match=r"tf2onnx has no form for Lgamma .*; take that out, or"
    ):
        routed.steps(optimize={"target": "onnxruntime"})


@pytest.mark.parametrize("flavor", ["keras", "tensorflow"])
def test_a_layer_that_is_code_is_not_run(routed: Routed, flavor: str) -> None:
    trained(routed, "code", flavor)
    with pytest.raises(RejectedError, match=r"does not load: .*[Ll]ambda.*log that as onnx"):
        routed.steps(optimize={"target": "onnxruntime"})


@pytest.mark.parametrize("flavor", ["keras", "tensorflow"])
def test_a_model_in_an_older_format_is_refused_with_the_one_that_is_read(
    routed: Routed, flavor: str
) -> None:
    release = routed.release
    tree = release.mlmodel({flavor: {"data": "data", "save_format": "h5"}})
    (tree / "data").mkdir()
    (tree / "data" / "model.h5").write_bytes(b"HDF")
    release.golden(tree, {"input": np.zeros((60, 3), np.float32)})
    release.fetched(flavor)
    release.policy["optimize"] = {"target": "onnxruntime"}
    with pytest.raises(RejectedError, match=r"has no data/model\.keras: .* save it with Keras 3"):
        release.run("optimize")


@pytest.mark.parametrize("flavor", ["keras", "tensorflow"])
def test_whole_numbers_as_golden_rows_make_no_other_signature(routed: Routed, flavor: str) -> None:
    trained(routed, "two_inputs", flavor)
    release = routed.release
    release.resolve()
    release.run("fetch")
    tree = release.path("model_tree")
    drawn = np.random.default_rng(8).integers
    np.savez(tree / "golden.npz", **{"input.series": drawn(9, size=(60, 6, 4)),
                                     "input.facts": drawn(9, size=(60, 3))})  # fmt: skip
    release.fetched(flavor)
    release.policy["optimize"] = {"target": "onnxruntime"}
    assert release.run("optimize")["verdict"] == "PASS"
    optimized = release.document("optimized")
    assert {one["dtype"] for one in optimized["inputs"]} == {"FP32"}
    with np.load(release.path("optimized_model") / "golden.npz") as golden:
        assert golden["input.facts"].dtype == np.float32


def test_golden_data_with_other_inputs_are_refused_with_those_that_the_model_takes(
    routed: Routed,
) -> None:
    trained(routed, "two_inputs", "keras")
    routed.release.resolve()
    routed.release.run("fetch")
    tree = routed.release.path("model_tree")
    np.savez(tree / "golden.npz", **{"input.one": np.ones((60, 6, 4), np.float32),
                                     "input.facts": np.ones((60, 3), np.float32)})  # fmt: skip
    routed.release.fetched("keras")
    routed.release.policy["optimize"] = {"target": "onnxruntime"}
    with pytest.raises(RejectedError, match="takes series, facts, the golden data have one, facts"):
        routed.release.run("optimize")
