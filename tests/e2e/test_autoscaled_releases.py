"""Replicas end to end on real Tritons: two pods released, load that adds one, none left and a cold start.

The policies of examples/kpa and examples/scale-to-zero are released, with shorter windows than a test can
wait for, and evidence for a small machine.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.test_dedicated_baseline import newest
from tests.e2e.test_release import ROW, Production, services, shares
from tidegate.adapters.files import read
from tidegate.documents import LoadReport

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(280)]
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("autoscaled"), "Knative") as one:
        yield one


def written(home: Home, name: str, serving: dict[str, Any], **more: Any) -> Path:
    """A policy of the usual evidence for a service of this name."""
    path = home.folder / f"{name}.yaml"
    whole = POLICY | {"name": name, "model": {"uri": "models:/tiny/1"}, "serving": serving}
    path.write_text(yaml.safe_dump(whole | more))
    return path


def example(name: str) -> dict[str, Any]:
    """The example's own policy."""
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / name / "policy.yaml").read_text())
    return found


def released(home: Home, uri: str, policy: Path) -> str:
    done = home.release(uri, policy)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def pods(home: Home, name: str) -> list[str]:
    """The pods of a service that are ready."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    labels = f"serving.kserve.io/inferenceservice={name}"
    listed = client.CoreV1Api().list_namespaced_pod("default", label_selector=labels).items
    return [
        pod.metadata.name
        for pod in listed
        if all(one.ready for one in pod.status.container_statuses or [])
    ]


def until(is_so: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.2)


def ask(home: Home, name: str) -> httpx.Response:
    url = f"{home.environment['TIDEGATE_INGRESS_URL']}/v2/models/{name}/infer"
    host = {"host": f"{name}-predictor.default.example.com"}
    return httpx.post(url, json=ROW, headers=host, timeout=60)


def delete(home: Home, name: str) -> None:
    """Make room for the next story."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    client.CustomObjectsApi().delete_namespaced_custom_object(
        "serving.kserve.io", "v1beta1", "default", "inferenceservices", name
    )
    until(lambda: name not in services(home) and pods(home, name) == [], 30)


def test_two_replicas_are_released_with_the_evidence_of_both_and_no_request_lost(
    home: Home,
) -> None:
    policy = written(home, "pair", {"min_replicas": 2, "max_replicas": 2})
    assert released(home, "models:/tiny/1", policy) == "PROMOTED"
    assert len(pods(home, "pair")) == 2
    with Production(home, "pair") as production:
        assert released(home, "models:/tiny/2", policy) == "PROMOTED"
    assert (production.failures, production.versions[-1]) == ([], "2")
    assert len(production.versions) > 100
    (path,) = newest(home).glob("artifacts/*/load-test/outputs/load_report")
    report = read(path, LoadReport)
    assert report.baseline is not None
    assert (report.candidate.replicas, report.baseline.replicas, report.fair) == (2, 2, True)
    delete(home, "pair")


def test_load_adds_a_replica_and_its_end_takes_it_back_without_a_lost_request(home: Home) -> None:
    serving = example("kpa")["serving"] | {"max_replicas": 2}
    serving["scaling"] |= {"window_s": 6, "scale_down_delay_s": 0}
    assert released(home, "models:/tiny/1", written(home, "busy", serving)) == "PROMOTED"
    until(lambda: len(pods(home, "busy")) == 1, 30)
    steady = Production(home, "busy")
    with steady:
        with ExitStack() as crowd:  # 8 a pod at 70 %: more than that in flight at all times
            for _ in range(12):
                crowd.enter_context(Pressing(home, "busy"))
            until(lambda: len(pods(home, "busy")) == 2, 60)
            time.sleep(2)  # both of them serve
        until(lambda: len(pods(home, "busy")) == 1, 60)
        time.sleep(3)  # the other one has ended by now
    assert steady.failures == []
    assert len(steady.versions) > 50
    assert Pressing.failures == []
    delete(home, "busy")


class Pressing(Production):
    """A client that asks again as soon as it was answered."""

    failures: list[str] = []  # noqa: RUF012 - one list for the whole crowd

    def __init__(self, home: Home, name: str, service: str = "") -> None:
        super().__init__(home, name, service=service)
        self.failures = Pressing.failures
        self._stop.wait = lambda timeout=None: self._stop.is_set()  # type: ignore[method-assign]


def test_a_service_that_sleeps_answers_after_a_cold_start_and_is_released_again(
    home: Home,
) -> None:
    of = example("scale-to-zero")
    serving = of["serving"]
    serving["scaling"] |= {"window_s": 6}
    at_once = {**POLICY["traffic"], "steps": [100], "keep_warm_s": 20}  # type: ignore[dict-item]
    # more than 35 a second would add a pod to one arm, and not to the other
    gentle = {**POLICY["load"], "rate_rps": 30}  # type: ignore[dict-item]
    slo = {"objectives": [{"kind": "errors", "limit": 0.05}]}
    policy = written(home, "nightly", serving, traffic=at_once, load=gentle, slo=slo)
    assert released(home, "models:/tiny/1", policy) == "PROMOTED"
    until(lambda: pods(home, "nightly") == [], 60)
    began = time.monotonic()
    answer = ask(home, "nightly")
    assert (answer.status_code, answer.json()["model_version"]) == (200, "1")
    assert time.monotonic() - began > 0.5  # a server was started for it
    until(lambda: len(pods(home, "nightly")) == 1, 10)
    until(lambda: pods(home, "nightly") == [], 60)
    with Production(home, "nightly") as production:  # a live gate has to have something to judge
        assert released(home, "models:/tiny/2", policy) == "PROMOTED"
    assert (production.failures, production.versions[-1]) == ([], "2")
    assert list(shares(home, "nightly").values()) == [100]
