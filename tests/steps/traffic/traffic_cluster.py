"""The emulated Kubernetes API with its real controllers, over a data plane whose fate the test decides."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import load_journal
from tidegate.core.journal import Journal
from tidegate.documents import (
    Deployment,
    ModelRepository,
    Published,
    Refusal,
    RepositoryModel,
    Subject,
    Tensor,
    Verdict,
    Word,
)
from tidegate.policy import Policy
from tidegate.sandbox.api.rbac import Rules
from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop
from tidegate.sandbox.interfaces import HostRoute, RevisionSpec, RevisionStatus

POLL_S = 0.02
NAME = "digits"


class Runtime:
    """Revisions are ready at once unless the test says otherwise for their storage URI."""

    def __init__(self) -> None:
        self.specs: dict[str, RevisionSpec] = {}
        self.stopped: set[str] = set()
        self.fates: dict[str, RevisionStatus] = {}
        self.fates_of_new: dict[str, RevisionStatus] = {}  # of revisions started from now on
        self._own: dict[str, str] = {}

    def start(self, spec: RevisionSpec) -> None:
        if spec.replica:
            return  # as its first one is
        if spec.name not in self.specs and spec.storage_uri in self.fates_of_new:
            self._own[spec.name] = spec.storage_uri
        self.specs[spec.name] = spec
        self.stopped.discard(spec.name)

    def status(self, namespace: str, name: str, replica: int = 0) -> RevisionStatus:
        if name not in self.specs or name in self.stopped:
            return RevisionStatus(phase="Stopped")
        if fate := self.fates_of_new.get(self._own.get(name, "")):
            return fate
        return self.fates.get(self.specs[name].storage_uri, RevisionStatus(phase="Ready"))

    def stop(self, namespace: str, name: str, replica: int = 0) -> None:
        if not replica:
            self.stopped.add(name)


class Jobs:
    """Jobs end at once, with this exit code."""

    def __init__(self) -> None:
        self.exit_code = 0
        self._pods: dict[tuple[str, str], list[str]] = {}

    def start(self, namespace: str, pod: str, containers: Sequence[Mapping[str, Any]]) -> None:
        self._pods[namespace, pod] = [one["name"] for one in containers]

    def exits(self, namespace: str, pod: str) -> dict[str, int | None]:
        return dict.fromkeys(self._pods.get((namespace, pod), ()), self.exit_code)

    def stop(self, namespace: str, pod: str) -> None:
        self._pods.pop((namespace, pod), None)


@dataclass
class Ingress:
    """Remembers the table, and every share that a revision ever had of production."""

    table: dict[str, HostRoute] = field(default_factory=dict)
    seen: list[dict[str, int]] = field(default_factory=list)

    def program(self, routes: Sequence[HostRoute]) -> None:
        self.table = {route.host: route for route in routes}
        production = self.table.get(f"{NAME}.default.example.com")
        if production:
            self.seen.append({name: percent for _, name, percent in production.weights})


@dataclass
class Cluster:
    """What a test holds in its hands."""

    api: ApiServer
    runtime: Runtime
    ingress: Ingress
    ingress_url: str
    kube: Kubernetes
    jobs: Jobs
    answers: dict[str, str] = field(default_factory=dict)  # storage URI -> version that answers
    broken: set[str] = field(default_factory=set)  # models that fail, whoever serves them

    @property
    def service(self) -> InferenceServices:
        return InferenceServices(self.kube, "default", NAME)

    @property
    def journal(self) -> Journal:
        stored = load_journal(self.kube, "default", NAME)
        assert stored is not None
        return stored.journal

    @property
    def traffic(self) -> dict[str, int]:
        seen = self.service.look()
        return seen.traffic if seen else {}

    @property
    def serving(self) -> set[str]:
        """The storage URIs that production reaches."""
        return {self._uri(name) for name in self.traffic}

    def _uri(self, name: str) -> str:
        """Of a revision, or of a Deployment by its newest ReplicaSet."""
        specs = self.runtime.specs.values()
        return [s.storage_uri for s in specs if name in {s.name, s.service}][-1]

    def wait(self, what: Callable[[], bool], within_s: float = 10) -> None:
        deadline = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < deadline, f"not within {within_s} s; traffic {self.traffic}"
            time.sleep(POLL_S)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    with clustered(tmp_path, monkeypatch) as held:
        yield held


@pytest.fixture
def standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster whose InferenceServices run in Standard mode unless they say otherwise."""
    with clustered(tmp_path, monkeypatch, mode="Standard") as held:
        yield held


@contextmanager
def clustered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rules: Rules | None = None,
    mode: str = "Knative",
) -> Iterator[Cluster]:
    """A cluster for as long as the block lasts; `rules` are what each user of its API may do."""
    runtime, ingress, jobs = Runtime(), Ingress(), Jobs()
    api = ApiServer(state_dir=tmp_path, rules=rules)
    loop = ControllerLoop(api.store, runtime, ingress, scale_down_grace_s=0.3, mode=mode, jobs=jobs)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("TIDEGATE_INGRESS_URL", url)
    api.start()
    loop.start()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    with connect(retry_s=2) as kube:
        held = Cluster(
            api=api, runtime=runtime, ingress=ingress, ingress_url=url, kube=kube, jobs=jobs
        )
        server.RequestHandlerClass = _handler(held)
        yield held
    server.shutdown()
    server.server_close()
    thread.join()
    loop.stop()
    api.stop()


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Speaks as much of the v2 protocol as the proof of a deployment needs."""

        def do_GET(self) -> None:
            self._reply(200, {})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            route = cluster.ingress.table.get(self.headers["Host"])
            if route is None:
                self._reply(404, {"error": "no such host"})
                return
            spec = cluster.runtime.specs[max(route.weights, key=lambda w: w[2])[1]]
            version = cluster.answers.get(spec.storage_uri, spec.storage_uri.rstrip("/")[-1])
            here = f"{self.headers['Host']} {spec.storage_uri}"  # this host alone
            version = cluster.answers.get(here, version)
            if (model := self.path.split("/")[3]) in cluster.broken:
                self._reply(500, {"error": f"{model} raised KeyError"})
                return
            self._reply(200, {"model_name": NAME, "model_version": version, "outputs": []})

        def _reply(self, code: int, body: dict[str, Any]) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    return Handler


# -- documents


def uri(version: int) -> str:
    return f"s3://models/{NAME}/{version}/"


def published(version: int, *beside: RepositoryModel) -> Published:
    subject = Subject(model=NAME, version=str(version), digest=f"sha256:{version:064d}")
    pixels = Tensor(name="pixels", dtype="FP32", shape=(-1, 64))
    repository = ModelRepository(
        subject=subject, triton_model=NAME, triton_version="2.51.0", model_version=str(version),
        backend="onnxruntime", max_batch_size=8, inputs=(pixels,), outputs=(pixels,), digest="d",
        models=beside,
    )  # fmt: skip
    return Published(
        subject=subject, repository=repository, storage_uri=uri(version), uploaded=True
    )


def policy(**changes: Any) -> Policy:
    traffic = {"steps": [10, 50, 100], "bake_s": 0.05, "max_bake_s": 0.3, "step_timeout_s": 5}
    base: dict[str, Any] = {
        "name": NAME, "initial": "allow", "model": {"uri": f"models:/{NAME}/1"},
        "serving": {"ready_timeout_s": 5}, "traffic": traffic,
    }  # fmt: skip
    return Policy.model_validate(base | changes)


def beyond(made: Policy, **serving: Any) -> Policy:
    """With values that a policy's own checks refuse, as a newer webhook may refuse others."""
    return made.model_copy(update={"serving": made.serving.model_copy(update=serving)})


def verdict(about: Deployment | Published, release_id: str, word: Word = Word.PASS) -> Verdict:
    return Verdict(
        subject=about.subject, release_id=release_id, stage="gate", word=word,
        reason="as the test wants it", findings=(),
    )  # fmt: skip


def staged_at(result: Deployment | Refusal) -> Deployment:
    assert isinstance(result, Deployment), result
    return result
