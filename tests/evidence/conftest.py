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
        "rate_rps": 200.0,
        "pairs": 2,
        "block_requests": 100,
        "max_extensions": 0,
        "warmup_s": 0.1,
        "max_warmup_s": 2.0,
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

        def start(
            *, grpc: bool = False, tls: dict[str, str] | None = None, **hosts: dict[str, Any]
        ) -> dict[str, int]:
            named = {f"{name}.test": one for name, one in hosts.items()}
            wanted = {"hosts": named, "grpc": grpc, "tls": tls}
            ports = stack.enter_context(inference_server(wanted))
            port, scheme = ports["grpc" if grpc else "http"], "https" if tls else "http"
            monkeypatch.setenv("TIDEGATE_INGRESS_URL", f"{scheme}://127.0.0.1:{port}")
            return ports

        yield start


Scraped = tuple[str, dict[str, int]]


@pytest.fixture(scope="session", autouse=True)
def scraping(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scraped | None]:
    """One real Prometheus, and a server for each of seven tests: revisions one to seven, by port.

    Together, and as soon as the session begins, because Prometheus first scrapes 5 seconds later.
    """
    wanted = any("scraped" in getattr(item, "fixturenames", ()) for item in request.session.items)
    if not wanted or not has_prometheus():
        yield None
        return
    with contextlib.ExitStack() as stack:
        ports = {}
        for name in ("one", "two", "three", "four", "five", "six", "seven"):
            hosts = {f"{name}.test": {"revision": name, "version": "1"}, f"{name}-b.test": {}}
            ports[name] = stack.enter_context(inference_server({"hosts": hosts}))["http"]
        folder = tmp_path_factory.mktemp("prometheus")
        yield stack.enter_context(prometheus(folder, *ports.values())), ports


@pytest.fixture
def scraped(scraping: Scraped | None) -> Scraped:
    """The same, once each server has been scraped."""
    if scraping is None:
        pytest.skip("needs the Debian package prometheus")
    url, ports = scraping
    await_scraped(url, len(ports))
    return scraping


def has_prometheus() -> bool:
    """Whether the Debian package is there."""
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


@contextlib.contextmanager
def inference_server(wanted: dict[str, Any]) -> Iterator[dict[str, int]]:
    """v2_server.py and its ports."""
    script = str(Path(__file__).with_name("v2_server.py"))
    with running([sys.executable, script, json.dumps(wanted)]) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())


@contextlib.contextmanager
def remembering(folder: Path, exposition: str) -> Iterator[str]:
    """A real Prometheus with a past: OpenMetrics lines with their time, without a scrape to wait for."""
    if not has_prometheus():
        pytest.skip("needs the Debian package prometheus")
    text = folder / "past.om"
    text.write_text(exposition + "# EOF\n")
    past = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text)]
    subprocess.run([*past, str(folder / "tsdb")], check=True, capture_output=True)
    with prometheus(folder) as url:
        await_scraped(url, 0)
        yield url


AHEAD_S = 600  # a series that is fresh stays so for as long as the tests that share it may take


def lines(
    metric: str, labels: dict[str, str], per_s: float, *, until: float, ahead: int = 0
) -> str:
    """One counter's last three minutes, a sample every 5 s; up to `until` seconds ago, or so far ahead."""
    shown, now = ",".join(f'{k}="{v}"' for k, v in labels.items()), time.time()
    return "".join(
        f"{metric}{{{shown}}} {per_s * (180 - ago):g} {now - ago:.3f}\n"
        for ago in range(180, -ahead - 1, -5)
        if ago >= until
    )


def flat(metric: str, labels: dict[str, str], value: float) -> str:
    """A number that stays what it is, for as long as a test that asks for it may come late."""
    shown, now = ",".join(f'{k}="{v}"' for k, v in labels.items()), time.time()
    return "".join(
        f"{metric}{{{shown}}} {value:g} {now - ago:.3f}\n" for ago in range(180, -AHEAD_S - 1, -5)
    )


def answered(
    namespace: str,
    revision: str,
    rps: float,
    *,
    slow: float = 0,
    failed: float = 0,
    until: float = 0,
) -> str:
    """A revision's queue-proxy histogram; slow and failed are shares; slow: 250 to 500 ms."""
    text = ""
    for code, share in (("200", 1 - failed), ("503", failed)):
        labels = {"namespace": namespace, "serving_knative_dev_revision": revision}
        labels["http_response_status_code"] = code
        for edge, below in (("0.1", 1 - slow), ("0.25", 1 - slow), ("0.5", 1.0), ("+Inf", 1.0)):
            name = "kn_serving_invocation_duration_seconds_bucket"
            per_s = rps * share * below
            text += (
                lines(name, labels | {"le": edge}, per_s, until=until or -AHEAD_S, ahead=AHEAD_S)
                if share
                else ""
            )
    return text


@pytest.fixture(scope="session")
def past_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus that remembers a release in each of some namespaces."""
    labels = {"namespace": "default", "revision": CANDIDATE}
    text = (
        flat("failures", labels, 3)
        + flat("failures", labels | {"revision": "other"}, 90)
        + lines("old", labels, 1, until=60)
    )
    candidates: dict[str, dict[str, float]] = {
        "good": {}, "failing": {"failed": 0.2}, "slow": {"slow": 0.2}, "stale": {"until": 60},
        "double": {"rps": 20}, "uncounted": {"until": 200},
    }  # fmt: skip
    for namespace, how in candidates.items():
        text += answered(namespace, INCUMBENT, 90)
        text += answered(namespace, CANDIDATE, **({"rps": 10} | how))
    text += answered("suffering", INCUMBENT, 90, failed=0.02, slow=0.2)
    text += answered("unseen", INCUMBENT, 90, until=60)
    text += answered("broken", CANDIDATE, float("nan"))
    gappy = answered("gappy", CANDIDATE, 10).splitlines(keepends=True)
    text += "".join(line for line in gappy if not 60 < time.time() - float(line.split()[-1]) < 99)
    with remembering(tmp_path_factory.mktemp("past"), text) as url:
        yield url


@pytest.fixture
def past(past_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, named in the environment."""
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", past_url)
    return past_url


def free_port() -> int:
    """A port that was free a moment ago."""
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def prometheus(folder: Path, *targets: int) -> Iterator[str]:
    """The real server, as soon as it has been started."""
    config = folder / "prometheus.yml"
    found = {"targets": [f"127.0.0.1:{port}" for port in targets]}
    job = {"job_name": "t", "static_configs": [found]}
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    own = free_port()
    command = [
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{own}",
        "--log.level=error",
        "--scrape.discovery-reload-interval=100ms",  # hidden; else 10 s to the first scrape, not 5
    ]
    with running(command):
        url = f"http://127.0.0.1:{own}"
        yield url


def await_scraped(url: str, targets: int) -> None:
    """Ready is not enough: until its first scrape every series of a target is rightly absent."""
    query = "sum(up) or vector(0)"
    deadline = time.monotonic() + 20
    with httpx.Client(verify=False) as client:  # plain HTTP; reading certificates takes a while
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                answer = client.get(f"{url}/api/v1/query", params={"query": query})
                if f'"{targets}"' in answer.text:
                    return
            time.sleep(0.1)
    raise AssertionError("Prometheus did not scrape its target")
