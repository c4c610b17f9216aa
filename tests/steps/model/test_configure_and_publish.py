"""configure and publish on a small graph; and what they publish, loaded by a real tritonserver."""

import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper

from tidegate.errors import DocumentError, UsageError


def identity(shape: tuple[Any, ...] = ("batch", 4), opset: int = 18, out: Any = None) -> Any:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["X"], ["Y"])],
        "identity",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, out or shape)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def configured(release: Any, graph: Any, rows: Any = None) -> dict[str, Any]:
    tree = release.onnx_tree(graph)
    release.golden(tree, {"X": np.ones((64, 4), np.float32) if rows is None else rows})
    release.fetched("onnx")
    assert release.run("optimize")["verdict"] == "PASS"
    result: dict[str, Any] = release.run("configure")
    return result


def test_the_repository_holds_the_config_and_the_registrys_version_and_no_golden_data(
    release: Any,
) -> None:
    assert configured(release, identity())["verdict"] == "PASS"
    root = release.path("repository")
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    assert files == ["digits/7/model.onnx", "digits/config.pbtxt", "serving.json"]
    document = release.document("repository_document")
    assert (document["model_version"], document["max_batch_size"]) == ("7", 32)
    assert {f["word"] for f in document["findings"]} == {"PASS"}


def test_a_change_of_replica_bounds_alone_is_another_folder_and_so_a_release_of_its_own(
    release: Any,
) -> None:
    configured(release, identity())
    before = release.document("repository_document")["digest"]
    release.policy["serving"] = {"max_replicas": 4}
    assert release.run("configure")["verdict"] == "PASS"
    assert release.document("repository_document")["digest"] != before
    del release.policy["serving"]
    release.policy["traffic"] = {"steps": [50, 100]}
    release.run("configure")
    assert release.document("repository_document")["digest"] == before


def test_a_graph_newer_than_the_target_server_is_refused_before_it_is_published(
    release: Any,
) -> None:
    result = configured(release, identity(opset=22))
    assert result["verdict"] == "FAIL"
    assert result["reason"].startswith("lint: ONNX version: opset 22, Triton 2.51 reads 21")
    assert list(release.path("repository").iterdir()) == []
    published = release.run("publish")
    assert published["verdict"] == "FAIL"
    assert release.document("published")["kind"] == "Refusal"


def test_a_batch_axis_that_is_named_apart_is_refused(release: Any) -> None:
    result = configured(release, identity(out=("rows", 4)))
    assert result["verdict"] == "FAIL"
    assert "axis 0 differs between tensors (X[batch], Y[rows])" in result["reason"]


def test_a_graph_with_a_fixed_batch_is_served_unbatched_and_the_findings_say_so(
    release: Any,
) -> None:
    assert configured(release, identity(shape=(1, 4)))["verdict"] == "PASS"
    document = release.document("repository_document")
    assert document["max_batch_size"] == 0
    notes = [f["message"] for f in document["findings"] if not f["blocking"]]
    assert notes == ["the model has no free batch axis: served without batching"]


def test_a_free_axis_is_warmed_up_at_the_golden_rows_size(release: Any) -> None:
    rows = np.ones((64, 3, 5), np.float32)
    configured(release, identity(shape=("batch", 3, "width")), rows)
    text = (release.path("repository") / "digits" / "config.pbtxt").read_text()
    assert "dims: [3, -1]" in text
    assert "dims: [3, 5]" in text


def test_external_data_get_the_folder_that_the_backend_wants(release: Any, tmp_path: Path) -> None:
    from tidegate.adapters import model_repository
    from tidegate.core.model_config import ModelConfig

    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("model.onnx", "model.onnx.data", "golden.npz"):
        (tree / name).write_bytes(b"x")
    config = ModelConfig(name="m", backend="onnxruntime")
    model_repository.write(
        tmp_path / "root", config, "text", version="7", model_tree=tree, model_file="model.onnx"
    )
    found = sorted(p.name for p in (tmp_path / "root" / "m" / "7" / "model.onnx").iterdir())
    assert found == ["model.onnx", "model.onnx.data"]


def test_publish_names_the_place_by_version_and_digest_and_copies_once(release: Any) -> None:
    configured(release, identity())
    first = release.run("publish")
    digest = release.document("repository_document")["digest"].removeprefix("sha256:")[:12]
    assert first["storage_uri"].endswith(f"/store/digits/7-{digest}/")
    assert release.document("published")["uploaded"] is True
    assert release.run("publish") == first
    assert release.document("published")["uploaded"] is False


def test_a_repository_that_was_changed_is_not_published(release: Any, tmp_path: Path) -> None:
    configured(release, identity())
    (release.path("repository") / "digits" / "config.pbtxt").write_text("name: 'other'")
    with pytest.raises(DocumentError, match="use the folder and the document of one run"):
        release.run("publish")
    assert not (tmp_path / "store").exists()


def test_publish_needs_to_know_where(release: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(release, identity())
    monkeypatch.delenv("TIDEGATE_STORAGE_URI")
    with pytest.raises(UsageError, match="TIDEGATE_STORAGE_URI is not set; set it to the folder"):
        release.run("publish")


@pytest.mark.real
def test_a_real_tritonserver_serves_what_was_published_and_nothing_else(
    release: Any, digits: Any, tmp_path: Path
) -> None:
    from tidegate.sandbox.interfaces import RevisionSpec
    from tidegate.sandbox.triton import TritonRuntime

    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows})
    release.fetched("sklearn")
    for name in ("optimize", "configure"):
        assert release.run(name)["verdict"] == "PASS"
    result = release.run("publish")
    spec = RevisionSpec(
        namespace="n", name="r", service="s", inferenceservice="i",
        storage_uri=result["storage_uri"], labels={},
    )  # fmt: skip
    with TritonRuntime(tmp_path / "triton") as runtime:
        runtime.start(spec)
        wait_ready(runtime)
        endpoint = runtime.endpoint("n", "r")
        assert endpoint is not None
        url = f"http://127.0.0.1:{endpoint.http}"
        index = httpx.post(f"{url}/v2/repository/index").json()
        answer = httpx.post(f"{url}/v2/models/digits/infer", json=request(digits.rows[:32])).json()
    assert [(m["name"], m["version"], m["state"]) for m in index] == [("digits", "7", "READY")]
    served = {o["name"]: o["data"] for o in answer["outputs"]}
    assert answer["model_version"] == "7"
    assert served["label"] == digits.model.predict(digits.rows[:32]).tolist()


def wait_ready(runtime: Any) -> None:
    deadline = time.monotonic() + 60
    while (status := runtime.status("n", "r")).phase != "Ready":
        assert status.phase != "Failed", status.message
        assert time.monotonic() < deadline, status
        time.sleep(0.1)


def request(rows: Any) -> dict[str, Any]:
    tensor = {
        "name": "X",
        "shape": list(rows.shape),
        "datatype": "FP32",
        "data": rows.ravel().tolist(),
    }
    return {"inputs": [tensor]}


def test_fields_written_by_hand_are_in_the_config_and_bad_ones_are_one_line(release: Any) -> None:
    release.policy["triton"] = {"config": 'metric_tags { key: "team" value: "vision" }\n'}
    assert configured(release, identity())["verdict"] == "PASS"
    text = (release.path("repository") / "digits" / "config.pbtxt").read_text()
    assert 'metric_tags {\n  key: "team"' in text
    release.policy["triton"] = {"config": 'backend: "python"'}
    with pytest.raises(DocumentError, match=r"triton.config: backend is 'python', and the model"):
        release.run("configure")
    release.policy["triton"] = {"config": "bogus: 1"}
    with pytest.raises(DocumentError, match=r"triton.config: .*no field named"):
        release.run("configure")
