"""Real tritonservers as revisions: served answers, failures in Triton's words, restarts, drain."""

import signal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest

from tests.sandbox.real_servers import (
    BLUE,
    GREEN,
    NAMESPACE,
    Digits,
    at_once,
    body,
    eventually,
    revision,
    settled,
    write_model,
)
from tidegate.sandbox.triton import TritonRuntime

pytestmark = pytest.mark.real


def infer(runtime: TritonRuntime, name: str, request: dict[str, object]) -> httpx.Response:
    endpoint = runtime.endpoint(NAMESPACE, name)
    assert endpoint is not None
    url = f"http://127.0.0.1:{endpoint.http}/v2/models/digits/infer"
    return httpx.post(url, json=request, timeout=20, trust_env=False)


def outputs(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    found = response.json()["outputs"]
    return {o["name"]: np.array(o["data"]).reshape(o["shape"]) for o in found}


def test_a_sklearn_model_served_by_triton_answers_as_onnxruntime_does(
    runtime: TritonRuntime, digits: Digits
) -> None:
    images = digits.images[:32]
    served = outputs(infer(runtime, BLUE, body(images)))
    labels, probabilities = digits.answers(images)
    assert served["label"].shape == (32, 1)  # dims [1] reshape { shape: [] }
    np.testing.assert_array_equal(served["label"].ravel(), labels)
    np.testing.assert_allclose(served["probabilities"], probabilities, rtol=1e-6)


def test_concurrent_requests_of_different_sizes_are_batched_and_split_back(
    runtime: TritonRuntime, digits: Digits
) -> None:
    sizes = [1, 2, 3, 5, 8, 1, 4, 7] * 3
    labels, _ = digits.answers(digits.images)
    before = executions(runtime)

    def ask(index: int) -> None:
        part = slice(index * 10, index * 10 + sizes[index])
        served = outputs(infer(runtime, GREEN, body(digits.images[part])))
        np.testing.assert_array_equal(served["label"].ravel(), labels[part])

    at_once(len(sizes), ask)
    assert executions(runtime) - before < len(sizes)


def executions(runtime: TritonRuntime) -> int:
    endpoint = runtime.endpoint(NAMESPACE, GREEN)
    assert endpoint is not None
    url = f"http://127.0.0.1:{endpoint.http}/v2/models/digits/stats"
    count: int = httpx.get(url, trust_env=False).json()["model_stats"][0]["execution_count"]
    return count


def test_only_the_requested_outputs_are_returned(runtime: TritonRuntime, digits: Digits) -> None:
    request = {**body(digits.images[:2]), "outputs": [{"name": "label"}]}
    assert set(outputs(infer(runtime, BLUE, request))) == {"label"}


def test_a_config_without_tensors_is_completed_from_the_graph(
    runtime: TritonRuntime, digits: Digits, tmp_path: Path
) -> None:
    write_model(tmp_path, digits.model, config='backend: "onnxruntime"\n')
    runtime.start(revision("completed", tmp_path))
    assert settled(runtime, "completed").phase == "Ready", runtime.status(NAMESPACE, "completed")
    served = outputs(infer(runtime, "completed", body(digits.images[:3])))
    np.testing.assert_array_equal(served["label"], digits.answers(digits.images[:3])[0][:, None])
    runtime.stop(NAMESPACE, "completed")


def test_a_model_folder_with_a_graph_and_its_external_data_is_found(
    runtime: TritonRuntime, digits: Digits, tmp_path: Path
) -> None:
    write_model(tmp_path, digits.model)
    version = tmp_path / "digits" / "1"
    (version / "model.onnx").rename(version / "graph")
    (version / "model.onnx").mkdir()
    (version / "graph").rename(version / "model.onnx" / "model.onnx")
    runtime.start(revision("folder", tmp_path))
    assert settled(runtime, "folder").phase == "Ready", runtime.status(NAMESPACE, "folder")
    runtime.stop(NAMESPACE, "folder")


def test_a_broken_model_fails_in_triton_s_own_words_and_is_tried_again(
    runtime: TritonRuntime, tmp_path: Path
) -> None:
    write_model(tmp_path, b"this is no graph")
    runtime.start(revision("broken", tmp_path))
    status = settled(runtime, "broken")
    assert (status.phase, status.reason, status.exit_code) == ("Failed", "ModelLoadFailed", 1)
    assert "failed to load 'digits'" in status.message
    assert "Protobuf parsing failed" in status.message
    eventually(lambda: runtime.status(NAMESPACE, "broken").restarts >= 2)
    runtime.stop(NAMESPACE, "broken")


def test_an_output_that_the_graph_lacks_fails_the_load(
    runtime: TritonRuntime, digits: Digits, tmp_path: Path
) -> None:
    config = (digits.repository / "digits" / "config.pbtxt").read_text()
    write_model(tmp_path, digits.model, config=config.replace('"probabilities"', '"scores"'))
    runtime.start(revision("misnamed", tmp_path))
    status = settled(runtime, "misnamed")
    assert status.reason == "ModelLoadFailed"
    assert "unexpected inference output 'scores'" in status.message
    runtime.stop(NAMESPACE, "misnamed")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("hdfs://models/digits/", "no storage behind this scheme"),
        ("file:///nowhere/at/all/", "No model found"),
        ("pvc://claim/digits", "persistentvolumeclaim 'claim' not found"),
    ],
)
def test_storage_that_cannot_be_fetched_says_why(
    runtime: TritonRuntime, uri: str, words: str
) -> None:
    name = f"storage-{abs(hash(uri))}"
    runtime.start(revision(name, uri))
    status = settled(runtime, name)
    assert (status.phase, status.reason) == ("Failed", "StorageInitializerFailed")
    assert words in status.message
    runtime.stop(NAMESPACE, name)


def test_a_crashed_server_is_counted_and_comes_back_on_its_ports(
    runtime: TritonRuntime, digits: Digits
) -> None:
    runtime.start(revision("crashing", digits.repository))
    assert settled(runtime, "crashing").phase == "Ready"
    before = runtime.endpoint(NAMESPACE, "crashing")
    (pod,) = [p for p in runtime.pods() if p.spec.name == "crashing"]
    assert pod.pid is not None
    psutil.Process(pod.pid).send_signal(signal.SIGKILL)
    eventually(lambda: runtime.status(NAMESPACE, "crashing").restarts == 1)
    eventually(lambda: runtime.status(NAMESPACE, "crashing").phase == "Ready")
    assert runtime.endpoint(NAMESPACE, "crashing") == before
    runtime.stop(NAMESPACE, "crashing")


def test_a_stopped_revision_answers_until_the_drain_is_over(
    runtime: TritonRuntime, digits: Digits
) -> None:
    runtime.start(revision("leaving", digits.repository))
    assert settled(runtime, "leaving").phase == "Ready"
    (pod,) = [p for p in runtime.pods() if p.spec.name == "leaving"]
    runtime.stop(NAMESPACE, "leaving")
    assert infer(runtime, "leaving", body(digits.images[:1])).status_code == 200
    eventually(lambda: runtime.status(NAMESPACE, "leaving").phase == "Stopped")
    assert pod.pid is not None
    assert not psutil.pid_exists(pod.pid)


def test_a_revision_that_was_never_started_is_stopped(runtime: TritonRuntime) -> None:
    assert runtime.status(NAMESPACE, "unknown").phase == "Stopped"
    assert runtime.endpoint(NAMESPACE, "unknown") is None
    runtime.stop(NAMESPACE, "unknown")
