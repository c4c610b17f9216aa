"""ONNX graphs by ONNX Runtime and by OpenVINO, external data and ensembles: served by real Triton."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.routes.conftest import Routed
from tests.steps.model.networks import convolutions, images
from tidegate.adapters import onnx_runtime

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600)]
ASK = images(100, seed=3)
# OpenVINO computes so on a CPU that has it.
BFLOAT16 = {"parity": {"default": {"atol": 0.05, "rtol": 0.05, "max_mismatch_ratio": 0.01}}}


def own_answers(graph: Any, folder: Path) -> dict[str, Any]:
    """ONNX Runtime's, without any optimization: the source of this flavor."""
    import onnx

    path = folder / "source.onnx"
    onnx.save(graph, str(path))
    return onnx_runtime.load(path, what="source", optimized=False).run({"X": ASK})


@pytest.mark.parametrize("target", ["onnxruntime", "openvino"])
def test_a_convolutional_network(routed: Routed, target: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx" if target == "onnxruntime" else "openvino")
    import mlflow.onnx

    graph = convolutions(seed=4)
    expected = own_answers(graph, tmp_path)
    routed.log(mlflow.onnx.log_model, graph, {"X": ASK})
    tree = routed.release.path("model_tree")
    tolerance, policy = (5e-2, BFLOAT16) if target == "openvino" else (1e-4, {})
    routed.serves(
        "onnx", target, {"X": ASK}, expected, "two convolutions", tolerance=tolerance, policy=policy
    )
    assert list(tree.glob("*.data")), "MLflow keeps weights in a file of their own"


def test_weights_beside_the_graph_are_served_from_their_folder(
    routed: Routed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import mlflow.onnx

    monkeypatch.setattr(onnx_runtime, "INLINE_BELOW", 1000)
    graph = convolutions(seed=5)
    expected = own_answers(graph, tmp_path)
    routed.log(mlflow.onnx.log_model, graph, {"X": ASK})
    published = routed.steps(optimize={"target": "onnxruntime"})
    folder = Path(published["storage_uri"].removeprefix("file://")) / "digits" / "1" / "model.onnx"
    assert sorted(p.name for p in folder.iterdir()) == ["model.onnx", "model.onnx.data"]
    found = routed.asked(published["storage_uri"], {"X": ASK})
    np.testing.assert_allclose(found["scores"], expected["scores"], atol=1e-5)


def test_an_operator_that_openvino_lacks_is_named(routed: Routed) -> None:
    pytest.importorskip("openvino")
    import mlflow.onnx
    from onnx import TensorProto, helper

    from tidegate.errors import RejectedError

    node = helper.make_node(
        "LinearRegressor", ["X"], ["Y"], domain="ai.onnx.ml", coefficients=[1.0] * 4, targets=1
    )
    graph = helper.make_graph(
        [node],
        "regressor",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 1])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    routed.log(mlflow.onnx.log_model, model, {"X": np.ones((60, 4), np.float32)})
    with pytest.raises(
        RejectedError, match=r"does not load in OpenVINO: .*ai\.onnx\.ml\.LinearRegressor"
    ):
        routed.steps(optimize={"target": "openvino"})


def test_an_ensemble_of_two_backends_is_the_servers_own(routed: Routed, tmp_path: Path) -> None:
    """A graph's scores into a python model, by an ensemble of Triton's core."""
    import mlflow.onnx

    from tests.sandbox.triton_trials import ensemble
    from tidegate.adapters.model_config_text import to_text
    from tidegate.core.model_config import (
        EnsembleStep,
        ModelConfig,
        ModelEnsembling,
        ModelInput,
        ModelInstanceGroup,
        ModelOutput,
    )

    graph = convolutions(seed=6)
    expected = own_answers(graph, tmp_path)["scores"].argmax(axis=1)
    routed.log(mlflow.onnx.log_model, graph, {"X": ASK})
    published = routed.steps(optimize={"target": "onnxruntime"})
    root = Path(published["storage_uri"].removeprefix("file://"))
    (root / "digits").rename(root / "scorer")
    config = root / "scorer" / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "digits"', 'name: "scorer"'))
    best = ModelConfig(
        name="best",
        backend="python",
        max_batch_size=32,
        input=(ModelInput(name="scores", data_type="TYPE_FP32", dims=(10,)),),
        output=(ModelOutput(name="best", data_type="TYPE_INT64", dims=(1,)),),
        instance_group=(ModelInstanceGroup(kind="KIND_CPU", count=1),),
    )
    whole = replace(
        ensemble(32),
        name="digits",
        input=(ModelInput(name="X", data_type="TYPE_FP32", dims=(1, 16, 16)),),
        output=(ModelOutput(name="answer", data_type="TYPE_INT64", dims=(1,)),),
        ensemble_scheduling=ModelEnsembling(
            step=(
                EnsembleStep(
                    model_name="scorer", model_version=-1,
                    input_map={"X": "X"}, output_map={"scores": "between"},
                ),
                EnsembleStep(
                    model_name="best", model_version=-1,
                    input_map={"scores": "between"}, output_map={"best": "answer"},
                ),
            )
        ),
    )  # fmt: skip
    for one in (best, whole):
        (root / one.name / "1").mkdir(parents=True)
        # KServe copies neither an empty folder nor an empty file.
        (root / one.name / "1" / "README").write_text("the folder that Triton asks for")
        (root / one.name / "config.pbtxt").write_text(to_text(one))
    (root / "best" / "1" / "model.py").write_text(BEST)
    found = routed.asked(published["storage_uri"], {"X": ASK})
    assert (found["answer"].reshape(-1) == expected).all()


BEST = """\
import triton_python_backend_utils as triton


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            scores = triton.get_input_tensor_by_name(request, "scores").as_numpy()
            best = scores.argmax(axis=1).reshape(-1, 1)
            answers.append(triton.InferenceResponse([triton.Tensor("best", best)]))
        return answers
"""
