"""Queue-proxy metrics from Envoy's counts, and a real Prometheus that returns them by revision."""

import re
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from tests.sandbox.real_servers import BLUE, GREEN, HOST, NAMESPACE, Digits, body, eventually, split
from tidegate.errors import RejectedError
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.envoy_config import BUCKETS_MS
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.prometheus import Prometheus, targets_of
from tidegate.sandbox.queue_proxy import (
    Era,
    Histogram,
    QueueProxyMetrics,
    RevisionLabels,
    exposition,
    parse,
)
from tidegate.sandbox.triton import TritonRuntime

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def queue_proxy(_envoy: EnvoyIngress, runtime: TritonRuntime) -> Iterator[QueueProxyMetrics]:
    def known() -> list[RevisionLabels]:
        specs = [pod.spec for pod in runtime.pods()]
        return [
            RevisionLabels(namespace=s.namespace, name=s.name, service=s.service) for s in specs
        ]

    served = QueueProxyMetrics(
        scrape=lambda: _envoy.admin("/stats/prometheus?filter=revision_duration"), revisions=known
    )
    served.start()
    eventually(partial(is_quiet, served))
    yield served
    served.close()


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory,
    spawner: Spawner,
    runtime: TritonRuntime,
    queue_proxy: QueueProxyMetrics,
) -> Iterator[Prometheus]:
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), spawner=spawner)
    server.start()
    server.set_targets(targets_of(runtime.pods(), queue_proxy_port=queue_proxy.port))
    yield server
    server.close()


def page(queue_proxy: QueueProxyMetrics, revision: str) -> str:
    url = f"http://127.0.0.1:{queue_proxy.port}/{NAMESPACE}/{revision}/metrics"
    answer = httpx.get(url, trust_env=False, verify=False)
    assert answer.status_code == 200, answer.text
    return answer.text


def count(text: str, name: str, code: int) -> int:
    match = re.search(
        rf'^{name}_count\{{http_response_status_code="{code}"\}} (\d+)$', text, re.MULTILINE
    )
    return int(match[1]) if match else 0


def query(prometheus: Prometheus, promql: str) -> list[dict[str, Any]]:
    answer = httpx.get(
        f"{prometheus.url}/api/v1/query", params={"query": promql}, trust_env=False, verify=False
    )
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


def told(queue_proxy: QueueProxyMetrics) -> int:
    """Requests that the pages know; Envoy's histograms are a moment behind its counters."""
    name = "kn_serving_invocation_duration_seconds_count"
    pages = page(queue_proxy, BLUE) + page(queue_proxy, GREEN)
    return sum(int(n) for n in re.findall(rf"^{name}\S+ (\d+)$", pages, re.MULTILINE))


def is_quiet(queue_proxy: QueueProxyMetrics) -> bool:
    """No request of another module is still to be told."""
    before = told(queue_proxy)
    time.sleep(0.5)
    return told(queue_proxy) == before


def send(
    queue_proxy: QueueProxyMetrics, ingress: EnvoyIngress, digits: Digits, number: int,
    *, model: str = "digits",
) -> None:  # fmt: skip
    """Requests, until the pages know them."""
    url, before = f"{ingress.url}/v2/models/{model}/infer", told(queue_proxy)
    with httpx.Client(trust_env=False, timeout=60) as client:
        for _ in range(number):
            client.post(url, json=body(digits.images[:1]), headers={"host": HOST})
    eventually(lambda: told(queue_proxy) == before + number, what=lambda: told(queue_proxy))


def envoy_count(ingress: EnvoyIngress, revision: str) -> int:
    stats = ingress.admin(
        f"/stats?filter=cluster.{NAMESPACE}/{revision}/http.upstream_rq_completed"
    )
    return int(stats.partition(": ")[2] or 0)


def histograms(
    queue_proxy: QueueProxyMetrics, ingress: EnvoyIngress, digits: Digits
) -> dict[int, Histogram]:
    """What Envoy has of a revision that was asked at least once."""
    ingress.program([split(100, 0)])
    send(queue_proxy, ingress, digits, 1)
    return parse(ingress.admin("/stats/prometheus?filter=revision_duration"))[NAMESPACE, BLUE]


def test_each_revision_s_metrics_are_the_requests_that_envoy_counted_for_it(
    ingress: EnvoyIngress, digits: Digits, queue_proxy: QueueProxyMetrics
) -> None:
    ingress.program([split(50, 50)])
    name = "kn_serving_invocation_duration_seconds"
    before = {
        r: (count(page(queue_proxy, r), name, 200), envoy_count(ingress, r)) for r in (BLUE, GREEN)
    }
    send(queue_proxy, ingress, digits, 60)
    for revision, (served, counted) in before.items():
        by_envoy = envoy_count(ingress, revision) - counted
        assert 10 < by_envoy < 50
        assert count(page(queue_proxy, revision), name, 200) == served + by_envoy


def test_errors_are_counted_under_their_own_code(
    ingress: EnvoyIngress, digits: Digits, queue_proxy: QueueProxyMetrics
) -> None:
    ingress.program([split(100, 0)])
    name = "kn_serving_invocation_duration_seconds"
    before = count(page(queue_proxy, BLUE), name, 404)
    send(queue_proxy, ingress, digits, 3, model="unknown")
    assert count(page(queue_proxy, BLUE), name, 404) == before + 3


def test_prometheus_returns_the_metrics_by_revision_label(
    ingress: EnvoyIngress, digits: Digits, prometheus: Prometheus, queue_proxy: QueueProxyMetrics
) -> None:
    ingress.program([split(0, 100)])
    send(queue_proxy, ingress, digits, 20)
    labels = f'namespace="{NAMESPACE}",serving_knative_dev_revision="{GREEN}",component="predictor"'
    counted = (
        f'kn_serving_invocation_duration_seconds_count{{{labels},http_response_status_code="200"}}'
    )
    wanted = count(page(queue_proxy, GREEN), "kn_serving_invocation_duration_seconds", 200)
    assert wanted >= 20
    eventually(
        lambda: any(float(s["value"][1]) == wanted for s in query(prometheus, counted)),
        what=lambda: (wanted, query(prometheus, counted)),
    )
    metric = query(prometheus, counted)[0]["metric"]
    assert metric["serving_knative_dev_service"] == "digits-predictor"
    assert metric["serving_kserve_io_inferenceservice"] == "digits"
    assert metric["pod"].startswith(GREEN)
    triton = f'nv_inference_request_success{{{labels},model="digits"}}'
    eventually(lambda: bool(query(prometheus, triton)))


def test_the_95th_percentile_of_one_revision_can_be_asked(
    ingress: EnvoyIngress, digits: Digits, prometheus: Prometheus, queue_proxy: QueueProxyMetrics
) -> None:
    ingress.program([split(0, 100)])
    buckets = (
        f'kn_serving_invocation_duration_seconds_bucket{{serving_knative_dev_revision="{GREEN}"}}'
    )
    promql = f"histogram_quantile(0.95, sum by (le) (rate({buckets}[10s])))"

    def is_known() -> bool:
        send(queue_proxy, ingress, digits, 5)
        found = query(prometheus, promql)
        return bool(found) and 0 < float(found[0]["value"][1]) < 10

    eventually(is_known)


@pytest.mark.parametrize(
    ("era", "series", "edge"),
    [
        ("serving_invocation", "kn_serving_invocation_duration_seconds", "0.005"),
        ("queueproxy_app", "kn_queueproxy_app_duration_seconds", "0.005"),
        ("queueproxy_app", "http_server_request_duration_seconds", "0.005"),
        ("revision_app", "revision_app_request_latencies", "5"),
    ],
)
def test_every_era_has_its_names_and_units(
    era: Era, series: str, edge: str, queue_proxy: QueueProxyMetrics, ingress: EnvoyIngress,
    digits: Digits,
) -> None:  # fmt: skip
    codes = histograms(queue_proxy, ingress, digits)
    who = RevisionLabels(namespace=NAMESPACE, name=BLUE, service="digits-predictor")
    text = exposition(who, codes, era)
    edges = re.findall(rf'^{series}_bucket\{{[^}}]*le="([^"]+)"\}}', text, re.MULTILINE)
    assert edges[0] == edge
    assert len(set(edges)) == len(BUCKETS_MS) + 1
    assert ("target_info" in text) == (era != "revision_app")
    assert (f'revision_name="{BLUE}"' in text.replace("kn_revision_name", "")) == (
        era == "revision_app"
    )


def test_buckets_grow_and_end_with_the_count(
    queue_proxy: QueueProxyMetrics, ingress: EnvoyIngress, digits: Digits
) -> None:
    codes = histograms(queue_proxy, ingress, digits)
    for histogram in codes.values():
        assert histogram.buckets == sorted(histogram.buckets)
        assert histogram.buckets[-1] == histogram.count
        assert histogram.sum_ms > 0


def test_an_unknown_revision_has_no_page(queue_proxy: QueueProxyMetrics) -> None:
    url = f"http://127.0.0.1:{queue_proxy.port}/{NAMESPACE}/unknown/metrics"
    assert httpx.get(url, trust_env=False).status_code == 404


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("vector(3)", "(3.0,)"),
        ("1.5", "(1.5,)"),
        ("vector(0) / 0", "(nan,)"),
        ("nothing_of_the_kind", "()"),
        ("vector(1) or label_replace(vector(2), 'a', 'b', '', '')", "(1.0, 2.0)"),
    ],
)
def test_keda_is_told_the_values_of_an_instant_query(
    prometheus: Prometheus, asked: str, said: str
) -> None:
    assert str(prometheus.ask(asked)) == said


@pytest.mark.parametrize(("asked", "why"), [("sum(", "parse error"), ("'many'", "a text")])
def test_keda_is_told_why_a_query_has_no_values(
    prometheus: Prometheus, asked: str, why: str
) -> None:
    with pytest.raises(RejectedError, match=why):
        prometheus.ask(asked)
