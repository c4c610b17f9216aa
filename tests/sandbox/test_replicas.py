"""Two real Tritons of one revision behind Envoy: balanced, counted apart and together, and drained."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
import tritonclient.grpc as grpcclient

from tests.sandbox.real_servers import (
    HOST,
    NAMESPACE,
    Digits,
    at_once,
    body,
    eventually,
    revision,
)
from tests.sandbox.test_revision_metrics import count
from tidegate.adapters.prometheus import Prometheus as Asked
from tidegate.adapters.revision_metrics import RevisionMetrics
from tidegate.policy.presets import PRESETS, query_of
from tidegate.policy.promql import filled
from tidegate.sandbox.activator import Activator
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import HostRoute
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.prometheus import Prometheus, targets_of
from tidegate.sandbox.queue_proxy import QueueProxyMetrics, RevisionLabels, page_path, pod_name
from tidegate.sandbox.triton import TritonRuntime

pytestmark = pytest.mark.real
PAIR = "digits-predictor-00007"
NAME = "kn_serving_invocation_duration_seconds"
ROUTE = HostRoute(host=HOST, weights=((NAMESPACE, PAIR, 100),))


@pytest.fixture(scope="module")
def runtime(
    tmp_path_factory: pytest.TempPathFactory, digits: Digits, spawner: Spawner
) -> Iterator[TritonRuntime]:
    """Room for two servers, and both of one revision."""
    folder = tmp_path_factory.mktemp("replicas")
    with TritonRuntime(folder, spawner=spawner, drain_s=0.5, most_servers=2) as started:
        for replica in (0, 1):
            started.start(revision(PAIR, digits.repository, replica=replica))
        eventually(lambda: len(started.ready(NAMESPACE, PAIR)) == 2)
        yield started


@pytest.fixture(scope="module")
def activator(runtime: TritonRuntime) -> Iterator[Activator]:
    started = Activator(runtime.ready)
    started.start()
    yield started
    started.close()


@pytest.fixture(scope="module")
def ingress(
    tmp_path_factory: pytest.TempPathFactory, runtime: TritonRuntime, activator: Activator,
    spawner: Spawner,
) -> Iterator[EnvoyIngress]:  # fmt: skip
    def endpoints(namespace: str, name: str) -> tuple[Endpoint, ...]:
        held = activator.endpoint(namespace, name)
        return (held,) if held else runtime.endpoints(namespace, name)

    folder = tmp_path_factory.mktemp("replicas-envoy")
    with EnvoyIngress(folder, endpoints=endpoints, spawner=spawner, drain_s=0.3) as started:
        runtime.on_change = started.refresh
        started.program([ROUTE])
        yield started
        runtime.on_change = lambda: None


@pytest.fixture(scope="module")
def queue_proxy(ingress: EnvoyIngress, runtime: TritonRuntime) -> Iterator[QueueProxyMetrics]:
    def known() -> list[RevisionLabels]:
        return [
            RevisionLabels(
                namespace=p.spec.namespace, name=p.spec.name, service=p.spec.service,
                replica=p.spec.replica,
            )
            for p in runtime.pods()
        ]  # fmt: skip

    served = QueueProxyMetrics(
        scrape=lambda: ingress.admin("/stats/prometheus?filter=revision_duration"), revisions=known
    )
    served.start()
    yield served
    served.close()


@pytest.fixture(scope="module")
def metrics(
    tmp_path_factory: pytest.TempPathFactory, spawner: Spawner, runtime: TritonRuntime,
    queue_proxy: QueueProxyMetrics,
) -> Iterator[RevisionMetrics]:  # fmt: skip
    server = Prometheus(tmp_path_factory.mktemp("replicas-prometheus"), spawner=spawner)
    try:
        server.start()
        server.set_targets(targets_of(runtime.pods(), queue_proxy_port=queue_proxy.port))
        yield RevisionMetrics(prometheus=Asked(url=server.url), namespace=NAMESPACE)
    finally:
        server.close()


def ask(ingress: EnvoyIngress, digits: Digits, number: int) -> Counter[int]:
    url, codes = f"{ingress.url}/v2/models/digits/infer", Counter[int]()
    with httpx.Client(trust_env=False, timeout=20) as client:
        for _ in range(number):
            answer = client.post(url, json=body(digits.images[:1]), headers={"host": HOST})
            codes[answer.status_code] += 1
    return codes


def counted(queue_proxy: QueueProxyMetrics, replica: int) -> int:
    url = f"http://127.0.0.1:{queue_proxy.port}{page_path(NAMESPACE, PAIR, replica)}"
    answer = httpx.get(url, trust_env=False, verify=False)
    assert answer.status_code == 200, answer.text
    return count(answer.text, NAME, 200)


def test_each_pod_has_its_own_server_files_and_log(runtime: TritonRuntime) -> None:
    pods = runtime.pods()
    assert [pod.spec.server for pod in pods] == [PAIR, f"{PAIR}.1"]
    assert len({pod.pid for pod in pods}) == len({pod.log for pod in pods}) == 2
    assert all("Started HTTPService" in pod.log.read_text() for pod in pods)


def test_pods_without_a_series_of_requests_are_counted_too(metrics: RevisionMetrics) -> None:
    unasked = replace(metrics, preset=PRESETS["knative-1.19"])  # names that nobody exports here
    eventually(lambda: unasked.replicas(PAIR) == 2)
    assert unasked.requests_within(PAIR, window_s=60) == 0
    assert unasked.replicas("digits-predictor-00099") == 1  # not known


def test_requests_are_shared_and_each_pods_page_has_its_own(
    ingress: EnvoyIngress, digits: Digits, queue_proxy: QueueProxyMetrics
) -> None:
    before = [counted(queue_proxy, replica) for replica in (0, 1)]
    assert ask(ingress, digits, 60) == {200: 60}
    eventually(lambda: sum(counted(queue_proxy, n) - before[n] for n in (0, 1)) == 60)
    assert all(counted(queue_proxy, n) - before[n] > 10 for n in (0, 1))


def test_the_presets_and_the_load_tests_evidence_are_over_both_pods(
    metrics: RevisionMetrics, ingress: EnvoyIngress, digits: Digits
) -> None:
    eventually(lambda: both_are_asked(metrics, ingress, digits))
    before = metrics.requests_within(PAIR, window_s=60)
    assert ask(ingress, digits, 80) == {200: 80}
    eventually(
        lambda: metrics.requests_within(PAIR, window_s=60) == before + 80,
        what=lambda: metrics.requests_within(PAIR, window_s=60),
    )
    served, stale = metrics.served(PAIR, elapsed_s=30)
    assert (stale, served and served.errors) == ("", 0)
    values = {
        name: metrics.prometheus.number(
            filled(query_of(name), namespace=NAMESPACE, revision=PAIR, window="20s")
        )
        for name in ("knative/request_rate", "triton/request_rate", "knative/p99_ms")
    }
    assert all(value.value is not None for value in values.values()), values
    rates = [values[f"{source}/request_rate"].value for source in ("knative", "triton")]
    assert rates[0] == pytest.approx(rates[1], rel=0.5)


def both_are_asked(metrics: RevisionMetrics, ingress: EnvoyIngress, digits: Digits) -> bool:
    """Each has a sample to grow from, and none is on its way."""
    ask(ingress, digits, 10)
    time.sleep(2.5)
    found = metrics.prometheus.series(f"{NAME}_count", window_s=10)
    return {one.labels["pod"] for one in found} == {pod_name(PAIR, n) for n in (0, 1)}


def test_there_is_no_room_for_a_third_and_its_pod_says_why(
    runtime: TritonRuntime, digits: Digits
) -> None:
    runtime.start(revision(PAIR, digits.repository, replica=2))
    seen = runtime.status(NAMESPACE, PAIR, 2)
    assert (seen.phase, seen.reason) == ("Pending", "Unschedulable")
    assert "the sandbox runs at most 2 servers" in seen.message
    runtime.stop(NAMESPACE, PAIR, 2)
    assert runtime.status(NAMESPACE, PAIR, 2).phase == "Stopped"


def test_requests_of_both_protocols_reach_the_pods_through_the_activator(
    activator: Activator, ingress: EnvoyIngress, digits: Digits
) -> None:
    activator.hold({(NAMESPACE, PAIR): 10.0})
    ingress.refresh()
    held = activator.endpoint(NAMESPACE, PAIR)
    assert held is not None
    assert f"127.0.0.1:{held.grpc}::" in ingress.admin("/clusters")
    try:
        assert ask(ingress, digits, 5) == {200: 5}
        client = grpcclient.InferenceServerClient(
            f"127.0.0.1:{ingress.port}", channel_args=[("grpc.default_authority", HOST)]
        )
        tensor = grpcclient.InferInput("X", [2, 64], "FP32")
        tensor.set_data_from_numpy(digits.images[:2])
        for _ in range(5):
            answer = client.infer("digits", [tensor]).as_numpy("label")
            assert answer.ravel().tolist() == digits.answers(digits.images[:2])[0].tolist()
        client.close()
    finally:
        activator.hold({})
        ingress.refresh()
    assert ask(ingress, digits, 5) == {200: 5}


def test_a_pod_that_goes_takes_no_request_with_it(
    ingress: EnvoyIngress, digits: Digits, runtime: TritonRuntime
) -> None:
    ended, codes = threading.Event(), Counter[int]()

    def load() -> None:
        while not ended.is_set():
            codes.update(ask(ingress, digits, 5))

    def scale() -> None:
        try:
            runtime.stop(NAMESPACE, PAIR, 1)
            eventually(lambda: runtime.status(NAMESPACE, PAIR, 1).phase == "Stopped")
            runtime.start(revision(PAIR, digits.repository, replica=1))
            eventually(lambda: len(runtime.ready(NAMESPACE, PAIR)) == 2)
        finally:
            ended.set()

    at_once(3, lambda index: scale() if index == 2 else load())
    assert codes[200] > 50
    assert codes.keys() == {200}
