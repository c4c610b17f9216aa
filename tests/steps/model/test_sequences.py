"""A model with a memory: its policy's sequence batching, in the real Triton, asked as sequences of one."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from tidegate.adapters import serving, tritonserver
from tidegate.adapters.served_model import answers_as
from tidegate.core.asked import probe_of
from tidegate.documents import Probe, RepositoryModel, Tensor
from tidegate.errors import DocumentError, RejectedError

CODE = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([
                pb_utils.Tensor("twice", pb_utils.get_input_tensor_by_name(one, "Y").as_numpy() * 2)
            ])
            for one in requests
        ]
"""
CONFIG = """\
max_batch_size: 32
input { name: "Y" data_type: TYPE_FP32 dims: [2] }
output { name: "twice" data_type: TYPE_FP32 dims: [2] }
"""
SERVER = shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])
INPUTS = (Tensor(name="X", dtype="FP32", shape=(-1, 2)),)


def begun() -> Any:
    """Y = X where the sequence begins, else 0: what a request without its signal would get."""
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["START"], ["began"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["X", "began"], ["Y"]),
        ],
        "begun",
        [
            helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("START", TensorProto.INT32, ["batch", 1]),
        ],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 2])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.fixture
def optimized(release: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", SERVER)
    version(release)
    release.fetched("onnx")
    assert release.run("optimize")["verdict"] == "PASS"
    return release


def version(release: Any) -> tuple[Path, Any]:
    """Its tree and its rows, under a policy that says its sequences."""
    rows = np.random.default_rng(3).normal(size=(64, 2)).astype(np.float32)
    tree = release.onnx_tree(begun())
    release.golden(tree, {"X": rows, "START": np.ones((64, 1), np.int32)})
    release.policy["triton"] = {
        "sequence_batching": {"signals": {"start": "START"}}, "version_policy": {"latest": 1},
    }  # fmt: skip
    return tree, rows


@pytest.mark.real
def test_it_is_configured_loaded_and_asked_with_a_sequence_for_each_row(
    optimized: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = optimized.run("configure")
    assert result["verdict"] == "PASS", result
    document = optimized.document("repository_document")
    assert [t["name"] for t in document["inputs"]] == ["X"]
    assert document["sequential"] is True
    (found,) = (f for f in document["findings"] if f["name"] == "load and query")
    assert "64 golden rows answered as by" in found["message"]
    with tritonserver.serving(optimized.path("repository"), "digits") as server:
        monkeypatch.delenv("TIDEGATE_INGRESS_URL", raising=False)
        host = server.http.removeprefix("http://")
        probe = Probe(model="digits", inputs=INPUTS, version="7", sequential=True)
        answers_as(host, probe, within_s=10)
        with pytest.raises(RejectedError, match="correlation ID"):
            answers_as(host, probe.model_copy(update={"sequential": False}), within_s=10)


@pytest.mark.real
def test_an_ensemble_with_such_a_step_is_asked_with_sequences_too(
    release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", SERVER)
    tree, rows = version(release)
    (tree / "post").mkdir()
    (tree / "post" / "model.py").write_text(CODE)
    (tree / "post" / "config.pbtxt").write_text(CONFIG)
    np.savez(tree / "golden-ensemble.npz", **{"input.X": rows, "output.twice": 2 * rows})
    release.fetched("onnx")
    release.policy["model"]["allow_code"] = True
    release.policy["repository"] = {"models": [{"name": "post", "code": "post", "role": "post"}]}
    assert release.run("optimize")["verdict"] == "PASS"
    result = release.run("configure")
    assert result["verdict"] == "PASS", result
    document = release.document("repository_document")
    assert document["sequential"] is True
    (found,) = (f for f in document["findings"] if f["name"] == "load and query")
    assert "64 golden rows answered as by the golden data of the ensemble" in found["message"]


def test_captured_requests_of_a_sequence_are_refused_with_what_is_sent_instead(
    optimized: Any,
) -> None:
    optimized.policy["load"] = {"capture": "captured.jsonl"}
    with pytest.raises(DocumentError, match=r"load\.capture: .*each golden row is sent as a seq"):
        optimized.run("configure")


@pytest.mark.parametrize("protocol", ["rest", "grpc"])
def test_every_request_of_a_load_begins_and_ends_a_sequence_of_its_own(protocol: str) -> None:
    rows = [{"X": np.zeros((1, 2), np.float32)} for _ in range(20)]
    said = [parameters(protocol, one) for one in sent(protocol, rows)]
    assert all(one["sequence_start"] and one["sequence_end"] for one in said)
    ids = {one["sequence_id"] for one in said}
    assert len(ids) == 20
    assert all(2**30 <= one < 2**31 for one in ids)


def sent(protocol: str, rows: list[dict[str, Any]]) -> tuple[Any, ...]:
    if protocol == "rest":
        return serving.rest_requests(rows, INPUTS, outputs=("Y",), sequential=True)
    return serving.grpc_requests(rows, INPUTS, outputs=("Y",), model="m", sequential=True)


def parameters(protocol: str, request: Any) -> dict[str, Any]:
    if protocol == "rest":
        header = json.loads(request.body[: request.header_length])
        return dict(header["parameters"])
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferRequest.FromString(request.body)
    return {
        "sequence_id": message.parameters["sequence_id"].int64_param,
        "sequence_start": message.parameters["sequence_start"].bool_param,
        "sequence_end": message.parameters["sequence_end"].bool_param,
    }


def test_a_load_and_a_probe_ask_a_sequence_and_for_what_clients_get_alone(tmp_path: Path) -> None:
    from tests.evidence.conftest import deployment, policy
    from tidegate.adapters.lanes import candidate_way

    path = tmp_path / "golden.npz"
    x = np.zeros((3, 2), np.float32)
    np.savez(path, **{"input.x": x, "output.x": x, "output.kept": x})
    whole = deployment()
    repository = whole.repository.model_copy(update={"sequential": True})
    way = candidate_way(whole.model_copy(update={"repository": repository}), policy(), golden=path)
    said = asked_for(way)
    assert [one["name"] for one in said["outputs"]] == ["x"]
    assert said["parameters"]["sequence_end"] is True
    assert probe_of(repository, policy()).sequential is True


def test_such_a_model_beside_the_released_one_is_asked_with_sequences_too(tmp_path: Path) -> None:
    from tests.evidence.conftest import deployment, policy
    from tidegate.adapters.lanes import companion_way

    path = tmp_path / "golden.npz"
    x = np.zeros((3, 2), np.float32)
    np.savez(path, **{"input.X": x, "output.Y": x})
    told = {"name": "other", "role": "beside", "backend": "python", "version": "2"}
    rest = {"source": "other version 2", "digest": "d", "inputs": INPUTS, "sequential": True}
    one = RepositoryModel.model_validate(told | rest)
    assert asked_for(companion_way(deployment(), policy(), one, golden=path))["parameters"]
    models = {"models": (one,)}
    whole = deployment().repository.model_copy(update=models)
    (beside,) = probe_of(whole, policy()).beside
    assert beside.sequential is True


def asked_for(way: Any) -> dict[str, Any]:
    """What the first request of a load says."""
    first = way.requests[0]
    return dict(json.loads(first.body[: first.header_length or 0]))
