"""The policies under examples/, each released twice on the real servers: what it is there to show is seen.

Of a policy only the name, the models' URIs, the namespace, GPUs and the windows are another: less evidence
and shorter bakes than its defaults, for a small machine. docs/examples.md says which cannot run here.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.meanwhile import Meanwhile
from tests.e2e.test_autoscaled_releases import delete, pods
from tests.e2e.test_release import Production, predictor, shares
from tidegate.adapters.grpc_connection import REVISION_HEADER
from tidegate.sandbox.state import Mode

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(290)]
EXAMPLES = Path(__file__).parents[2] / "examples"
REGISTER = Path(__file__).with_name("register_examples.py")
WINDOWS = {"bake_s": 3, "max_bake_s": 40, "min_requests": 10}
ISVC = ("serving.kserve.io", "v1beta1", "default", "inferenceservices")
WINE = {"name": "X", "datatype": "FP32", "shape": [1, 13], "data": [0.5] * 13}


@pytest.fixture(scope="module")
def home(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Home]:
    """One sandbox for each mode."""
    mode: Mode = getattr(request, "param", "Knative")
    with running(tmp_path_factory.mktemp("examples"), mode) as one:
        subprocess.run(
            [sys.executable, str(REGISTER)], env=one.environment, check=True, timeout=110
        )
        config.load_kube_config(one.environment["KUBECONFIG"])
        yield one


standard = pytest.mark.parametrize("home", ["Standard"], indirect=True)


def written(home: Home, example: str, uris: dict[str, str] | None = None) -> Path:
    """The example's policy with what a small machine needs to be otherwise."""
    made = yaml.safe_load((EXAMPLES / example / "policy.yaml").read_text())
    made |= {"name": example, "namespace": "default", "slo": POLICY["slo"]}
    made["load"] = {**POLICY["load"], **made.get("load", {})}  # type: ignore[dict-item]
    made["traffic"] = {"steps": [30, 100], **made.get("traffic", {}), **WINDOWS}
    for part in ("gpu", "placement"):
        made["serving"].pop(part, None)
    for one in made.get("repository", {}).get("models", ()):
        if "uri" in one:
            one["uri"] = (uris or {})[one["name"]]
    path = home.folder / f"{example}.yaml"
    path.write_text(yaml.safe_dump(made))
    return path


@dataclass
class Run:
    """`tidegate release` of one policy on its way, and what it has told so far."""

    home: Home
    policy: Path
    uri: str

    def __enter__(self) -> "Run":
        self._log = self.policy.with_suffix(".log")
        command = [sys.executable, "-m", "tidegate", "release", str(self.policy)]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--model-uri", self.uri],
                env=self.home.environment, cwd=self.home.folder, stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def told(self) -> str:
        return self._log.read_text()

    def says(self, words: str) -> None:
        """Wait until it has told this."""
        deadline = time.monotonic() + 200
        while words not in self.told:
            assert self._process.poll() is None, self.told
            assert time.monotonic() < deadline, self.told
            time.sleep(0.2)

    def ends(self, code: int = 0, word: str = "PROMOTED") -> None:
        """Wait until it has ended so."""
        assert self._process.wait(240) == code, self.told
        assert word in self.told.splitlines(), self.told


def released(home: Home, uri: str, policy: Path) -> None:
    with Run(home, policy, uri) as run:
        run.ends()


@contextmanager
def promoting(
    home: Home,
    policy: Path,
    uri: str,
    *,
    row: dict[str, Any] | None = None,
    service: str = "",
    by: type[Production] = Production,
) -> Iterator[tuple["Weights", Run]]:
    """The second version on its way under production; at the end it serves, and no request was lost."""
    production = by(home, policy.stem, row or {"inputs": [WINE]}, service)
    with production, Weights(policy.stem, production) as weights:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        with Run(home, policy, uri) as run:
            yield weights, run
            run.ends()
        time.sleep(0.5)
    assert production.failures == []
    assert set(production.versions) == {"1", "2"}
    assert production.versions[-1] == "2"


@dataclass
class Weights(Meanwhile):
    """What the newest version was given as time went on: (production's answers so far, percent)."""

    name: str
    production: Production
    seen: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            at = len(self.production.versions)
            self.seen.append((at, _percent(self.name)))

    @property
    def steps(self) -> list[int]:
        """The newest version's percents in their order."""
        told = [percent for _, percent in self.seen]
        return [p for at, p in enumerate(told) if at == 0 or p != told[at - 1]]

    def share_of(self, version: str, percent: int) -> float:
        """What part of production's answers was this version's while it was given so much."""
        during = [at for at, now in self.seen if now == percent]
        answers = self.production.versions[during[0] + 5 : during[-1]]  # 5: what was on its way
        assert len(answers) > 40
        return answers.count(version) / len(answers)


def _percent(name: str) -> int:
    """Of the newest: Standard mode's canary, or Knative's `latest`."""
    found = client.CustomObjectsApi().get_namespaced_custom_object(*ISVC, name)
    if canary := found["spec"].get("canary"):
        return int(canary[0].get("trafficPercent", 0))
    told = found["status"]["components"]["predictor"].get("traffic") or []
    return next((int(t.get("percent") or 0) for t in told if t.get("latestRevision")), 100)


def ask(home: Home, path: str, host: str, sent: dict[str, Any]) -> dict[str, Any]:
    url = f"{home.environment['TIDEGATE_INGRESS_URL']}{path}"
    answer = httpx.post(url, json=sent, headers={"host": host}, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json() | {"revision": answer.headers.get(REVISION_HEADER, "")}
    return found


def infer(home: Home, name: str, *, model: str = "", tag: str = "") -> dict[str, Any]:
    host = f"{tag}{name}-predictor.default.example.com"
    return ask(home, f"/v2/models/{model or name}/infer", host, {"inputs": [WINE]})


def values(answer: dict[str, Any], output: str) -> list[Any]:
    (found,) = [one["data"] for one in answer["outputs"] if one["name"] == output]
    return list(found)


def manifest(home: Home, name: str) -> dict[str, Any]:
    config.load_kube_config(home.environment["KUBECONFIG"])
    found: dict[str, Any] = client.CustomObjectsApi().get_namespaced_custom_object(*ISVC, name)
    return found


# -- traffic


def test_canary_gets_a_tenth_then_half_then_nearly_all_of_production(home: Home) -> None:
    policy = written(home, "canary")
    released(home, "models:/tiny/1", policy)
    with promoting(home, policy, "models:/tiny/2") as (weights, _):
        pass
    split_as_told(weights)
    delete(home, "canary")


def split_as_told(weights: Weights) -> None:
    """Production's answers are of the versions by the shares of examples/canary and canary-standard."""
    assert weights.steps == [100, 0, 10, 50, 90, 100]
    assert 0.01 < weights.share_of("2", 10) < 0.3
    assert weights.share_of("2", 90) > 0.6


def test_green_answers_at_its_tag_at_0_percent_and_takes_all_when_a_person_approves(
    home: Home,
) -> None:
    policy, name = written(home, "blue-green"), "blue-green"
    with Run(home, policy, "models:/tiny/1") as first:
        first.says("suspended until somebody types")
        assert home.tidegate("approve", name).returncode == 0
        first.ends()
    blue = predictor(home, name)["latestReadyRevision"]
    with promoting(home, policy, "models:/tiny/2") as (weights, second):
        second.says("suspended until somebody types")
        green = infer(home, name, tag="latest-")
        assert (green["model_version"], green["revision"] != blue) == ("2", True)
        assert (infer(home, name)["model_version"], shares(home, name)) == ("1", {blue: 100})
        assert "2" not in weights.production.versions
        assert home.tidegate("approve", name).returncode == 0
    assert weights.steps == [100, 0, 100]
    assert sum(one.startswith(blue) for one in pods(home, name)) == 2  # blue stays, for a return
    delete(home, name)


# -- several models


def test_the_ensemble_scales_classifies_and_says_whether_it_is_sure_by_the_services_name(
    home: Home,
) -> None:
    def versioned(number: int) -> Path:
        return written(home, "ensemble", {"scaler": f"models:/digits-scaler/{number}"})

    released(home, "models:/classifier/1", versioned(1))
    alone = infer(home, "ensemble")
    assert {one["name"] for one in alone["outputs"]} == {"label", "sure"}
    with promoting(home, versioned(2), "models:/classifier/2"):
        pass
    told = infer(home, "ensemble")
    main = infer(home, "ensemble", model="scaler")
    scaled = {**WINE, "data": values(main, "variable")}
    url = "/v2/models/ensemble-model/infer"
    host = "ensemble-predictor.default.example.com"
    found = ask(home, url, host, {"inputs": [scaled]})
    assert values(told, "label") == values(found, "label")
    assert values(told, "sure") == [max(values(found, "probabilities")) > 0.8]
    delete(home, "ensemble")


def test_several_models_answer_by_their_own_names_in_the_released_ones_server(home: Home) -> None:
    neighbours = {"letters": "models:/tiny/2", "language": "models:/digits/1"}
    policy = written(home, "several-models", neighbours)
    released(home, "models:/tiny/1", policy)
    with promoting(home, policy, "models:/tiny/2"):
        pass
    letters = infer(home, "several-models", model="letters")
    own = infer(home, "several-models")
    assert values(letters, "probabilities") == pytest.approx(values(own, "probabilities"))
    host = "several-models-predictor.default.example.com"
    rows = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": [0.5] * 64}]}
    other = ask(home, "/v2/models/language/infer", host, rows)
    assert len(values(other, "probabilities")) == 10
    delete(home, "several-models")


# -- protocols, and what stands beside


class ByGrpc(Production):
    """Production whose clients speak gRPC."""

    def _run(self) -> None:
        import tritonclient.grpc as triton

        tensor = triton.InferInput("X", [1, 13], "FP32")
        tensor.set_data_from_numpy(np.full((1, 13), 0.5, np.float32))
        *_, at, _, _, name, _ = self.url.split("/")
        options = [("grpc.default_authority", self.host)]
        with triton.InferenceServerClient(at, channel_args=options) as server:
            while not self._stop.wait(0.05):
                try:
                    answer = server.infer(name, [tensor]).get_response()
                    self.versions.append(answer.model_version)
                except triton.InferenceServerException as error:
                    self.failures.append(repr(error))


def test_grpc_is_the_pods_one_port_and_clients_and_the_release_itself_ask_by_it(home: Home) -> None:
    policy = written(home, "grpc")
    released(home, "models:/tiny/1", policy)
    with promoting(home, policy, "models:/tiny/2", by=ByGrpc) as (weights, _):
        pass
    assert 0.1 < weights.share_of("2", 30) < 0.6
    (port,) = manifest(home, "grpc")["spec"]["predictor"]["model"]["ports"]
    assert (port["name"], port["containerPort"]) == ("h2c", 9000)
    delete(home, "grpc")


@pytest.fixture
def monitor(home: Home) -> Iterator[list[tuple[str, str]]]:
    """A server in the place of Pushgateway and Grafana: (path, body) of what it was sent."""
    sent: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            sent.append((self.path, body.decode()))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST = _take  # noqa: N815 - the base's names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    own = {"TIDEGATE_PUSHGATEWAY_URL": url, "TIDEGATE_GRAFANA_URL": url}
    home.environment.update(own, TIDEGATE_GRAFANA_TOKEN="of-a-test")
    yield sent
    for key in (*own, "TIDEGATE_GRAFANA_TOKEN"):
        del home.environment[key]
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_release_of_dashboards_is_pushed_and_noted_and_its_pods_are_drawn_by_revision(
    home: Home, monitor: list[tuple[str, str]]
) -> None:
    policy = written(home, "dashboards")
    released(home, "models:/tiny/1", policy)
    with promoting(home, policy, "models:/tiny/2"):
        pass
    notes = [body for path, body in monitor if path.startswith("/api/annotations")]
    assert any("30 %" in one for one in notes), notes
    assert any("100 %" in one for one in notes), notes
    pushed = [body for path, body in monitor if path.startswith("/metrics/job/")]
    assert any('inferenceservice="dashboards"' in one for one in pushed)
    assert "tidegate_" in pushed[-1]
    newest = predictor(home, "dashboards")["latestReadyRevision"]
    query = f'nv_inference_request_success{{serving_knative_dev_revision="{newest}"}}'
    (found,) = prometheus(
        home, query
    )  # Triton by the PodMonitor, which the sandbox's Prometheus is set as
    assert float(found["value"][1]) > 0
    assert labels_of(home, "dashboards")["team"] == "risk"
    delete(home, "dashboards")


def prometheus(home: Home, query: str) -> list[dict[str, Any]]:
    url = f"{home.environment['TIDEGATE_PROMETHEUS_URL']}/api/v1/query"
    told = httpx.get(url, params={"query": query}, timeout=20).raise_for_status().json()
    found: list[dict[str, Any]] = told["data"]["result"]
    return found


def labels_of(home: Home, name: str) -> dict[str, str]:
    """Of the service's pods."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    mine = f"serving.kserve.io/inferenceservice={name}"
    pod, *_ = client.CoreV1Api().list_namespaced_pod("default", label_selector=mine).items
    found: dict[str, str] = pod.metadata.labels
    return found


PROMISED: dict[str, tuple[tuple[str, str], str]] = {
    "service-monitor": (("labels", "team"), "risk"),
    "logger": (("logger", "url"), "http://broker-ingress.knative-eventing/shop/default"),
}
MONITORS = ("monitoring.coreos.com", "v1", "default", "servicemonitors")


@pytest.mark.parametrize("example", PROMISED)
def test_what_stands_beside_is_left_alone_by_both_releases_of_it(home: Home, example: str) -> None:
    """A monitor is rendered to be applied once; the agent that logs has no process here."""
    policy = written(home, example)
    released(home, "models:/tiny/1", policy)
    with promoting(home, policy, "models:/tiny/2"):
        pass
    (part, key), value = PROMISED[example]
    assert manifest(home, example)["spec"]["predictor"][part][key] == value
    objects = client.CustomObjectsApi()
    assert objects.list_namespaced_custom_object(*MONITORS)["items"] == []
    revision = predictor(home, example)["latestReadyRevision"]
    of = (
        f'kn_serving_invocation_duration_seconds_count{{serving_knative_dev_revision="{revision}"}}'
    )
    assert prometheus(home, of), "the request metrics that a ServiceMonitor is for"
    delete(home, example)


# -- transformers and explainers that are programs


PIXELS = np.arange(64) % 17
RAW = {"name": "pixels", "datatype": "INT64", "shape": [1, 64], "data": PIXELS.tolist()}
SCALED = {"name": "X", "datatype": "FP32", "shape": [1, 64], "data": (PIXELS / 16).tolist()}


def digits(home: Home, name: str, service: str, sent: dict[str, Any]) -> list[float]:
    host = f"{service}.default.example.com"
    return values(ask(home, f"/v2/models/{name}/infer", host, {"inputs": [sent]}), "probabilities")


def test_a_transformer_in_the_models_pod_takes_raw_pixels_from_every_client(home: Home) -> None:
    name = "digits-transformer"
    policy = written(home, name)
    released(home, "models:/digits/1", policy)
    before = digits(home, name, f"{name}-predictor", RAW)
    with promoting(home, policy, "models:/digits/2", row={"inputs": [RAW]}):
        pass
    after = digits(home, name, f"{name}-predictor", RAW)
    assert before != after
    assert sum(after) == pytest.approx(1, abs=1e-5)
    url = f"{home.environment['TIDEGATE_INGRESS_URL']}/v2/models/{name}/infer"
    host = {"host": f"{name}-predictor.default.example.com"}
    past = httpx.post(url, json={"inputs": [SCALED]}, headers=host, timeout=30)
    assert (past.status_code, "no tensor pixels" in past.text) == (400, True)
    delete(home, name)


def test_a_transformer_of_its_own_stands_before_both_versions(home: Home) -> None:
    name = "digits-transformer-component"
    policy = written(home, name)
    released(home, "models:/digits/1", policy)
    with promoting(home, policy, "models:/digits/2", row={"inputs": [RAW]}, service=name):
        pass
    raw, scaled = digits(home, name, name, RAW), digits(home, name, f"{name}-predictor", SCALED)
    assert raw == pytest.approx(scaled, abs=1e-5)
    delete(home, name)


def test_an_explainer_says_what_each_pixel_adds_to_the_promoted_versions_answer(home: Home) -> None:
    name = "digits-explainer"
    policy = written(home, name)
    released(home, "models:/digits/1", policy)
    with promoting(home, policy, "models:/digits/2", row={"inputs": [SCALED]}):
        pass
    sent = {"instances": [SCALED["data"]]}
    told = ask(home, f"/v1/models/{name}:explain", f"{name}.default.example.com", sent)
    (found,) = told["explanations"]
    whole = digits(home, name, f"{name}-predictor", SCALED)
    assert (found["model_version"], found["label"]) == ("2", int(np.argmax(whole)))
    pixels = np.array(SCALED["data"])
    pixels[20] = 0
    without = digits(home, name, f"{name}-predictor", {**SCALED, "data": pixels.tolist()})
    lost = whole[found["label"]] - without[found["label"]]
    assert found["attributions"][20] == pytest.approx(lost, abs=1e-5)
    delete(home, name)


# -- Standard mode


@standard
def test_the_canary_of_standard_mode_gets_the_same_shares_by_the_gateway(home: Home) -> None:
    policy = written(home, "canary-standard")
    released(home, "models:/tiny/1", policy)
    with promoting(home, policy, "models:/tiny/2") as (weights, _):
        pass
    split_as_told(weights)
