"""A real Prometheus scrapes by the monitors: every label that a preset selects by is on the series."""

import contextlib
import copy
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from deploy.objects.gpu import scaling
from deploy.objects.monitoring import dashboards, monitors
from tests.deploy import crd
from tests.deploy.exporters import pod, recorded, service, serving
from tests.deploy.prometheus_operator import jobs
from tests.evidence.conftest import free_port, has_prometheus, running
from tidegate.core.readings import Place, resolve
from tidegate.policy.presets import PRESETS, Preset
from tidegate.policy.promql import filled, selectors_of
from tidegate.sandbox.envoy_config import EDGES_MS
from tidegate.sandbox.interfaces import RevisionSpec
from tidegate.sandbox.mesh_metrics import exposition as mesh
from tidegate.sandbox.prometheus import targets_of
from tidegate.sandbox.queue_proxy import Era, Histogram, RevisionLabels, exposition

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
REVISION, OLD, SERVICE = "digits-predictor-00002", "digits-predictor-00001", "digits-predictor"
PLACE = Place(revision=REVISION, incumbent=OLD, namespace="prod", name="digits")
# Istio counts by Service, which is what a revision is called in Standard mode.
STANDARD = Place(
    revision=SERVICE, incumbent="digits-old-predictor", namespace="prod", name="digits"
)
KNATIVE_POD = {
    "serving.knative.dev/revision": REVISION,
    "serving.knative.dev/service": SERVICE,
    "serving.kserve.io/inferenceservice": "digits",
    "component": "predictor",
}
# Each era, and its gauge that the sandbox's queue-proxies leave out.
ERAS: Mapping[Era, str] = {
    "serving_invocation": "kn_serving_queue_depth 0\n",
    "queueproxy_app": "kn_queueproxy_depth 0\n",
    "revision_app": f'revision_queue_depth{{namespace_name="prod",revision_name="{REVISION}"}} 0\n',
}


def histograms() -> dict[int, Histogram]:
    """Two answers and a failure."""
    size = len(EDGES_MS) + 1
    made = {200: Histogram(buckets=[2] * size, sum_ms=9.0, count=2)}
    return made | {503: Histogram(buckets=[1] * size, sum_ms=2.0, count=1)}


def broken(monitor: Json, **changes: Any) -> Json:
    """The same monitor with a piece gone; what it scrapes is found in namespace `broken`."""
    item = copy.deepcopy(monitor)
    item["metadata"]["name"] += "-broken-" + "-".join(changes)
    name, kept = next(iter(changes.items()))
    whole = item["spec"] if name == "podTargetLabels" else item["spec"]["podMetricsEndpoints"][0]
    whole[name] = kept
    ending = {"targetLabel": "namespace", "replacement": "broken"}
    item["spec"]["podMetricsEndpoints"][0].setdefault("relabelings", [])
    endpoint = item["spec"]["podMetricsEndpoints"][0]
    endpoint["relabelings"] = [*endpoint["relabelings"], ending]
    return item


BY_NAME = {one["metadata"]["name"]: one for one in monitors.predictors()}
ALL = [*monitors.predictors(), *monitors.gateways(), *monitors.gpus()]
BROKEN = [
    broken(BY_NAME["tidegate-queue-proxies"], podTargetLabels=["component"]),
    broken(BY_NAME["tidegate-model-servers"], podTargetLabels=["serving.knative.dev/service"]),
    broken(BY_NAME["tidegate-kourier"], metricRelabelings=[]),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not has_prometheus():
        pytest.skip("needs the Debian package prometheus")
    folder = tmp_path_factory.mktemp("monitors")
    with contextlib.ExitStack() as stack:
        groups = [*discovered(stack)]
        (folder / "targets.json").write_text(json.dumps(groups))
        wanted = [*ALL, *BROKEN]
        made = [
            job
            for one in wanted
            for job in jobs(one, files=str(folder / "targets.json"), interval="1s")
        ]
        kourier = str(port_of(groups, "kourier"))
        text = json.dumps({"scrape_configs": made}).replace("$1:9000", f"$1:{kourier}")
        (folder / "prometheus.yml").write_text(text)
        port = free_port()
        command = [
            "prometheus", f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error", "--scrape.discovery-reload-interval=100ms",
        ]  # fmt: skip
        stack.enter_context(running(command))
        address = f"http://127.0.0.1:{port}"
        settled(address)
        yield address


def discovered(stack: contextlib.ExitStack) -> Iterator[Json]:
    """Pods and endpoints as discovery shows them, each with the page of its exporter."""
    who = RevisionLabels(namespace="prod", name=REVISION, service=SERVICE)
    triton = stack.enter_context(serving(recorded("triton") + recorded("triton_gpu")))
    scraped = {"prometheus.kserve.io/port": str(triton), "prometheus.kserve.io/path": "/metrics"}
    for number, (era, gauge) in enumerate(ERAS.items()):
        page = exposition(who, histograms(), era) + gauge
        ports = {
            ("kserve-container", "user-port"): 1,
            ("queue-proxy", "http-autometric"): 1,
            ("queue-proxy", "http-usermetric"): stack.enter_context(serving(page)),
        }
        annotations = scraped if number == 0 else None
        yield from pod(
            f"{REVISION}-deployment-{number}", ports, labels=KNATIVE_POD, annotations=annotations
        )
    standard = {"app": "isvc.digits-predictor"} | {
        k: v for k, v in KNATIVE_POD.items() if "knative" not in k
    }
    yield from pod(
        "standard-0", {("kserve-container", "http"): 1}, labels=standard, annotations=scraped
    )
    gateway = mesh({("prod", "x"): histograms()}, {("prod", "x"): SERVICE})
    port = stack.enter_context(serving(gateway))
    yield from pod("gateway", {("istio-proxy", "http-envoy-prom"): port}, namespace="istio-system")
    port = stack.enter_context(serving(recorded("envoy")))
    kourier = {("kourier-gateway", "http2-external"): 1, ("kourier-gateway", "metrics"): port}
    yield from pod(
        "kourier", kourier, labels={"app": "3scale-kourier-gateway"}, namespace="kourier-system"
    )
    port = stack.enter_context(serving(recorded("dcgm")))
    yield from service(
        "nvidia-dcgm-exporter", ("gpu-metrics", port), labels={"app": "nvidia-dcgm-exporter"},
        namespace="gpu-operator", pod_name="nvidia-dcgm-exporter-x",
    )  # fmt: skip
    port = stack.enter_context(serving('tidegate_release_alarm{namespace="prod"} 0\n'))
    labels = {"app.kubernetes.io/name": "prometheus-pushgateway"}
    yield from service("pushgateway", ("http", port), labels=labels, namespace="monitoring")
    yield from pod("foreign", {("kserve-container", "http"): 1})


def port_of(groups: list[Json], name: str) -> int:
    ports = [
        int(one["targets"][0].rpartition(":")[2])
        for one in groups
        if one["labels"]["__meta_kubernetes_pod_name"] == name
    ]
    return ports[-1]


def settled(address: str) -> None:
    """Every target has been scraped, and none in vain."""
    deadline = time.monotonic() + 30
    seen: list[Any] = []
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, ValueError):  # not ready, it answers in words
            seen = targets(address)
            if seen and all(one["health"] == "up" for one in seen):
                return
        time.sleep(0.1)
    raise AssertionError([(one["scrapeUrl"], one["lastError"]) for one in seen])


def targets(address: str) -> list[Json]:
    answer = httpx.get(
        f"{address}/api/v1/targets", params={"state": "active"}, trust_env=False, verify=False
    )
    found: list[Json] = answer.json()["data"]["activeTargets"]
    return found


def series(url: str, query: str) -> list[Json]:
    answer = httpx.get(
        f"{url}/api/v1/query", params={"query": query}, trust_env=False, verify=False
    ).json()
    assert answer["status"] == "success", answer
    found: list[Json] = answer["data"]["result"]
    return found


def missing(url: str, preset: Preset, place: Place) -> list[str]:
    """The selectors of a preset's queries, and of how it counts requests, that find no series."""
    asked = [resolve(query, place, window_s=60) for query in preset.queries.values()]
    wanted = {selector for query in asked for selector in selectors_of(query)}
    wanted |= {*counted(preset, place)}
    return sorted(selector for selector in wanted if not series(url, selector))


def counted(preset: Preset, place: Place) -> Iterator[str]:
    """All labels of the requests of one revision of one service."""
    one = preset.requests
    if one is None:
        return
    who = f'{one.namespace}="{place.namespace}",{one.revision}="{place.revision}"'
    who += f',{one.service}=~"{filled(one.service_of, name=place.name)}"'
    who += f',{one.reporter}="source"' if one.reporter else ""
    for counter in (*one.counters, *filter(None, [one.failures])):
        yield f"{counter}{{{who}}}"
    if one.histogram:
        yield f'{one.histogram}_bucket{{{who},le!=""}}'
        code = f',{one.code}!=""' if one.code else ""
        yield f"{one.histogram}_count{{{who}{code}}}"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_the_monitors_give_the_series_every_label_that_a_preset_selects_by(
    url: str, preset: Preset
) -> None:
    assert missing(url, preset, STANDARD if preset.name == "istio" else PLACE) == []


@pytest.mark.parametrize("name", ["knative", "knative-1.19", "triton", "envoy"])
def test_a_monitor_that_leaves_a_label_out_is_seen(url: str, name: str) -> None:
    place = Place(revision=REVISION, incumbent=OLD, namespace="broken", name="digits")
    assert missing(url, PRESETS[name], place) != []


def test_nothing_is_scraped_that_no_monitor_selects(url: str) -> None:
    pods = {one["labels"].get("pod", "") for one in targets(url)}
    assert "gateway" in pods
    assert "foreign" not in pods


def test_the_gpu_s_series_belong_to_the_pod_that_uses_it_and_not_to_the_exporter(url: str) -> None:
    (found,) = series(url, "DCGM_FI_DEV_GPU_UTIL")
    assert found["metric"]["namespace"] == "prod"
    assert found["metric"]["pod"] == f"{REVISION}-deployment-7d9f8b6c5d-abcde"


@pytest.mark.parametrize("rule", scaling.rules(), ids=lambda rule: rule["name"]["as"])
def test_the_adapter_s_rules_find_a_number_of_every_pod(url: str, rule: Json) -> None:
    """Filled as the adapter fills them for the pods of namespace prod."""
    name = rule["name"]["matches"].strip("^$")
    asked = rule["metricsQuery"].replace("<<.Series>>", name).replace("<<.GroupBy>>", "pod")
    asked = asked.replace("<<.LabelMatchers>>", f'namespace="prod",pod=~"{REVISION}.*"')
    deadline = time.monotonic() + 10
    while not (found := series(url, asked)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found
    assert all(one["metric"]["pod"].startswith(REVISION) for one in found)


def test_a_pushed_release_keeps_the_namespace_of_its_service(url: str) -> None:
    (found,) = series(url, "tidegate_release_alarm")
    assert found["metric"]["namespace"] == "prod"


def test_the_sandbox_scrapes_with_labels_that_the_monitors_give(url: str) -> None:
    given: dict[str, set[str]] = {}
    for one in targets(url):
        if one["labels"]["job"] in {"prod/tidegate-queue-proxies", "prod/tidegate-model-servers",
                                    "prod/tidegate-standard-model-servers"}:  # fmt: skip
            given.setdefault(one["labels"]["container"], set()).update(one["labels"])
    for one in targets_of([*sandbox_pods()], queue_proxy_port=1)[1:]:
        labels = {key for key in one["labels"] if not key.startswith("__")}
        assert labels <= given[one["labels"]["container"]]


def sandbox_pods() -> Iterator[Any]:
    from tidegate.sandbox.endpoint import Endpoint
    from tidegate.sandbox.interfaces import RevisionStatus
    from tidegate.sandbox.triton import Pod

    for workload in ("Revision", "Deployment"):
        spec = RevisionSpec(
            namespace="prod", name=REVISION, service=SERVICE, inferenceservice="digits",
            storage_uri="", labels={}, workload=workload,
        )  # fmt: skip
        yield Pod(
            spec=spec, endpoint=Endpoint(http=1, grpc=2, metrics=3),
            status=RevisionStatus(phase="Ready"), pid=1, create_time=0.0, since=0.0, log=Path("log"),
        )  # fmt: skip


# -- the objects themselves


@pytest.mark.parametrize(
    "item", [*ALL, *monitors.by_service()], ids=lambda one: one["metadata"]["name"]
)
def test_a_monitor_is_valid_by_the_operator_s_own_crd_and_a_typo_is_not(item: Json) -> None:
    assert crd.complaints(item) == []
    endpoints = "podMetricsEndpoints" if item["kind"] == "PodMonitor" else "endpoints"
    item = copy.deepcopy(item)
    item["spec"][endpoints][0]["intervall"] = "10s"
    assert crd.complaints(item) != []


def test_the_monitor_by_service_copies_what_the_one_by_pod_copies() -> None:
    (by_service,) = monitors.by_service()
    by_pod = BY_NAME["tidegate-queue-proxies"]
    assert by_service["spec"]["targetLabels"] == by_pod["spec"]["podTargetLabels"]
    assert by_service["spec"]["endpoints"] == by_pod["spec"]["podMetricsEndpoints"]


def test_kustomize_builds_all_of_it_with_a_config_map_for_each_dashboard() -> None:
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here, whose kustomize would build it")
    folder = str(ROOT / "deploy" / "monitoring")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    kinds = {one["kind"] for one in built}
    assert kinds == {"PodMonitor", "ServiceMonitor", "PrometheusRule", "ConfigMap"}
    maps = [one for one in built if one["kind"] == "ConfigMap"]
    assert {name for one in maps for name in one["data"]} == {
        f"{uid}.json" for uid in dashboards.ALL
    }
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in maps)
