"""The graph of examples/inference-graph on the real servers: clients ask it while one of its two models is
released by steps, is rolled back, and in the end while the other one is gone, which no status tells.

The tests are one story and run in the order of the file.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.test_examples import ISVC, WINDOWS, WINE, Run, Weights
from tests.e2e.test_release import Production

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(290)]
EXAMPLE = Path(__file__).parents[2] / "examples" / "inference-graph" / "policy.yaml"
REGISTER = Path(__file__).with_name("register_examples.py")
GRAPH = ("serving.kserve.io", "v1alpha1", "default", "inferencegraphs")
FRAUD, LIMITS = "models:/tiny", "models:/classifier"
MEAN = [13.0, 2.34, 2.37, 19.5, 99.7, 2.3, 2.03, 0.36, 1.59, 5.06, 0.96, 2.61, 747]
ROW = {"inputs": [WINE | {"data": MEAN}]}  # of all wines, about which two versions are of two minds


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("graph"), "Knative") as one:
        subprocess.run(
            [sys.executable, str(REGISTER)], env=one.environment, check=True, timeout=110
        )
        config.load_kube_config(one.environment["KUBECONFIG"])
        yield one


def written(home: Home, name: str = "fraud", **more: Any) -> Path:
    """The example's policy, or its neighbour's, which names no graph; for a small machine."""
    made = yaml.safe_load(EXAMPLE.read_text())
    made |= {"name": name, "namespace": "default", "slo": POLICY["slo"], "load": POLICY["load"]}
    made["traffic"] = {"steps": [10, 50, 100], **WINDOWS}
    if name != "fraud":
        made["serving"].pop("graph")
    path = home.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(made | more))
    return path


def released(home: Home, name: str, uri: str) -> None:
    with Run(home, written(home, name), uri) as run:
        run.ends()


def rendered(home: Home) -> dict[str, Any]:
    """The graph that `tidegate render` prints."""
    done = home.tidegate("render", str(written(home)))
    assert done.returncode == 0, done.stderr
    (found,) = [d for d in yaml.safe_load_all(done.stdout) if d["kind"] == "InferenceGraph"]
    return dict(found)


def status() -> dict[str, Any]:
    found = client.CustomObjectsApi().get_namespaced_custom_object(*GRAPH, "checkout")
    told: dict[str, Any] = found.get("status", {})
    return told


def generation() -> int:
    found = client.CustomObjectsApi().get_namespaced_custom_object(*GRAPH, "checkout")
    return int(found["metadata"]["generation"])


def ready() -> str:
    """The status of the Ready condition; empty while there is none."""
    listed = status().get("conditions", ())
    return next((str(c["status"]) for c in listed if c["type"] == "Ready"), "")


def wait_until_ready() -> None:
    deadline = time.monotonic() + 30
    while ready() != "True":
        assert time.monotonic() < deadline, status()
        time.sleep(0.1)


def outputs(answer: dict[str, Any]) -> dict[str, Any]:
    """What a model said, less version and id; a batch of another size moves the last digits."""
    return {one["name"]: [round(v, 4) for v in one["data"]] for one in answer["outputs"]}


def alone(home: Home, name: str) -> dict[str, Any]:
    """What the service itself answers to the same request."""
    url = f"{home.environment['TIDEGATE_INGRESS_URL']}/v2/models/{name}/infer"
    host = f"{name}-predictor.default.example.com"
    reply = httpx.post(url, json=ROW, headers={"host": host}, timeout=20)
    return outputs(reply.raise_for_status().json())


class Clients(Production):
    """Clients of the graph's URL; `versions` are those of fraud's answers."""

    def __init__(self, home: Home) -> None:
        super().__init__(home, "fraud", ROW)
        self.url = home.environment["TIDEGATE_INGRESS_URL"]
        self.host = urlsplit(status()["url"]).hostname or ""
        self.said: set[tuple[str, str]] = set()  # fraud's version, and all outputs of both

    def _run(self) -> None:
        with httpx.Client(headers={"host": self.host}, timeout=20) as session:
            while not self._stop.wait(0.05):
                try:
                    found = session.post(self.url, json=self.row).raise_for_status().json()
                    version = found["fraud"]["model_version"]
                    both = {name: outputs(found[name]) for name in ("fraud", "limits")}
                    self.said.add((version, json.dumps(both, sort_keys=True)))
                    self.versions.append(version)
                except (httpx.HTTPError, KeyError) as error:
                    self.failures.append(repr(error))


def composed(home: Home) -> str:
    """What both services answer now, as the graph has it."""
    both = {name: alone(home, name) for name in ("fraud", "limits")}
    return json.dumps(both, sort_keys=True)


def test_the_graph_gets_ready_with_the_last_of_its_services(home: Home) -> None:
    released(home, "fraud", f"{FRAUD}/1")
    objects = client.CustomObjectsApi()
    assert objects.list_namespaced_custom_object(*GRAPH)["items"] == []  # a release applies none
    objects.create_namespaced_custom_object(*GRAPH, rendered(home))
    released(home, "limits", f"{LIMITS}/1")
    wait_until_ready()
    assert status()["url"] == "http://checkout.default.example.com"


def test_a_release_by_steps_is_seen_through_the_graph_and_no_request_is_lost(home: Home) -> None:
    before = composed(home)
    with Clients(home) as clients, Weights("fraud", clients) as weights:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        released(home, "fraud", f"{FRAUD}/2")
        time.sleep(0.5)
    assert clients.failures == []
    assert weights.steps == [100, 0, 10, 50, 100]
    assert 0.01 < weights.share_of("2", 10) < 0.3
    assert clients.versions[-1] == "2"
    assert clients.said == {("1", before), ("2", composed(home))}
    assert before != composed(home)
    assert generation() == 1  # and nobody touched the graph


def test_a_candidate_that_is_rolled_back_leaves_the_graphs_answers_as_they_were(home: Home) -> None:
    before = composed(home)
    slow = [{"kind": "latency", "quantile": 0.99, "limit_ms": 0.05, "min_samples": 100}]
    with Clients(home) as clients:
        done = home.release(f"{FRAUD}/1", written(home, slo={"objectives": slow}))
    assert (done.returncode, done.stdout.strip()) == (7, "ROLLED_BACK"), done.stderr
    assert clients.failures == []
    assert clients.said == {("2", before)}
    assert composed(home) == before


def test_a_graph_that_lost_a_service_stays_ready_as_in_kserve_and_tells_clients_which(
    home: Home,
) -> None:
    before = status()
    host = urlsplit(before["url"]).hostname or ""
    client.CustomObjectsApi().delete_namespaced_custom_object(*ISVC, "limits")
    deadline = time.monotonic() + 20
    while True:
        url = home.environment["TIDEGATE_INGRESS_URL"]
        reply = httpx.post(url, json=ROW, headers={"host": host}, timeout=20)
        if reply.status_code != 200 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert reply.status_code == 500
    assert reply.json() == {
        "error": "Failed to process request",
        "cause": "Post limits: lookup limits: no such host",
    }
    assert alone(home, "fraud")  # which answers as before
    assert ready() == "True"
    assert status() == before
