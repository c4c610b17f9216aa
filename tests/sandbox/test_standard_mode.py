"""Standard mode on real Triton, Envoy and Prometheus: shares, dark canaries, promotion under load."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest
import tritonclient.grpc as grpcclient
from kubernetes import client as kubernetes
from scipy.stats import binom

from tests.sandbox.real_servers import Digits, at_once, body, eventually
from tidegate.adapters.prometheus import Prometheus as Asked
from tidegate.adapters.revision_metrics import RevisionMetrics
from tidegate.policy.presets import PRESETS
from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.controllers.loop import ControllerLoop
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.envoy_config import ISTIO_BUCKETS_MS, REVISION_HEADER
from tidegate.sandbox.mesh_metrics import MeshMetrics
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.prometheus import Prometheus, targets_of
from tidegate.sandbox.queue_proxy import QueueProxyMetrics
from tidegate.sandbox.triton import TritonRuntime

pytestmark = pytest.mark.real
ISVC = ("serving.kserve.io", "v1beta1", "default", "inferenceservices")
HOST = "digits.default.example.com"
BLUE, GREEN = "digits-blue-predictor", "digits-green-predictor"
GREEN_HOST = f"{GREEN}.default.svc.cluster.local"
BLUE_ONLY, GREEN_ONLY = {BLUE}, {GREEN}
soon = partial(eventually, timeout_s=90)  # two servers load their model, beside whatever else runs


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What the tests act on and look at."""

    objects: kubernetes.CustomObjectsApi
    apps: kubernetes.AppsV1Api
    ingress: EnvoyIngress
    runtime: TritonRuntime
    prometheus: Prometheus
    metrics: QueueProxyMetrics
    digits: Digits

    def create(self) -> None:
        spec = {"predictor": self.predictor("blue")}
        meta = {
            "name": "digits",
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        }
        document = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
        self.objects.create_namespaced_custom_object(
            *ISVC, document | {"metadata": meta, "spec": spec}
        )

    def predictor(self, name: str) -> dict[str, Any]:
        # Two URIs of one model: a new name needs a new storageUri.
        uri = f"file://{self.digits.repository}" + ("/" if name == "blue" else "")
        model = {"name": "", "modelFormat": {"name": "triton"}, "storageUri": uri}
        return {"name": name, "minReplicas": 1, "model": model}

    def patch(self, spec: dict[str, Any]) -> None:
        self.objects.patch_namespaced_custom_object(*ISVC, "digits", {"spec": spec})

    def stage(self, percent: int) -> None:
        entry = {"trafficPercent": percent, "predictor": self.predictor("green")}
        self.patch({"canary": [entry]})

    def promote(self) -> None:
        self.patch({"predictor": self.predictor("green"), "canary": None})

    def status(self) -> dict[str, Any]:
        found = self.objects.get_namespaced_custom_object(*ISVC, "digits")
        return dict(found.get("status", {}))

    def is_ready(self) -> bool:
        listed = self.status().get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in listed)

    def weights(self) -> dict[str, int]:
        """In force: the gateway has answered for this generation of the route."""
        group = ("gateway.networking.k8s.io", "v1", "default", "httproutes")
        route = self.objects.get_namespaced_custom_object(*group, "digits")
        for condition in route["status"]["parents"][0]["conditions"]:
            if condition["observedGeneration"] != route["metadata"]["generation"]:
                return {}
        return {ref["name"]: ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]}

    def ask(self, http: httpx.Client, host: str = HOST) -> httpx.Response:
        url = f"{self.ingress.url}/v2/models/digits/infer"
        return http.post(url, json=body(self.digits.images[:1]), headers={"host": host})

    def hits(self, count: int, host: str = HOST) -> Counter[str]:
        with httpx.Client(trust_env=False, timeout=60) as http, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: self.ask(http, host), range(count)))
        assert {answer.status_code for answer in answers} == {200}
        return Counter(answer.headers[REVISION_HEADER] for answer in answers)

    def query(self, promql: str) -> list[dict[str, Any]]:
        url = f"{self.prometheus.url}/api/v1/query"
        answer = httpx.get(url, params={"query": promql}, trust_env=False, verify=False)
        return list(answer.json()["data"]["result"])

    def counted(self, service: str) -> int:
        """Requests that the mesh has of a Service, whatever their code."""
        found = self.query(f'sum(istio_requests_total{{destination_service_name="{service}"}})')
        return int(float(found[0]["value"][1])) if found else 0


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, digits: Digits, spawner: Spawner
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("standard")
    api = ApiServer()
    api.start()
    prometheus = Prometheus(folder / "prometheus", spawner=spawner)
    prometheus.start()
    with (
        TritonRuntime(folder / "runtime", spawner=spawner, drain_s=1.0) as runtime,
        EnvoyIngress(
            folder / "envoy", endpoints=runtime.endpoints, spawner=spawner, drain_s=0.5
        ) as ingress,
    ):
        metrics = QueueProxyMetrics(
            scrape=lambda: ingress.admin("/stats/prometheus?filter=revision_duration"),
            revisions=list,
            mesh=MeshMetrics(lambda: [pod.spec for pod in runtime.pods()]),
        )
        metrics.start()
        one_at_a_time = threading.Lock()

        def follow() -> None:
            with one_at_a_time:
                prometheus.set_targets(targets_of(runtime.pods(), queue_proxy_port=metrics.port))

        runtime.on_change = follow
        loop = ControllerLoop(api.store, runtime, ingress)
        loop.start()
        http = kubernetes.ApiClient(kubernetes.Configuration(host=api.url))
        yield Cluster(
            objects=kubernetes.CustomObjectsApi(http), apps=kubernetes.AppsV1Api(http),
            ingress=ingress, runtime=runtime, prometheus=prometheus, metrics=metrics, digits=digits,
        )  # fmt: skip
        loop.stop()
        metrics.close()
        http.close()
    prometheus.close()
    api.stop()


@pytest.fixture
def staged(cluster: Cluster) -> Iterator[Cluster]:
    """Blue serves; green is ready beside it, without traffic."""
    cluster.create()
    soon(cluster.is_ready, what=cluster.status)
    cluster.stage(0)
    wanted = {BLUE: 100, GREEN: 0}
    soon(lambda: cluster.weights() == wanted, what=cluster.status)
    yield cluster
    cluster.objects.delete_namespaced_custom_object(*ISVC, "digits")
    soon(lambda: cluster.runtime.pods() == [])


def test_a_canary_gets_its_share_and_a_promotion_loses_no_request(staged: Cluster) -> None:
    assert set(staged.hits(30)) == BLUE_ONLY
    assert set(staged.hits(30, GREEN_HOST)) == GREEN_ONLY  # dark, and reached all the same

    staged.stage(10)
    soon(lambda: staged.weights() == {BLUE: 90, GREEN: 10}, what=staged.status)
    seen = staged.hits(600)
    low, high = binom.interval(1 - 1e-6, 600, 0.10)
    assert low <= seen[GREEN] <= high, seen

    server = green_pid(staged)
    sent = promote_under_load(staged)
    assert sent > 100
    assert set(staged.hits(30)) == GREEN_ONLY
    assert green_pid(staged) == server  # the same process: nothing was restarted
    deployments = staged.apps.list_namespaced_deployment("default").items
    assert [d.metadata.name for d in deployments] == [GREEN]
    soon(lambda: {pod.spec.service for pod in staged.runtime.pods()} == GREEN_ONLY)


def green_pid(cluster: Cluster) -> int | None:
    (found,) = [pod.pid for pod in cluster.runtime.pods() if pod.spec.service == GREEN]
    return found


def promote_under_load(cluster: Cluster) -> int:
    """Four clients send all the while; every answer must be a good one."""
    ended = threading.Event()
    sent: Counter[int] = Counter()

    def load(index: int) -> None:
        with httpx.Client(trust_env=False, timeout=20) as http:
            while not ended.is_set():
                answer = cluster.ask(http)
                assert answer.status_code == 200, answer.text
                sent[index] += 1

    def promote() -> None:
        try:
            time.sleep(0.5)
            cluster.promote()
            soon(lambda: cluster.weights() == {GREEN: 1}, what=cluster.status)
            time.sleep(2.0)  # longer than Envoy's and Triton's drains
        finally:
            ended.set()

    at_once(5, lambda index: promote() if index == 4 else load(index))
    return sum(sent.values())


def test_grpc_reaches_a_dark_canary(staged: Cluster) -> None:
    options = [("grpc.default_authority", GREEN_HOST)]
    client = grpcclient.InferenceServerClient(
        f"127.0.0.1:{staged.ingress.port}", channel_args=options
    )
    tensor = grpcclient.InferInput("X", [2, 64], "FP32")
    tensor.set_data_from_numpy(staged.digits.images[:2])
    labels = client.infer("digits", [tensor]).as_numpy("label")
    client.close()
    assert labels.ravel().tolist() == staged.digits.answers(staged.digits.images[:2])[0].tolist()


def test_the_mesh_counts_the_requests_of_each_service(staged: Cluster) -> None:
    before = staged.counted(BLUE), staged.counted(GREEN)
    staged.hits(40)
    staged.hits(25, GREEN_HOST)
    wanted = before[0] + 40, before[1] + 25
    soon(
        lambda: (staged.counted(BLUE), staged.counted(GREEN)) == wanted,
        what=lambda: (wanted, staged.query("istio_requests_total"))
    )  # fmt: skip
    labels = f'reporter="source",destination_service_name="{BLUE}",response_code="200"'
    (found,) = staged.query(f"istio_requests_total{{{labels}}}")
    assert found["metric"]["destination_service_namespace"] == "default"
    buckets = staged.query(f"istio_request_duration_milliseconds_bucket{{{labels}}}")
    edges = sorted(float(bucket["metric"]["le"]) for bucket in buckets)
    assert edges == [*map(float, ISTIO_BUCKETS_MS), float("inf")]
    total = staged.query(f"istio_request_duration_milliseconds_count{{{labels}}}")
    assert total[0]["value"][1] == found["value"][1]


def test_a_service_s_counters_go_on_when_its_pods_are_replaced(staged: Cluster) -> None:
    before = staged.counted(BLUE)
    staged.hits(10)
    soon(lambda: staged.counted(BLUE) == before + 10)
    (old,) = [pod.spec.name for pod in staged.runtime.pods() if pod.spec.service == BLUE]
    staged.patch({"predictor": {"labels": {"version": "2"}}})
    soon(lambda: {p.spec.name for p in staged.runtime.pods() if p.spec.service == BLUE} != {old})
    soon(lambda: old not in {pod.spec.name for pod in staged.runtime.pods()})
    staged.hits(10)
    soon(lambda: staged.counted(BLUE) == before + 20, what=lambda: (before, staged.counted(BLUE)))


def test_pods_are_scraped_by_the_labels_of_a_pod_monitor(staged: Cluster) -> None:
    staged.hits(5, GREEN_HOST)
    labels = f'app="isvc.{GREEN}",serving_kserve_io_inferenceservice="digits",component="predictor"'
    query = f'nv_inference_request_success{{{labels},model="digits"}} >= 5'
    soon(lambda: bool(staged.query(query)))
    assert staged.query('{serving_knative_dev_revision!=""}') == []


def test_a_load_test_counts_the_pods_that_there_are_not_those_that_there_were(
    staged: Cluster,
) -> None:
    seen_by_deploy = {GREEN: 3, "digits-red-predictor": 2, "digits-green": 3}
    metrics = RevisionMetrics(
        prometheus=Asked(url=staged.prometheus.url), namespace="default", preset=PRESETS["istio"],
        pods=seen_by_deploy,
    )  # fmt: skip
    soon(lambda: metrics.replicas(GREEN) == 1)  # an HPA has taken two away since
    assert metrics.replicas("digits-red-predictor") == 2  # nobody scrapes it by its name
    assert metrics.replicas("digits-green") == 3  # pods of a longer name are another's


def test_requests_to_a_service_without_pods_are_counted_as_failures(staged: Cluster) -> None:
    staged.patch({"canary": None, "predictor": staged.predictor("green") | {"name": "red"}})
    url = f"{staged.ingress.url}/v2/models/digits/infer"

    def fails() -> bool:  # blue is deleted, and red is not there yet: the route still says blue
        answer = httpx.get(url, headers={"host": HOST}, trust_env=False)
        return answer.status_code == 503

    failed = 'istio_requests_total{response_code="503"} > 0'
    soon(fails)
    soon(lambda: bool(staged.query(failed)))
    soon(lambda: staged.weights() == {"digits-red-predictor": 1}, what=staged.status)
