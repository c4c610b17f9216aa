"""Every query of every dashboard returns data from the real Prometheus that scrapes the sandbox's servers."""

import contextlib
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Loaded
from prometheus_client import generate_latest

from deploy.objects.monitoring.dashboards import ALL
from deploy.objects.monitoring.rules import rules
from tests.deploy.exporters import recorded, serving
from tests.report import a_release
from tests.sandbox.real_servers import BLUE, GREEN, HOST, NAMESPACE, Digits, body, eventually, split
from tidegate.adapters.exposition import registry
from tidegate.core.journal import ActKind, ActRecord, Journal, Phase
from tidegate.core.telemetry import of_report, samples
from tidegate.documents import Incumbent, Report, Result, Subject, TrafficStep, Word
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.ports import free_port
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.prometheus import Prometheus, targets_of
from tidegate.sandbox.queue_proxy import QueueProxyMetrics, RevisionLabels
from tidegate.sandbox.triton import TritonRuntime

pytestmark = pytest.mark.real
ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "deploy" / "monitoring" / "dashboards").glob("*.json"))
# What no machine without a GPU and without TorchServe can export; the rest comes from real servers.
RECORDED = re.compile(r"\b(nv_gpu_|nv_energy_|DCGM_|ts_)")
Json = dict[str, Any]


def journal() -> Journal:
    """A release at 50 %, whose first step was judged."""
    subject = Subject(model="digits", version="7", digest="sha256:" + "a" * 64)
    act = ActRecord(kind=ActKind.SHIFT, percent=50, why="step", intended_s=1.0, confirmed_s=2.0)
    step = TrafficStep(
        at_s=3.0, percent=10, revision=GREEN, word=Word.PASS, p99_ms=12.0, requests=900
    )
    return Journal(
        release_id="r-1", subject=subject, namespace=NAMESPACE, name="digits", phase=Phase.ENDED,
        deadline_s=time.time() + 60, storage_uri="file:///m/", candidate_revision=GREEN,
        incumbent=Incumbent(revision=BLUE, storage_uri="", predictor={}, version="6"),
        acts=(act,), steps=(step,), outcome=Result.PROMOTED,
    )  # fmt: skip


def released() -> str:
    """The page of tidegate's own gauges, as a Pushgateway shows it."""
    told = journal()
    report = Report(
        subject=told.subject,
        release_id="r-1",
        result=Result.PROMOTED,
        reason="",
        load=a_release.load(told.subject),
        verdict=a_release.verdict(told.subject),
    )
    gate = of_report(report, namespace=NAMESPACE, service="digits")
    return generate_latest(registry([*samples(told, at_s=time.time()), *gate])).decode()


@pytest.fixture(scope="module")
def model_server() -> Iterator[int]:
    """KServe's own model server, asked for a prediction and an explanation now and then."""
    port = free_port()
    script = str(Path(__file__).with_name("model_server.py"))
    with subprocess.Popen(
        [sys.executable, script, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: asked(port))
            yield port
        finally:
            process.terminate()


def asked(port: int) -> bool:
    """Both verbs are answered."""
    content = {"instances": [[1, 2, 3]]}
    with contextlib.suppress(httpx.HTTPError), httpx.Client(trust_env=False, timeout=5) as client:
        url = f"http://127.0.0.1:{port}/v1/models/mean"
        answers = [client.post(f"{url}:{verb}", json=content) for verb in ("predict", "explain")]
        return all(answer.status_code == 200 for answer in answers)
    return False


@pytest.fixture(scope="module")
def prometheus(
    tmp_path_factory: pytest.TempPathFactory,
    spawner: Spawner,
    runtime: TritonRuntime,
    _envoy: EnvoyIngress,
    digits: Digits,
    model_server: int,
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("dashboards")
    known = [
        RevisionLabels(namespace=NAMESPACE, name=n, service="digits-predictor")
        for n in (BLUE, GREEN)
    ]
    with contextlib.ExitStack() as stack:
        queue_proxy = QueueProxyMetrics(
            scrape=lambda: _envoy.admin("/stats/prometheus?filter=revision_duration"),
            revisions=lambda: known,
        )
        queue_proxy.start()
        stack.callback(queue_proxy.close)
        server = Prometheus(folder, spawner=spawner, rules=[recording(folder)])
        server.start()
        stack.callback(server.close)
        extra = [*others(stack, model_server)]
        server.set_targets([*targets_of(runtime.pods(), queue_proxy_port=queue_proxy.port), *extra])
        _envoy.program([split(50, 50)])
        busy(_envoy, digits, model_server, server)
        yield server


def recording(folder: Path) -> Path:
    """The rules as they are deployed, evaluated every second."""
    groups = [{**group, "interval": "1s"} for group in rules()["spec"]["groups"]]
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": groups}))
    return path


def others(stack: contextlib.ExitStack, model_server: int) -> Iterator[Json]:
    """Targets beside the sandbox's: the labels are those that the monitors give."""
    pages = {"tidegate": released(), "triton_gpu": recorded("triton_gpu"),
             "torchserve": recorded("torchserve"), "dcgm": recorded("dcgm")}  # fmt: skip
    for name, page in pages.items():
        honoured = name in {"tidegate", "dcgm"}  # their series name their own namespace
        labels = (
            {"job": name}
            if honoured
            else {"job": name, "namespace": NAMESPACE, "pod": f"{GREEN}-deployment-0"}
        )
        yield {"targets": [f"127.0.0.1:{stack.enter_context(serving(page))}"], "labels": labels}
    where = {"job": "kserve", "namespace": NAMESPACE, "pod": "mean-predictor-0"}
    yield {"targets": [f"127.0.0.1:{model_server}"], "labels": where}


def busy(ingress: EnvoyIngress, digits: Digits, model_server: int, server: Prometheus) -> None:
    """Traffic, a failure among it, until every source has been scraped and recorded more than once."""
    figures = (
        'count_over_time(tidegate:revision_errors:ratio_rate5m{source="knative"}[1m]) > 3',
        "count_over_time(tidegate:revision_latency_seconds:p99_5m[1m]) > 3",
        'count_over_time(up{job="dcgm"}[1m]) > 3',
        "sum by (job) (rate(request_explain_seconds_count[1m])) > 0",
    )

    def is_known() -> bool:
        with httpx.Client(trust_env=False, timeout=20) as client:
            for model in ("digits", "digits", "unknown"):
                url = f"{ingress.url}/v2/models/{model}/infer"
                client.post(url, json=body(digits.images[:1]), headers={"host": HOST})
        return asked(model_server) and all(series(server, figure) for figure in figures)

    eventually(is_known)


def series(server: Prometheus, promql: str) -> list[Json]:
    answer = httpx.get(
        f"{server.url}/api/v1/query", params={"query": promql}, trust_env=False, verify=False
    )
    found = answer.json()
    assert found["status"] == "success", f"{promql}: {found}"
    result: list[Json] = found["data"]["result"]
    return result


def filled(promql: str) -> str:
    """As Grafana asks with `All` chosen."""
    return re.sub(r"\$(?!__)\w+", ".+", promql.replace("$__rate_interval", "30s"))


def queries(kind: str) -> list[Any]:
    """Every query of every committed dashboard: of real servers, or of recorded pages."""
    found = [
        (f"{path.stem}: {panel['title']} {target['refId']}", target["expr"])
        for path in FILES
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", ())
    ]
    wanted = kind == "recorded"
    return [pytest.param(q, id=name) for name, q in found if bool(RECORDED.search(q)) is wanted]


@pytest.mark.parametrize("promql", [*queries("real"), *queries("recorded")])
def test_a_panel_s_query_returns_a_number(prometheus: Prometheus, promql: str) -> None:
    values = [float(one["value"][1]) for one in series(prometheus, filled(promql))]
    assert [value for value in values if value == value], promql  # NaN is no data


def test_most_queries_are_answered_by_real_servers() -> None:
    assert len(queries("real")) > 3 * len(FILES)
    assert {path.stem for path in FILES} == set(ALL)


@pytest.mark.parametrize("uid", ALL)
def test_every_variable_has_something_to_choose(prometheus: Prometheus, uid: str) -> None:
    for variable in ALL[uid].variables:
        answer = httpx.get(
            f"{prometheus.url}/api/v1/label/{variable.label}/values",
            params={"match[]": variable.metric}, trust_env=False,
        )  # fmt: skip
        assert answer.json()["data"], variable


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_loads_back_in_grafana_s_own_library(path: Path) -> None:
    register_default_plugins()
    text = path.read_text()
    loaded = Loaded.from_json(json.loads(text))
    assert loaded.uid == path.stem
    assert JSONEncoder(sort_keys=True, indent=2).encode(loaded) + "\n" == text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_dashboard_asks_only_the_chosen_datasource_and_no_panel_lies_on_another(
    path: Path,
) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells
        taken |= cells
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "${datasource}"
    assert max(x for x, _ in taken) < 24
