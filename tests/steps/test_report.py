"""report as a pipeline calls it: files in, files out; MLflow, the webhook and the cluster may be away."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.report import a_release, samples
from tests.steps.traffic import traffic_cluster
from tests.steps.traffic.traffic_cluster import Cluster, cluster
from tidegate.adapters.files import read, write
from tidegate.adapters.kubernetes import connect
from tidegate.documents import Deployment, Outcome, Report, Result, Verdict, Word
from tidegate.errors import DocumentError, UnavailableError
from tidegate.policy import Policy
from tidegate.steps.announcing import within
from tidegate.steps.configs import compared
from tidegate.steps.deploy import staged
from tidegate.steps.execution import execute
from tidegate.steps.guard import guard
from tidegate.steps.registry import steps
from tidegate.steps.remembered import nothing, tell, tell_of_sweep
from tidegate.steps.roll_back import returned
from tidegate.steps.sweep import swept

__all__ = ["cluster"]  # the fixture
pytestmark = pytest.mark.usefixtures("drawn_once")

NOWHERE = "http://127.0.0.1:9"


@dataclass
class Release:
    """The folder of one release; documents are replaced by name."""

    folder: Path
    policy: Policy = field(default_factory=a_release.policy)
    documents: dict[str, BaseModel] = field(
        default_factory=lambda: {
            "candidate": a_release.candidate(),
            "optimized": a_release.optimized(),
            "deployment": a_release.deployment(),
            "load_report": a_release.load(),
            "verdict_document": a_release.verdict(),
        }
    )

    def run(
        self, outcome: str = "PROMOTED", reason: str = "it is good", release_id: str = "r7"
    ) -> dict[str, Any]:
        """The step's outputs."""
        documents = self.documents | {"policy_document": self.policy}
        for name, document in documents.items():
            write(self.folder / name, document)
        ports = [*documents, "page", "report_document", "report_markdown", "report_metrics"]
        paths = {name: self.folder / name for name in ports}
        told = {"outcome": outcome, "reason": reason, "release_id": release_id}
        return execute(steps()["report"], paths | told)

    @property
    def report(self) -> Report:
        return read(self.folder / "report_document", Report)

    @property
    def page(self) -> str:
        return self.text("page")

    def text(self, port: str) -> str:
        return (self.folder / port).read_text(encoding="utf-8")

    @property
    def metrics(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "report_metrics").read_text())
        return loaded


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """A promoted release whose cluster cannot be reached."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Release(tmp_path)


@dataclass
class Listener:
    """A server that answers as told and remembers what it was asked."""

    status: int = 200
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)
    url: str = ""

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(body) for _, asked, body in self.requests if asked.endswith(path)]


@pytest.fixture
def listener() -> Iterator[Listener]:
    held = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            held.requests.append((self.command, self.path.partition("?")[0], body))
            run = {"run": {"info": {"artifact_uri": "mlflow-artifacts:/0/0123abc/artifacts"}}}
            reply = json.dumps(run).encode()
            self.send_response(held.status)
            self.send_header("Content-Length", str(len(reply)))
            self.end_headers()
            self.wfile.write(reply)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


# -- what is written


def test_a_promoted_release_is_one_page_one_document_and_numbers(release: Release) -> None:
    outputs = release.run()
    assert outputs["outcome"] == "PROMOTED"
    assert outputs["summary"].startswith("digits version 7: PROMOTED: it is good")
    assert "digits version 7: PROMOTED" in release.page
    assert release.report.load == release.documents["load_report"]
    assert release.report.parity == a_release.parity()
    assert release.report.seconds == {"load_test": 415.0}


def test_the_numbers_are_numbers(release: Release) -> None:
    release.run()
    assert set(map(type, release.metrics.values())) == {float}
    assert release.metrics["promoted"] == 1
    assert release.metrics["candidate_requests"] == release.metrics["baseline_requests"] == 1200
    assert release.metrics["parity_agreement"] == 0.998
    assert release.metrics["candidate_p99_ms"] > release.metrics["candidate_p50_ms"] > 0


def test_numbers_nobody_has_are_left_out(release: Release) -> None:
    release.documents["load_report"] = a_release.load(answered=0)
    release.run("ROLLED_BACK")
    assert "candidate_p99_ms" not in release.metrics
    assert release.metrics["candidate_errors"] == 1200
    assert release.metrics["promoted"] == 0


@pytest.mark.parametrize("step", ["fetch", "optimize", "publish"])
def test_a_release_refused_before_the_cluster_does_not_ask_it(release: Release, step: str) -> None:
    refused = a_release.refusal(step, parity=a_release.parity(Word.FAIL))
    names = ["deployment", "load_report", "verdict_document"]
    if step != "publish":
        names.append("optimized")
    release.documents |= dict.fromkeys(names, refused)
    outputs = release.run("REJECTED", refused.reason)
    assert "warning" not in outputs["summary"]
    assert release.report.verdict == refused
    assert release.report.parity == (a_release.parity() if step == "publish" else refused.parity)
    assert release.report.journal["outcome"]["traffic"] == {}
    assert f"The step <b>{step}</b> refused" in release.page
    assert release.metrics == {"promoted": 0.0, "parity_agreement": 0.998}


def test_documents_of_another_model_are_refused(release: Release) -> None:
    other = a_release.SUBJECT.model_copy(update={"version": "8"})
    release.documents["verdict_document"] = a_release.verdict(other)
    with pytest.raises(DocumentError, match="is about digits version 8"):
        release.run()
    assert not (release.folder / "page").exists()


def test_a_document_of_another_kind_is_refused(release: Release) -> None:
    release.documents["load_report"] = a_release.verdict()
    with pytest.raises(DocumentError, match="is a Verdict; give a LoadReport or a Refusal"):
        release.run()


def test_an_unknown_outcome_is_refused(release: Release) -> None:
    with pytest.raises(DocumentError, match="'SPLENDID' is none of PROMOTED"):
        release.run("SPLENDID")


def test_configuration_is_compared_as_it_was_published(release: Release, tmp_path: Path) -> None:
    for digest, batch in (("1111", 8), ("dddd", 16)):
        folder = tmp_path / digest / "digits"
        folder.mkdir(parents=True)
        (folder / "config.pbtxt").write_text(a_release.CONFIG.format(batch=batch))
    known = a_release.deployment()
    assert known.incumbent is not None
    old = known.incumbent.model_copy(update={"storage_uri": (tmp_path / "1111").as_uri() + "/"})
    new = {"storage_uri": (tmp_path / "dddd").as_uri() + "/", "incumbent": old}
    release.documents["deployment"] = known.model_copy(update=new)
    release.run()
    assert release.report.unread == ()
    assert "max_batch_size: 8" in release.page
    assert "max_batch_size: 16" in release.page


def test_configuration_that_cannot_be_read_from_here_is_said_on_the_page(release: Release) -> None:
    outputs = release.run()
    assert "the candidate&#39;s config.pbtxt is not shown: " in release.page
    assert "config.pbtxt" not in outputs["summary"]


def test_the_templates_are_compared_without_their_secrets_and_without_the_percent() -> None:
    known = a_release.deployment()
    assert known.incumbent is not None
    token = {"name": "API_TOKEN", "value": "hunter2"}
    before = {"minReplicas": 1, "canaryTrafficPercent": 10, "containers": [{"env": [token]}]}
    old = known.incumbent.model_copy(update={"predictor": before})
    texts, unread = compared(known.model_copy(update={"incumbent": old}), {"minReplicas": 2})
    assert len(unread) == 2
    (template,) = texts
    assert template.candidate == "minReplicas: 2\n"
    assert template.incumbent is not None
    assert "API_TOKEN" in template.incumbent
    assert "hunter2" not in template.incumbent
    assert "canaryTrafficPercent" not in template.incumbent


# -- the cluster


def test_no_file_of_the_report_holds_a_secret_of_the_service(release: Release) -> None:
    token = {"name": "API_TOKEN", "value": "hunter2"}
    deployment = a_release.deployment()
    assert deployment.incumbent is not None
    adopted = deployment.incumbent.model_copy(
        update={"predictor": {"containers": [{"env": [token]}]}}
    )
    release.documents["deployment"] = deployment.model_copy(update={"incumbent": adopted})
    release.run()
    files = ("page", "report_document", "report_markdown")
    assert not [name for name in files if "hunter2" in (release.folder / name).read_text()]
    assert "API_TOKEN" in (release.folder / "report_document").read_text()


def test_a_cluster_that_is_away_is_a_warning_on_the_page(release: Release) -> None:
    outputs = release.run()
    assert "warning: the journal could not be read" in outputs["summary"]
    assert "the journal could not be read" in release.page
    told = Outcome.model_validate_json(json.dumps(release.report.journal["outcome"]))
    assert (told.result, told.reason, told.traffic) == (Result.PROMOTED, "it is good", {})


def test_the_traffic_and_the_acts_come_from_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    """A first release, live at once, then a second that is staged and taken back."""
    chosen = traffic_cluster.policy(report={"mlflow": False})
    with connect(retry_s=2) as kube:
        first = staged(kube, traffic_cluster.published(1), chosen, "r1", poll_s=0.02)
        assert isinstance(first, Deployment)
        second, judged = _taken_back(kube, chosen)
    subject = second.subject
    documents: dict[str, BaseModel] = {
        "candidate": a_release.candidate(subject),
        "optimized": a_release.optimized(subject),
        "deployment": second,
        "load_report": a_release.load(subject),
        "verdict_document": judged,
    }
    release = Release(tmp_path, policy=chosen, documents=documents)
    outputs = release.run("ROLLED_BACK", "too slow", release_id="r2")
    assert "warning" not in outputs["summary"]
    journal = release.report.journal
    assert cluster.serving == {traffic_cluster.uri(1)}
    assert journal["outcome"]["traffic"] == cluster.traffic
    assert journal["acts"][0]["kind"] == "STAGE"
    (revision,) = cluster.traffic
    assert f"Production at the end: {revision} 100 %." in release.page
    assert "STAGE" in release.page
    assert release.report.seconds["traffic"] > 0


def _taken_back(kube: Any, chosen: Policy) -> tuple[Deployment, Verdict]:
    """A second release, judged FAIL; the first one is closed as its promotion would have done."""
    from tidegate.adapters.release_lock import load_journal, save_journal

    stored = load_journal(kube, "default", traffic_cluster.NAME)
    assert stored is not None
    save_journal(kube, stored.journal.ended(Result.PROMOTED, "live"), stored)
    second = staged(kube, traffic_cluster.published(2), chosen, "r2", poll_s=0.02)
    assert isinstance(second, Deployment)
    judged = traffic_cluster.verdict(second, "r2", Word.FAIL)
    assert returned(kube, judged, chosen, "r2", poll_s=0.02).result is Result.ROLLED_BACK
    return second, judged


def test_a_journal_that_a_later_release_has_replaced_is_a_warning(
    cluster: Cluster, tmp_path: Path
) -> None:
    outputs = Release(tmp_path).run()
    assert "a later release has taken its place" in outputs["summary"]


# -- who is told


def mlflow(url: str, monkeypatch: pytest.MonkeyPatch) -> Policy:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    return a_release.policy(report={"mlflow": True})


def test_mlflow_gets_tags_and_the_page(
    release: Release, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.policy = mlflow(listener.url, monkeypatch)
    outputs = release.run(reason="x" * 600)
    tags = {tag["key"]: tag["value"] for tag in listener.bodies("model-versions/set-tag")}
    assert tags == {
        "tidegate.outcome": "PROMOTED",
        "tidegate.verdict": "PASS",
        "tidegate.release_id": "r7",
        "tidegate.reason": "x" * 500,
        "tidegate.report": "tidegate/release-r7.html",
    }
    stored = {
        path.rpartition("/")[2]: body.decode()
        for method, path, body in listener.requests
        if method == "PUT"
    }
    assert stored == {
        "release-r7.html": release.page,
        "release-r7.md": release.text("report_markdown"),
        "release-r7.json": release.text("report_document"),
    }
    assert "MLflow" not in outputs["summary"]


def test_without_a_run_there_are_tags_and_a_note(
    release: Release, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.policy = mlflow(listener.url, monkeypatch)
    release.documents["candidate"] = a_release.candidate(run_id="")
    outputs = release.run()
    assert "names no MLflow run" in outputs["summary"]
    assert {method for method, _, _ in listener.requests} == {"POST"}


def test_an_mlflow_that_is_down_is_a_warning(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    release.policy = mlflow(NOWHERE, monkeypatch)
    outputs = release.run()
    assert outputs["outcome"] == "PROMOTED"
    assert "warning: writing to MLflow failed: MLflow at http://127.0.0.1:9" in outputs["summary"]


def told(listener: Listener, release: Release, form: str) -> Any:
    hook = {"mlflow": False, "webhook_url": f"{listener.url}/hook/secret", "webhook_format": form}
    release.policy = a_release.policy(report=hook)
    assert "posting to the webhook" not in release.run("ROLLED_BACK", "too slow")["summary"]
    (body,) = listener.bodies("/hook/secret")
    assert "secret" not in release.page + release.text("report_document")
    return body


def test_a_webhook_for_json_gets_the_outcome_and_markdown(
    release: Release, listener: Listener
) -> None:
    body = told(listener, release, "json")
    assert body["outcome"] == "ROLLED_BACK"
    assert (body["model"], body["version"], body["reason"]) == ("digits", "7", "too slow")
    assert body["service"] == "default/digits"
    assert body["markdown"] == release.text("report_markdown")


def test_a_webhook_for_slack_gets_text_and_blocks_and_nothing_else(
    release: Release, listener: Listener
) -> None:
    body = told(listener, release, "slack")
    assert set(body) == {"text", "blocks"}
    assert body["text"] == "digits version 7: ROLLED BACK: too slow"
    assert body["blocks"][0]["text"]["text"] == "digits version 7: ROLLED BACK"


@pytest.mark.parametrize(
    "url", [f"{NOWHERE}/secret", "not a url", "http://[secret", "ftp://x/secret"]
)
def test_a_webhook_that_is_down_is_a_warning_without_its_secret(release: Release, url: str) -> None:
    release.policy = a_release.policy(report={"mlflow": False, "webhook_url": url})
    outputs = release.run()
    assert "warning: posting to the webhook failed" in outputs["summary"]
    assert "secret" not in outputs["summary"]


@pytest.mark.parametrize("status", [302, 410, 500])
def test_a_webhook_that_refuses_is_a_warning(
    release: Release, listener: Listener, status: int
) -> None:
    listener.status = status
    release.policy = a_release.policy(report={"mlflow": False, "webhook_url": listener.url})
    outputs = release.run()
    assert f"answered {status}" in outputs["summary"]
    assert outputs["outcome"] == "PROMOTED"


def test_a_run_that_died_is_told_by_the_guard_from_its_journal(
    cluster: Cluster, listener: Listener, tmp_path: Path
) -> None:
    hook = {"mlflow": False, "webhook_url": f"{listener.url}/hook", "webhook_format": "json"}
    with connect(retry_s=2) as kube:
        staged(
            kube,
            traffic_cluster.published(1),
            traffic_cluster.policy(report=hook),
            "r1",
            poll_s=0.02,
        )
    assert guard("r1", tmp_path / "page").outcome == "DIED"
    (body,) = listener.bodies("/hook")
    assert (body["outcome"], body["version"], body["release_id"]) == ("DIED", "1", "r1")
    assert body["production"] == "Production at the end: nothing is served under this name."
    assert "digits version 1" in (tmp_path / "page").read_text()


def test_a_dead_release_that_sweep_ends_is_told_once(cluster: Cluster, listener: Listener) -> None:
    hook = {"mlflow": False, "webhook_url": f"{listener.url}/hook", "webhook_format": "json"}
    with connect(retry_s=2) as kube:
        first = traffic_cluster.policy(report=hook)
        staged(kube, traffic_cluster.published(1), first, "r1", poll_s=0.02)
        late = time.time() + 1e6
        for returned_now in (1, 0):
            said = swept(kube, "", now_s=late, poll_s=0.02, tell=tell_of_sweep)
            assert said.returned == returned_now
    (body,) = listener.bodies("/hook")
    assert (body["outcome"], body["release_id"]) == ("DIED", "r1")
    assert "past its deadline while STAG" in body["reason"]


def test_a_guard_whose_registry_and_webhook_are_away_ends_as_it_would(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", NOWHERE)
    with connect(retry_s=2) as kube:
        chosen = traffic_cluster.policy(report={"webhook_url": f"{NOWHERE}/secret"})
        staged(kube, traffic_cluster.published(1), chosen, "r1", poll_s=0.02)
    assert guard("r1", tmp_path / "page").outcome == "DIED"
    assert "secret" not in (tmp_path / "page").read_text()


def test_a_guard_without_the_extra_that_draws_still_writes_what_happened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)  # as where it is not installed
    text = tell(samples.died().model_copy(update={"outcome": Result.ABORTED}))
    assert "digits version 7: ABORTED" in text
    assert "Production at the end: digits-predictor-00001 100 %." in text
    assert "Release r9 left nothing in the cluster." in nothing("r9")


def test_nobody_is_waited_for_longer_than_allowed() -> None:
    given_up = threading.Event()
    try:
        with pytest.raises(UnavailableError, match=r"no end after 0\.1 s"):
            within(given_up.wait, "dripping", seconds=0.1)
    finally:
        given_up.set()
