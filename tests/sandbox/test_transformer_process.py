"""A transformer in the model's pod, as a process between the real Envoy and the real Triton."""

import json
import signal
import sys
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests.sandbox.real_servers import (
    HOST,
    NAMESPACE,
    Digits,
    eventually,
    revision,
    settled,
)
from tidegate.sandbox import program
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import HostRoute, Program
from tidegate.sandbox.revision import log_of
from tidegate.sandbox.triton import TritonRuntime

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits-transformer" / "transformer.py"
TRANSFORMER = "transformer-container"


def transformer(*argv: str) -> Program:
    return Program(
        container=TRANSFORMER, argv=argv, port=8081, ready_path="/v2/health/ready"
    )  # fmt: skip


SCALING = transformer(
    sys.executable, str(EXAMPLE), "--http_port=8081", "--predictor_host=localhost:8080"
)


def raw(digits: Digits, count: int) -> dict[str, object]:
    """Pixels of 0 to 16, as clients have them."""
    pixels = np.rint(digits.images[:count] * 16).astype(int)
    tensor = {"name": "pixels", "datatype": "INT64", "shape": list(pixels.shape)}
    return {"inputs": [{**tensor, "data": pixels.ravel().tolist()}]}


@pytest.mark.real
def test_raw_pixels_are_answered_as_the_model_answers_scaled_ones_and_a_dead_transformer_comes_back(
    runtime: TritonRuntime, ingress: EnvoyIngress, digits: Digits
) -> None:
    name = "digits-predictor-00007"
    runtime.start(revision(name, digits.repository, program=SCALING))
    assert settled(runtime, name).phase == "Ready", runtime.status(NAMESPACE, name)
    ingress.program([HostRoute(host=HOST, weights=((NAMESPACE, name, 100),))])

    def ask() -> httpx.Response:
        url = f"{ingress.url}/v2/models/digits/infer"
        return httpx.post(url, json=raw(digits, 20), headers={"Host": HOST}, trust_env=False)

    answer = ask()
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-tidegate-revision"] == name
    assert answer.json()["model_version"] == "1"
    labels = next(o["data"] for o in answer.json()["outputs"] if o["name"] == "label")
    np.testing.assert_array_equal(labels, digits.answers(digits.images[:20])[0])

    endpoint = runtime.endpoint(NAMESPACE, name)
    assert endpoint is not None
    (pod,) = [p for p in runtime.pods() if p.spec.name == name]
    (beside,) = [
        p for p in psutil.process_iter(["cmdline"])
        if f"--http_port={endpoint.program}" in (p.info["cmdline"] or [])
    ]  # fmt: skip
    beside.send_signal(signal.SIGKILL)
    eventually(lambda: runtime.status(NAMESPACE, name).phase == "Failed")
    assert runtime.status(NAMESPACE, name).container == TRANSFORMER
    eventually(lambda: runtime.status(NAMESPACE, name).phase == "Ready")
    assert ask().status_code == 200
    assert [p.pid for p in runtime.pods() if p.spec.name == name] == [pod.pid]  # Triton ran on
    runtime.stop(NAMESPACE, name)


@pytest.mark.real
def test_a_transformer_that_crashes_keeps_its_revision_from_ready_with_its_own_last_line(
    runtime: TritonRuntime, digits: Digits
) -> None:
    name = "digits-predictor-00008"
    broken = transformer(sys.executable, "-c", "raise SystemExit('no feature store at feast:6566')")
    runtime.start(revision(name, digits.repository, program=broken))
    status = settled(runtime, name)
    assert (status.phase, status.reason, status.exit_code) == ("Failed", "CrashLoop", 1)
    assert status.container == TRANSFORMER
    assert status.message == "no feature store at feast:6566"
    (pod,) = [p for p in runtime.pods() if p.spec.name == name]
    assert "feast:6566" in log_of(pod.log, TRANSFORMER).read_text()
    runtime.stop(NAMESPACE, name)


@pytest.mark.real
def test_a_transformer_that_cannot_be_started_says_why(
    runtime: TritonRuntime, digits: Digits, tmp_path: Path
) -> None:
    program = tmp_path / "transformer"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    name = "digits-predictor-00009"
    runtime.start(revision(name, digits.repository, program=transformer(str(program))))
    status = settled(runtime, name)
    assert (status.phase, status.reason, status.exit_code) == ("Failed", "CrashLoop", 128)
    assert status.container == TRANSFORMER
    assert f"No such file or directory: '{program}'" in status.message
    runtime.stop(NAMESPACE, name)


def test_what_a_container_says_of_its_own_pod_is_rewritten_to_the_ports_of_this_machine() -> None:
    asked = Program(
        container=TRANSFORMER,
        argv=(
            sys.executable,
            "--http_port",
            "8081",
            "--predictor_host=localhost:8080",
            "--host=0.0.0.0",
            "--bind=0.0.0.0:8081",
            "feast:8080",
            "10.0.0.0",
        ),
        port=8081,
        env={"MODEL_URL": "http://127.0.0.1:8080/v2", "LISTEN_ON": "0.0.0.0"},
    )
    ports = {8080: 20001, 8081: 20002}
    assert program.arguments(asked, ports)[1:] == [
        "--http_port", "20002", "--predictor_host=127.0.0.1:20001", "--host=127.0.0.1",
        "--bind=127.0.0.1:20002", "feast:8080", "10.0.0.0",
    ]  # fmt: skip
    found = program.environment(revision("r", "file:///m/"), asked, ports)
    assert (found["MODEL_URL"], found["LISTEN_ON"]) == ("http://127.0.0.1:20001/v2", "127.0.0.1")
    assert (found["PORT"], found["K_REVISION"]) == ("20002", "r")


def test_the_example_refuses_a_request_without_the_raw_tensor_by_its_name() -> None:
    import importlib.util

    found = importlib.util.spec_from_file_location("transformer", EXAMPLE)
    assert found is not None
    assert found.loader is not None
    example = importlib.util.module_from_spec(found)
    found.loader.exec_module(example)
    with pytest.raises(ValueError, match="no tensor pixels"):
        example.scaled(json.loads('{"inputs": []}'), raw="pixels", tensor="X", scale=16.0)
