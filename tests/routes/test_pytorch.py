"""PyTorch by ONNX Runtime, by OpenVINO and as TorchScript: the answers of real Triton are PyTorch's."""

from typing import Any

import pytest

from tests.routes.conftest import Routed
from tests.routes.data import FEATURES, rows
from tests.routes.test_graphs import BFLOAT16

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),
]  # fmt: skip
ASK = rows(100, seed=3)
TARGETS = ("onnxruntime", "openvino", "native")


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(FEATURES, 32), torch.nn.ReLU(), torch.nn.LayerNorm(32),
        torch.nn.Linear(32, 5), torch.nn.Softmax(dim=1),
    ).eval()  # fmt: skip


def own_answers(module: Any) -> Any:
    with torch.no_grad():
        return module(torch.from_numpy(ASK)).numpy()


def names(target: str) -> tuple[str, str]:
    """Input and output as they are served."""
    return ("INPUT__0", "OUTPUT__0") if target == "native" else ("input", "output")


@pytest.mark.parametrize("target", TARGETS)
def test_an_exported_program(routed: Routed, target: str) -> None:
    if target == "openvino":
        pytest.importorskip("openvino")
    import mlflow.pytorch

    module = network()
    routed.log(mlflow.pytorch.log_model, module, {"input": ASK}, input_example=ASK[:2])
    given, answered = names(target)
    tolerance, policy = (1e-2, BFLOAT16) if target == "openvino" else (1e-5, {})
    routed.serves(
        "pytorch", target, {given: ASK}, {answered: own_answers(module)}, "linear layers, exported",
        tolerance=tolerance, policy=policy,
    )  # fmt: skip
    assert routed.release.document("repository_document")["max_batch_size"] == 32


@pytest.mark.parametrize("target", ["onnxruntime", "native"])
def test_a_batch_frozen_at_one_is_served_row_by_row_and_said(routed: Routed, target: str) -> None:
    import mlflow.pytorch

    module = network()
    routed.log(mlflow.pytorch.log_model, module, {"input": ASK}, input_example=ASK[:1])
    given, answered = names(target)
    routed.serves(
        "pytorch", target, {given: ASK}, {answered: own_answers(module)},
        "linear layers, exported from one row",
    )  # fmt: skip
    document = routed.release.document("repository_document")
    assert document["max_batch_size"] == 0
    notes = [f["message"] for f in document["findings"] if not f["blocking"]]
    assert notes == ["the model has no free batch axis: served without batching"]


@pytest.mark.parametrize("target", ["onnxruntime", "native"])
def test_a_pickled_module_where_the_policy_allows_it(routed: Routed, target: str) -> None:
    import mlflow.pytorch

    module = network()
    routed.log(mlflow.pytorch.log_model, module, {"input": ASK}, serialization_format="pickle")
    given, answered = names(target)
    routed.serves(
        "pytorch", target, {given: ASK}, {answered: own_answers(module)}, "linear layers, pickled",
        policy={"model": {"allow_pickle": True}},
    )  # fmt: skip


def test_a_pickled_module_is_refused_where_it_does_not(routed: Routed) -> None:
    import mlflow.pytorch

    routed.log(mlflow.pytorch.log_model, network(), {"input": ASK}, serialization_format="pickle")
    routed.release.resolve()
    result = routed.release.run("fetch")
    assert result["verdict"] == "FAIL"
    assert "data/model.pth" in routed.release.document("fetched")["reason"]


def test_torchscript_is_native_only(routed: Routed) -> None:
    import mlflow.pytorch

    from tidegate.errors import RejectedError

    module = network()
    script = torch.jit.trace(module, torch.from_numpy(ASK[:2]))
    routed.log(mlflow.pytorch.log_model, script, {"input": ASK}, serialization_format="pickle")
    allowed = {"model": {"allow_pickle": True}}
    with pytest.raises(RejectedError, match=r"is TorchScript, .*; write optimize.target: native"):
        routed.steps(**allowed)
    routed.serves(
        "pytorch", "native", {"INPUT__0": ASK}, {"OUTPUT__0": own_answers(module)},
        "linear layers, TorchScript", policy=allowed,
    )  # fmt: skip


def test_an_operator_that_onnx_lacks_is_named(routed: Routed) -> None:
    import mlflow.pytorch

    from tidegate.errors import RejectedError

    bessel = type(
        "Bessel", (torch.nn.Module,), {"forward": lambda _, x: torch.special.bessel_j0(x)}
    )
    routed.log(mlflow.pytorch.log_model, bessel(), {"x": ASK}, input_example=ASK[:2])
    with pytest.raises(RejectedError, match=r"cannot be converted to ONNX opset 18: .*bessel_j0"):
        routed.steps()
