"""Every preset against a real Prometheus that remembers what its exporter writes."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.evidence.conftest import CANDIDATE, INCUMBENT, deployment, lines, policy, remembering
from tidegate.adapters.prometheus import Prometheus
from tidegate.adapters.revision_metrics import RevisionMetrics, open_metrics
from tidegate.cli import app
from tidegate.core.readings import Place, resolve
from tidegate.errors import DocumentError
from tidegate.operations.queries import require_metrics
from tidegate.policy.presets import PRESETS, Preset

pytestmark = pytest.mark.real
RPS, FAILED, SLOW = 10.0, 0.1, 0.05  # slow: 250 to 500 ms
PLACE = Place(revision=CANDIDATE, incumbent=INCUMBENT, namespace="default", name="m")
COUNTING = [preset for preset in PRESETS.values() if preset.requests]


def history(preset: Preset, revision: str, rps: float) -> str:
    """What the preset's exporter has counted of a revision."""
    one = preset.requests
    assert one is not None
    service = "m" if one.service_of == "$name" else "m-predictor"
    service = revision if one.service == one.revision else service
    who = {one.namespace: "default", one.service: service, one.revision: revision}
    who |= {one.reporter: "source"} if one.reporter else {}
    codes = {"200": 1 - FAILED, "503": FAILED} if one.code else {"": 1.0}
    text = ""
    for code, share in codes.items() if one.histogram else ():
        labels = who | ({one.code: code} if one.code else {})
        text += lines(f"{one.histogram}_count", labels, rps * share, until=0)
        for edge, below in ((0.1, 1 - SLOW), (0.25, 1 - SLOW), (0.5, 1.0), (math.inf, 1.0)):
            shown = "+Inf" if math.isinf(edge) else f"{edge * 1000 / one.unit_ms:g}"
            per_s = rps * share * below
            text += lines(f"{one.histogram}_bucket", labels | {"le": shown}, per_s, until=0)
    further = dict(part.split("=") for part in filter(None, [one.failing]))
    for name in dict.fromkeys(filter(None, (*one.counters, one.failures))):
        share = FAILED if name == one.failures else 1 - FAILED
        text += lines(
            name, who | {k: v.strip('"') for k, v in further.items()}, rps * share, until=0
        )
    return text


def others() -> str:
    """Gauges and counters that the queries of Triton and DCGM ask for besides."""
    triton = {"namespace": "default", "serving_knative_dev_revision": CANDIDATE}
    gpu = {"namespace": "default", "pod": f"{CANDIDATE}-deployment-7d9f8b6c5d-abcde"}
    told: dict[str, Mapping[str, str]] = {
        "nv_inference_request_duration_us": triton, "nv_inference_queue_duration_us": triton,
        "nv_inference_count": triton, "nv_inference_exec_count": triton,
        "nv_inference_pending_request_count": triton, "nv_gpu_utilization": triton,
        "nv_gpu_memory_used_bytes": triton, "nv_gpu_memory_total_bytes": triton,
        "kn_serving_queue_depth": triton, "kn_queueproxy_depth": triton,
        "revision_queue_depth": {"namespace_name": "default", "revision_name": CANDIDATE},
        "DCGM_FI_DEV_GPU_UTIL": gpu, "DCGM_FI_DEV_FB_USED": gpu, "DCGM_FI_DEV_FB_FREE": gpu,
        "DCGM_FI_DEV_POWER_USAGE": gpu, "DCGM_FI_DEV_XID_ERRORS": gpu,
    }  # fmt: skip
    return "".join(lines(name, dict(labels), 2, until=0) for name, labels in told.items())


@pytest.fixture(scope="module")
def remembered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    text, seen = others(), set[str]()
    for preset in COUNTING:
        for revision, rps in ((CANDIDATE, RPS), (INCUMBENT, 9 * RPS)):
            for block in history(preset, revision, rps).splitlines(keepends=True):
                if block.rsplit(" ", 2)[0] + block.rsplit(" ", 1)[1] not in seen:
                    seen.add(block.rsplit(" ", 2)[0] + block.rsplit(" ", 1)[1])
                    text += block
    with remembering(tmp_path_factory.mktemp("presets"), text) as url:
        yield Prometheus(url=url, budget_s=1)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_every_query_of_a_preset_gives_a_number(remembered: Prometheus, preset: Preset) -> None:
    values = {
        name: remembered.number(resolve(query, PLACE, window_s=60))
        for name, query in preset.queries.items()
    }
    assert {name: reading.trouble for name, reading in values.items()} == dict.fromkeys(values, "")
    if "error_ratio" in values:
        assert values["error_ratio"].value == pytest.approx(FAILED, abs=0.02)
    if "p99_ms" in values:
        found = values["p99_ms"].value
        assert found is not None
        assert 250 < found <= 500


@pytest.mark.parametrize("preset", COUNTING, ids=lambda preset: preset.name)
def test_every_source_counts_requests_errors_and_latencies_of_one_revision(
    remembered: Prometheus, preset: Preset
) -> None:
    metrics = RevisionMetrics(prometheus=remembered, namespace="default", preset=preset)
    served, stale = metrics.served(CANDIDATE, elapsed_s=120)
    assert served is not None
    assert stale == ""
    rate = served.requests / served.seconds
    assert rate == pytest.approx(RPS, rel=0.06)
    assert served.errors / served.requests == pytest.approx(FAILED, abs=0.02)
    fewest, most = served.latency.over(250)
    if preset.requests and preset.requests.histogram:
        assert fewest == most == pytest.approx(SLOW * served.latency.total, abs=2)
    else:  # nothing is known of latencies, so all of them may be over
        assert (fewest, most, served.latency.shown(0.99)) == (0, served.requests, None)
    assert metrics.requests_within(CANDIDATE, window_s=100) == pytest.approx(1000, rel=0.06)
    peak = metrics.peak("m", window_s=600).value
    assert peak is not None
    assert 0 < peak <= 10 * RPS * 1.06  # of candidate and incumbent together


def test_auto_takes_the_newest_era_that_prometheus_has(
    remembered: Prometheus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", remembered.url)
    standard = deployment().model_copy(update={"mode": "Standard"})
    for deployed, source, name in (
        (deployment(), "auto", "knative"),
        (standard, "auto", "istio"),
        (deployment(), "envoy", "envoy"),
    ):
        metrics, _ = open_metrics(policy(slo={"source": source}), deployed)
        assert metrics is not None
        assert metrics.preset.name == name
    old = PRESETS["knative-1.18"]
    with remembering(tmp_path, history(old, CANDIDATE, RPS)) as url:
        monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", url)
        metrics, _ = open_metrics(policy(), deployment())
        assert metrics is not None
        assert metrics.preset is old


def test_validate_asks_the_real_prometheus_for_every_metric(
    remembered: Prometheus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", remembered.url)
    known = {"kind": "promql", "name": "q", "limit": 1, "preset": "triton/queue_share"}
    absent = known | {"preset": "", "query": 'sum(nv_energy_consumption{r="$revision"})'}
    path = tmp_path / "policy.yaml"
    whole = {"name": "m", "model": {"uri": "models:/m/2"}, "slo": {"objectives": [known]}}
    path.write_text(yaml.safe_dump(whole))
    assert CliRunner().invoke(app, ["validate", "--prometheus", str(path)]).exit_code == 0
    with pytest.raises(DocumentError, match=r"objectives\.1\.query = .* nv_energy_consumption, of"):
        require_metrics(policy(slo={"objectives": [known, absent]}), what="policy.yaml")
