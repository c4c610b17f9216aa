"""Real servers for the evidence half: an inference server per test, one Prometheus that scrapes it."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tidegate.documents import Deployment, Incumbent, ModelRepository, Subject, Tensor
from tidegate.policy import Policy

SUBJECT = Subject(model="m", version="2", digest="sha256:" + "1" * 64)
CANDIDATE, INCUMBENT = "m-predictor-00002", "m-predictor-00001"


def deployment(*, first_release: bool = False, version: str = "2") -> Deployment:
    """A candidate at 0 %, beside an incumbent unless it is the first release."""
    tensor = Tensor(name="x", dtype="FP32", shape=(-1, 2))
    repository = ModelRepository(
        subject=SUBJECT,
        triton_model="m",
        triton_version="2.51",
        model_version=version,
        backend="onnxruntime",
        max_batch_size=8,
        inputs=(tensor,),
        outputs=(tensor,),
        digest="sha256:" + "2" * 64,
    )
    incumbent = Incumbent(
        revision=INCUMBENT, storage_uri="s3://models/1/", predictor={}, version="1"
    )
    return Deployment(
        subject=SUBJECT,
        release_id="r-1",
        name="m",
        namespace="default",
        mode="Knative",
        repository=repository,
        storage_uri="s3://models/2/",
        candidate_revision=CANDIDATE,
        candidate_host="candidate.test",
        production_host="production.test",
        incumbent=None if first_release else incumbent,
        incumbent_host="" if first_release else "incumbent.test",
        initial=first_release,
        isvc_uid="u",
    )


def policy(**sections: Any) -> Policy:
    """A policy with a short load test."""
    load = {
        "rate_rps": 100.0,
        "pairs": 2,
        "block_requests": 100,
        "warmup_s": 0.2,
        "max_lag_ms": 250.0,
    } | sections.pop("load", {})
    model = {"uri": "models:/m/2"}
    return Policy.model_validate({"name": "m", "model": model, "load": load} | sections)


@pytest.fixture
def golden_tree(tmp_path: Path) -> Path:
    """A tree with golden.npz of the model that v2_server.py serves."""
    tree = tmp_path / "optimized"
    tree.mkdir()
    x = np.random.default_rng(7).normal(size=(20, 2)).astype(np.float32)
    label = (x.sum(axis=1) > 0).astype(np.int64)
    np.savez(tree / "golden.npz", **{"input.x": x, "output.label": label, "output.score": 2 * x})
    return tree


@contextlib.contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone afterwards."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


Serve = Callable[..., dict[str, int]]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start the inference server with the behaviour of each host; TIDEGATE_INGRESS_URL names it."""
    with contextlib.ExitStack() as stack:

        def start(*, grpc: bool = False, **hosts: dict[str, Any]) -> dict[str, int]:
            wanted = {"hosts": {f"{name}.test": one for name, one in hosts.items()}, "grpc": grpc}
            command = [
                sys.executable,
                str(Path(__file__).with_name("v2_server.py")),
                json.dumps(wanted),
            ]
            process = stack.enter_context(running(command))
            assert process.stdout is not None
            ports: dict[str, int] = json.loads(process.stdout.readline())
            port = ports["grpc" if grpc else "http"]
            monkeypatch.setenv("TIDEGATE_INGRESS_URL", f"http://127.0.0.1:{port}")
            return ports

        yield start


@pytest.fixture
def scrape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], str]]:
    """Start the real Prometheus on an exposition port, scraped every second; returns its URL."""
    if shutil.which("prometheus") is None:
        pytest.skip("needs the Debian package prometheus")
    with contextlib.ExitStack() as stack:

        def start(port: int) -> str:
            url = stack.enter_context(prometheus(tmp_path, port))
            monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", url)
            return url

        yield start


def free_port() -> int:
    """A port that was free a moment ago."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def prometheus(folder: Path, port: int) -> Iterator[str]:
    """The real server, ready to be asked."""
    config = folder / "prometheus.yml"
    target = {"job_name": "t", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [target]}))
    own = free_port()
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with running([*command, f"--web.listen-address=127.0.0.1:{own}", "--log.level=error"]):
        url = f"http://127.0.0.1:{own}"
        _await_ready(url)
        yield url


def _await_ready(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/-/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("Prometheus did not become ready")
