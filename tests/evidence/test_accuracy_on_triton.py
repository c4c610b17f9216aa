"""Labelled golden rows, asked of versions that real Tritons serve, as in test_accuracy_served."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.evidence.conftest import deployment, policy
from tests.sandbox.real_servers import NAMESPACE, eventually, revision
from tidegate.documents import Finding, Word
from tidegate.sandbox.triton import TritonRuntime
from tidegate.steps.load_accuracy import accuracy_findings

pytestmark = pytest.mark.real
ROWS = 500
TURNS = {
    "incumbent": 0.0,
    "equal": 0.0,
    "worse": math.pi / 5,
}  # a turn by a gets a / pi labels wrong
CONFIG = """\
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [2] }
output { name: "label" data_type: TYPE_INT64 dims: [1] }
"""


def classifier(angle: float) -> onnx.ModelProto:
    """Which of two numbers is larger, after a turn of the plane."""
    turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "turn"], ["turned"]),
            helper.make_node("ArgMax", ["turned"], ["label"], axis=1, keepdims=1),
        ],
        "larger",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["batch", 1])],
        [numpy_helper.from_array(np.array(turn, np.float32), "turn")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Three real servers, by what their model is."""
    folder = tmp_path_factory.mktemp("served")
    for name, angle in TURNS.items():
        version = folder / name / "m" / ("1" if name == "incumbent" else "2")
        version.mkdir(parents=True)
        onnx.save(classifier(angle), str(version / "model.onnx"))
        (version.parent / "config.pbtxt").write_text(CONFIG)
    with TritonRuntime(folder / "runtime", drain_s=0.0) as runtime:
        for name in TURNS:
            runtime.start(revision(name, (folder / name).as_uri()))
        eventually(lambda: all(runtime.status(NAMESPACE, n).phase == "Ready" for n in TURNS))
        found = {name: runtime.endpoint(NAMESPACE, name) for name in TURNS}
        yield {name: f"127.0.0.1:{one.http}" for name, one in found.items() if one}


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    x = np.random.default_rng(7).normal(size=(ROWS, 2)).astype(np.float32)
    truth = x.argmax(axis=1).reshape(-1, 1).astype(np.int64)
    path = tmp_path / "golden.npz"
    np.savez(path, **{"input.x": x, "output.label": truth, "label.label": truth})
    return path


def judged(hosts: dict[str, str], candidate: str, golden: Path) -> Finding:
    """The candidate beside the incumbent, each asked at its own host."""
    update = {"candidate_host": hosts[candidate], "incumbent_host": hosts["incumbent"]}
    (found,) = accuracy_findings(deployment().model_copy(update=update), policy(), golden)
    return found


def test_a_version_whose_labels_are_worse_on_triton_is_refused_with_how_many(
    hosts: dict[str, str], golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_INGRESS_URL", raising=False)
    found = judged(hosts, "worse", golden)
    assert (found.word, found.blocking, found.samples) == (Word.FAIL, True, ROWS)
    assert found.observed == pytest.approx(-0.2, abs=0.05)
    assert "the incumbent 1.0000; only one of them right in 0 and " in found.message


def test_a_version_that_is_as_right_on_triton_passes(
    hosts: dict[str, str], golden: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_INGRESS_URL", raising=False)
    found = judged(hosts, "equal", golden)
    assert (found.word, found.observed, found.samples) == (Word.PASS, 0.0, ROWS)
