"""What a release tells monitoring, to real servers; and that no server changes a release by what it does."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.report import a_release
from tests.steps.traffic.test_promote import Judge, Registry, promote_
from tests.steps.traffic.traffic_cluster import POLL_S, Cluster, policy, published, staged_at
from tidegate.core.journal import Journal, Phase
from tidegate.core.telemetry import HELP
from tidegate.documents import Outcome, Result, Subject, Word
from tidegate.policy import Telemetry
from tidegate.steps import telling
from tidegate.steps.deploy import staged
from tidegate.steps.ending import give_back
from tidegate.steps.traffic_driver import Driver


@dataclass
class Monitor:
    """Pushgateway, collector and Grafana in one: what each was sent, and how they answer."""

    url: str = ""
    status: int = 200
    goes_on: threading.Event = field(default_factory=threading.Event)
    requests: list[tuple[str, str, bytes, str]] = field(default_factory=list)

    def sent(self, path: str) -> list[bytes]:
        return [body for _, at, body, _ in self.requests if at.startswith(path)]

    @property
    def notes(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.sent("/api/annotations")]

    def pushed(self, job: str) -> dict[str, dict[tuple[str, ...], float]]:
        """The last page that was pushed: metric -> values of its own labels -> value."""
        text = self.sent(f"/metrics/job/{job}")[-1].decode()
        return told_by(text)


def told_by(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    known = {"namespace", "inferenceservice"}
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            own = tuple(
                value for label, value in sorted(sample.labels.items()) if label not in known
            )
            found.setdefault(sample.name, {})[own] = sample.value
    return found


@pytest.fixture
def monitor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Monitor]:
    held = Monitor()
    held.goes_on.set()

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            held.goes_on.wait(60)
            held.requests.append(
                (self.command, self.path, body, self.headers["Authorization"] or "")
            )
            self.send_response(held.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_PUT = do_POST = _take  # noqa: N815 - the base's names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    held.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(telling, "TELLER", telling.Teller())
    for name in ("TIDEGATE_PUSHGATEWAY_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "TIDEGATE_GRAFANA_URL"):
        monkeypatch.setenv(name, held.url)
    monkeypatch.setenv("TIDEGATE_GRAFANA_TOKEN", "glsa_secret")
    yield held
    for place in ("pushgateway", "otlp", "textfile", "grafana"):  # what still waits is dropped
        telling.TELLER.failures[place] = telling.MOST_FAILURES
    held.goes_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


def released(cluster: Cluster, version: int, judge: Judge, **telemetry: str) -> Outcome:
    chosen = policy(telemetry=telemetry)
    deployed = staged(cluster.kube, published(version), chosen, f"r{version}", poll_s=POLL_S)
    return promote_(cluster, staged_at(deployed), chosen, judge, Registry())


def test_a_promotion_is_pushed_and_noted_at_every_step_of_traffic(
    cluster: Cluster, monitor: Monitor
) -> None:
    released(cluster, 1, Judge())
    outcome = released(cluster, 2, Judge(), metrics="pushgateway", annotations="grafana")
    assert outcome.result is Result.PROMOTED
    assert telling.TELLER.flush(10)
    told = monitor.pushed("tidegate-release/inferenceservice/digits/namespace/default")
    assert told["tidegate_release_phase"]["ENDED",] == 1
    assert told["tidegate_release_result"]["PROMOTED",] == 1
    assert told["tidegate_release_traffic_percent"] == {
        ("digits-predictor-00002", "candidate"): 100, ("digits-predictor-00001", "incumbent"): 0,
    }  # fmt: skip
    words = [key for key, value in told["tidegate_release_step_verdict"].items() if value]
    assert words == [("10", "PASS"), ("50", "PASS"), ("100", "PASS")]
    texts = [note["text"] for note in monitor.notes]
    for said in ("SHIFT 10 %", "SHIFT 50 %", "SHIFT 100 %", "PROMOTED"):
        assert any(said in text for text in texts), (said, texts)
    for note in monitor.notes:
        assert {"tidegate", "digits", "namespace:default", "release:r2"} <= set(note["tags"])
        assert abs(note["time"] / 1000 - outcome.steps[0].at_s) < 60
    assert {auth for _, path, _, auth in monitor.requests if "annotations" in path} == {
        "Bearer glsa_secret"
    }


def test_a_roll_back_is_told_with_its_share_and_its_reason(
    cluster: Cluster, monitor: Monitor
) -> None:
    released(cluster, 1, Judge())
    judge = Judge(at_50=Word.FAIL)
    released(cluster, 2, judge, metrics="pushgateway", annotations="grafana")
    assert telling.TELLER.flush(10)
    told = monitor.pushed("tidegate-release")
    assert told["tidegate_release_result"]["ROLLED_BACK",] == 1
    assert told["tidegate_release_traffic_safe"] == {(): 1}
    assert told["tidegate_release_traffic_percent"]["digits-predictor-00002", "candidate"] == 0
    assert "ROLLED_BACK: FAIL at 50 %" in monitor.notes[-1]["text"]


def test_a_collector_gets_the_gauges_and_the_release_as_a_trace(
    cluster: Cluster, monitor: Monitor
) -> None:
    released(cluster, 1, Judge())
    released(cluster, 2, Judge(), metrics="otlp")
    assert telling.TELLER.flush(15)
    request = ExportMetricsServiceRequest.FromString(monitor.sent("/v1/metrics")[-1])
    (resource,) = request.resource_metrics
    assert {"service.name", "tidegate.inferenceservice"} <= {
        one.key for one in resource.resource.attributes
    }
    gauges = {
        one.name: one.gauge.data_points for scope in resource.scope_metrics for one in scope.metrics
    }
    assert set(gauges) <= set(HELP)
    phases = {
        next(a.value.string_value for a in one.attributes if a.key == "phase"): one.as_double
        for one in gauges["tidegate_release_phase"]
    }
    assert [phase for phase, value in phases.items() if value] == ["ENDED"]
    spans = [
        span
        for body in monitor.sent("/v1/traces")
        for one in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in one.scope_spans
        for span in scope.spans
    ]
    assert {span.name for span in spans} >= {
        "release digits",
        "act STAGE",
        "bake 10 %",
        "bake 100 %",
    }
    assert len({span.trace_id for span in spans}) == 1
    whole = next(span for span in spans if span.name == "release digits")
    assert all(span.parent_span_id == whole.span_id for span in spans if span is not whole)


def test_a_textfile_is_what_promtool_and_a_parser_of_prometheus_read(
    cluster: Cluster, monitor: Monitor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "textfiles"
    folder.mkdir()
    monkeypatch.setenv("TIDEGATE_TEXTFILE_DIR", str(folder))
    released(cluster, 1, Judge(), metrics="textfile")
    assert telling.TELLER.flush(10)
    (path,) = folder.iterdir()  # one per service, and nothing half-written beside it
    assert path.name == "tidegate-release-default-digits.prom"
    told = told_by(path.read_text())
    assert told["tidegate_release_result"]["PROMOTED",] == 1
    assert set(told) <= set(HELP)
    if shutil.which("promtool"):
        with path.open() as file:
            linted = subprocess.run(
                ["promtool", "check", "metrics"], stdin=file, capture_output=True, text=True
            )
        assert (linted.returncode, linted.stderr) == (0, "")


@pytest.mark.parametrize("metrics", ["pushgateway", "otlp", "textfile"])
@pytest.mark.parametrize("trouble", ["refuses", "hangs", "unset"])
def test_no_trouble_of_monitoring_changes_or_delays_a_release(
    cluster: Cluster, monitor: Monitor, monkeypatch: pytest.MonkeyPatch, metrics: str, trouble: str
) -> None:
    """Were it waited for, a call of 90 seconds would end the test before the release."""
    released(cluster, 1, Judge())
    if trouble == "refuses":
        monitor.status = 400
        monkeypatch.setenv("TIDEGATE_TEXTFILE_DIR", "/nowhere/at/all")
    if trouble == "hangs":
        monkeypatch.setattr(telling, "CALL_S", 90.0)
        monitor.goes_on.clear()
    if trouble == "unset":
        for name in (
            "TIDEGATE_PUSHGATEWAY_URL",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "TIDEGATE_GRAFANA_URL",
        ):
            monkeypatch.delenv(name)
    outcome = released(cluster, 2, Judge(), metrics=metrics, annotations="grafana")
    assert outcome.result is Result.PROMOTED
    assert monitor.requests == [] or trouble == "refuses"


def test_after_three_failures_a_place_is_left_alone(monitor: Monitor) -> None:
    monitor.status = 400
    for number in range(6):
        telling.tell_state(journal(number))
    assert telling.TELLER.flush(20)
    assert len(monitor.sent("/metrics")) == telling.MOST_FAILURES


def test_of_the_states_that_wait_the_newest_alone_is_told(monitor: Monitor) -> None:
    monitor.goes_on.clear()
    for phase in (Phase.STAGING, Phase.STAGED, Phase.PROMOTING, Phase.RETURNING, Phase.ENDED):
        telling.tell_state(journal(1, phase=phase))
    monitor.goes_on.set()
    assert telling.TELLER.flush(20)
    assert len(monitor.sent("/metrics")) <= 2
    assert monitor.pushed("tidegate-release")["tidegate_release_phase"]["ENDED",] == 1


def test_an_alarm_is_a_gauge_and_a_note(monitor: Monitor) -> None:
    telling.tell_alarm(journal(1), "production could not be returned")
    assert telling.TELLER.flush(10)
    assert monitor.pushed("tidegate-release")["tidegate_release_alarm"] == {(): 1}
    assert "ALARM: production could not be returned" in monitor.notes[-1]["text"]


def test_the_report_tells_the_gate_s_word_in_a_group_of_its_own(monitor: Monitor) -> None:
    wanted = Telemetry(metrics="pushgateway")
    telling.tell_report(a_release.report(), wanted, namespace="default", service="digits")
    assert telling.TELLER.flush(10)
    told = monitor.pushed("tidegate-gate/inferenceservice/digits")
    assert told["tidegate_release_gate_verdict"]["PASS",] == 1
    assert monitor.sent("/metrics/job/tidegate-release") == []


def test_a_journal_of_a_release_without_telemetry_tells_nobody(monitor: Monitor) -> None:
    silent = journal(1).model_copy(update={"policy": {}})
    telling.tell_state(silent)
    telling.tell_end(silent)
    assert telling.TELLER.flush(5)
    assert monitor.requests == []


def test_a_release_that_never_acted_ends_without_a_trace_and_without_a_failure(
    monitor: Monitor,
) -> None:
    quiet = journal(1, policy={"telemetry": {"metrics": "otlp"}})
    telling.tell_end(quiet)
    assert telling.TELLER.flush(10)
    assert monitor.requests == []
    assert telling.TELLER.failures == {}


def test_the_last_words_of_a_process_get_out(monitor: Monitor, tmp_path: Path) -> None:
    path = tmp_path / "journal.json"
    path.write_text(journal(1).model_dump_json())
    program = (
        "import sys, pathlib; from tidegate.core.journal import Journal; from tidegate.steps import telling; "
        "telling.tell_state(Journal.model_validate_json(pathlib.Path(sys.argv[1]).read_text()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], env=dict(os.environ), timeout=60
    )
    assert done.returncode == 0
    assert len(monitor.sent("/metrics/job/tidegate-release")) == 1


def test_whoever_returns_a_dead_release_tells_by_its_own_policy(
    cluster: Cluster, monitor: Monitor
) -> None:
    released(cluster, 1, Judge())
    chosen = policy(telemetry={"metrics": "pushgateway"})
    staged_at(staged(cluster.kube, published(2), chosen, "r2", poll_s=POLL_S))
    from tidegate.adapters.release_lock import load_journal

    stored = load_journal(cluster.kube, "default", "digits")
    assert stored is not None
    give_back(Driver(cluster.kube, stored, step="sweep", poll_s=POLL_S), "dead", result=Result.DIED)
    assert telling.TELLER.flush(10)
    assert monitor.pushed("tidegate-release")["tidegate_release_result"]["DIED",] == 1


def journal(number: int, **changes: Any) -> Journal:
    subject = Subject(model="digits", version=str(number), digest="sha256:" + "a" * 64)
    base: dict[str, Any] = {
        "release_id": f"r{number}", "subject": subject, "namespace": f"n{number}", "name": "digits",
        "deadline_s": 500.0, "storage_uri": "file:///m/",
        "policy": {"telemetry": {"metrics": "pushgateway", "annotations": "grafana"}},
    }  # fmt: skip
    return Journal(**(base | changes))
