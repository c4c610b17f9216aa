"""The look at pods: what an API shows of each trouble, and what is made of one that hides some of it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.core.test_diagnosis import TRITON_LOG, container, event, isvc, pod, revision
from tests.core.test_readiness import NEW, OLD, R1, R2, STAGED
from tests.core.test_readiness import revision as a_revision
from tests.evidence.conftest import CANDIDATE, deployment, policy
from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import connect
from tidegate.adapters.pods import Pods
from tidegate.core.diagnosis import Diagnosis, Reason
from tidegate.documents import Word
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.steps.live_gate import judge_step
from tidegate.steps.restart_watch import RestartWatch

SELECTOR = "serving.knative.dev/revision=r2"
CRASHED = container(waiting=("CrashLoopBackOff", ""), before=("Error", 1, ""), restarts=1)


class Api:
    """Answers lists and logs as it is told; a status in place of an answer is a refusal."""

    def __init__(self) -> None:
        self.pods: list[Any] | int = []
        self.events: list[Any] | int = []
        self.log: str | int = 400
        self.objects: dict[str, Any] = {}  # by name
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        kind = path.rpartition("/")[2]
        self.asked.append((kind, query))
        if kind in self.objects:
            return 200, json.dumps(self.objects[kind]).encode()
        found: Any = {"pods": self.pods, "events": self.events, "log": self.log}[kind]
        if isinstance(found, int):
            return found, json.dumps({"kind": "Status", "message": f"said {found}"}).encode()
        return 200, found.encode() if kind == "log" else json.dumps({"items": found}).encode()

    def queries(self, kind: str) -> list[dict[str, str]]:
        return [query for asked, query in self.asked if asked == kind]


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    held = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            code, body = held.answer(url.path, query)
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    with serving(Handler) as url:
        monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", url)))
        yield held


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def owner(**condition: str) -> dict[str, Any]:
    made = {"name": "r2", "creationTimestamp": "2026-11-25T23:00:00Z"}
    found = revision("Ready", condition.get("reason", "Deploying"), condition.get("message", ""))
    return {"metadata": made, **found}


def look(about: dict[str, Any] | None = None, service: Any = None) -> Diagnosis | None:
    with connect() as kube:
        about = owner() if about is None else about
        return Pods(kube, "default").diagnosis(service or isvc(), about, selector=SELECTOR).found


def test_the_log_of_the_run_that_ended_speaks_where_the_container_left_no_message(api: Api) -> None:
    """In Standard mode KServe sets terminationMessagePolicy File, so the message is empty there."""
    api.pods, api.log = [pod(CRASHED)], TRITON_LOG
    found = look()
    assert found
    assert found.reason is Reason.MODEL_LOAD
    assert "failed to load 'digits' version 1: Internal: bad dims" in found.message
    (asked,) = api.queries("log")
    assert (asked["container"], asked["previous"]) == ("kserve-container", "true")
    assert int(asked["tailLines"]) >= 100
    assert api.queries("pods") == [{"labelSelector": SELECTOR}]


def test_a_container_that_is_down_now_is_asked_for_its_last_run(api: Api) -> None:
    api.pods = [pod(container(ended=("Error", 1, "")))]
    api.log = "Segmentation fault\n"
    look()
    (asked,) = api.queries("log")
    assert "previous" not in asked


def test_a_log_of_one_line_that_happens_to_be_json_is_text_all_the_same(api: Api) -> None:
    api.pods, api.log = [pod(CRASHED)], '{"level": "fatal"}\n'
    found = look()
    assert found
    assert '{"level": "fatal"}' in found.message


def test_without_a_pod_the_replica_sets_of_this_revision_are_asked_why(api: Api) -> None:
    api.events = [
        event("FailedCreate", "exceeded quota: of another revision", about="r1-deployment-7"),
        event("FailedCreate", "exceeded quota: of an earlier r2", "2026-11-25T22:00:00Z", "r2-d-1"),
        event("FailedCreate", "exceeded quota: gpus", about="r2-deployment-7"),
    ]
    found = look()
    assert found
    assert (found.reason, found.words) == (Reason.QUOTA, "exceeded quota: gpus")


def test_pods_that_the_role_hides_are_named_and_knatives_words_used(api: Api) -> None:
    api.pods = 403
    found = look(owner(reason="ExitCode1", message="Container failed with: failed to load 'x'"))
    assert found
    assert (found.reason, found.certain) == (Reason.MODEL_LOAD, True)
    assert "not seen: pods, the Role does not allow it" in found.message


@pytest.mark.parametrize(
    ("code", "said"), [(403, "the Role does not allow it"), (500, "HTTP 500"), (404, "HTTP 404")]
)
def test_a_log_that_cannot_be_read_is_named_and_the_pod_speaks_alone(
    api: Api, code: int, said: str
) -> None:
    api.pods, api.log = [pod(CRASHED)], code
    found = look()
    assert found
    assert found.reason is Reason.CRASH_LOOP
    assert "the log of kserve-container, " in found.message
    assert said in found.message


def test_events_that_cannot_be_read_are_named(api: Api) -> None:
    api.events = 403
    found = look(owner(reason="Unschedulable", message="0/3 nodes are available"))
    assert found
    assert found.reason is Reason.UNSCHEDULABLE
    assert "not seen: events" in found.message


def test_an_api_that_is_away_while_it_is_asked_raises_nothing(api: Api) -> None:
    api.pods, api.events = 503, 503
    assert look() is None


def test_no_pod_is_looked_at_while_all_is_well(api: Api) -> None:
    api.objects = {"fraud": STAGED, R1: a_revision(R1, OLD), R2: a_revision(R2, NEW)}
    with connect() as kube:
        seen = InferenceServices(kube, "prod", "fraud").look()
    assert seen
    assert (seen.created, seen.diagnosis) == (R2, None)
    assert {kind for kind, _ in api.asked} == {"fraud", R1, R2}


def test_the_pods_of_the_newest_revision_are_looked_at_while_it_is_not_ready(api: Api) -> None:
    loading = a_revision(R2, NEW, status="Unknown", reason="Deploying")
    api.objects = {"fraud": STAGED, R1: a_revision(R1, OLD), R2: loading}
    api.pods = [pod(container(waiting=("ErrImagePull", "not found")))]
    with connect() as kube:
        seen = InferenceServices(kube, "prod", "fraud").look()
    assert seen
    assert seen.diagnosis
    assert seen.diagnosis.reason is Reason.IMAGE_PULL
    assert api.queries("pods") == [{"labelSelector": f"serving.knative.dev/revision={R2}"}]


def test_a_second_look_within_a_second_asks_nothing_more(api: Api) -> None:
    api.pods = [pod(container(waiting=("ErrImagePull", "i/o timeout")))]
    with connect() as kube:
        pods = Pods(kube, "default")
        first, second = (
            pods.diagnosis(isvc(), owner(), selector=SELECTOR, warnings=()) for _ in range(2)
        )
    assert first.found
    assert first == second
    assert len(api.queries("pods")) == 1


def test_a_restart_within_a_bake_is_found_in_the_candidates_own_pods(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TIDEGATE_PROMETHEUS_URL", raising=False)
    crashed = pod(container(before=("OOMKilled", 137, ""), restarts=1))
    crashed["status"]["containerStatuses"][0]["lastState"]["terminated"]["finishedAt"] = (
        "2030-01-01T00:00:00Z"
    )
    cases: list[tuple[list[Any] | int, Word, Word]] = [
        ([crashed], Word.FAIL, Word.FAIL),  # whatever Prometheus knows
        ([pod()], Word.PASS, Word.INVALID),
        (403, Word.INCONCLUSIVE, Word.INVALID),
    ]
    with connect() as kube:
        for pods, word, altogether in cases:
            api.pods = pods
            found = judge_step(
                deployment(), policy(), percent=10, since_s=0.0, pods=RestartWatch(kube)
            )
            told = next(one for one in found.findings if one.name == "restarts")
            assert (told.word, found.word) == (word, altogether), found.reason
    selector = f"serving.knative.dev/revision={CANDIDATE}"
    assert api.queries("pods")[0] == {"labelSelector": selector, "resourceVersion": "0"}
