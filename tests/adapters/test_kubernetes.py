"""The Kubernetes API's answers in tidegate's words; a small server gives each answer for real."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.inference_service import InferenceServices
from tidegate.adapters.kubernetes import connect
from tidegate.errors import (
    ConflictError,
    RejectedError,
    TidegateError,
    UnavailableError,
    UsageError,
)
from tidegate.sandbox.api.kubeconfig import write_kubeconfig

ONE = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/m"


class Answers:
    """What the server says next, and what it was asked."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.asked: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.retry_after = ""
        self.texts: list[bytes] = []


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    held = Answers()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            held.asked.append(f"{self.command} {self.path}")
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            held.bodies.append((self.headers.get("Content-Type", ""), json.loads(text or b"{}")))
            code = held.codes.pop(0) if held.codes else 200
            body = json.dumps({"kind": "Status", "message": f"said {code}", "code": code}).encode()
            body = held.texts.pop(0) if held.texts else body
            self.send_response(code)
            if held.retry_after:
                self.send_header("Retry-After", held.retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base's names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path / "kubeconfig", url)))
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (400, RejectedError),
        (401, RejectedError),
        (403, RejectedError),
        (404, RejectedError),
        (409, ConflictError),
        (422, RejectedError),
        (429, UnavailableError),
        (500, UnavailableError),
        (503, UnavailableError),
    ],
)
def test_each_refusal_of_the_api_is_one_of_ours_with_its_words(
    answers: Answers, code: int, error: type[TidegateError]
) -> None:
    answers.codes = [code] * 50
    with connect(retry_s=0.2) as kube, pytest.raises(error, match=f"said {code}"):
        kube.request("PATCH", ONE, {})


@pytest.mark.parametrize("code", [429, 500, 503])
def test_what_may_pass_is_tried_again(answers: Answers, code: int) -> None:
    answers.codes = [code, code]
    with connect(retry_s=5) as kube:
        kube.request("PATCH", ONE, {"a": None})
    assert answers.asked == [f"PATCH {ONE}"] * 3
    assert answers.bodies[0] == ("application/merge-patch+json", {"a": None})


def test_the_api_is_given_the_time_that_it_asks_for(answers: Answers) -> None:
    answers.codes, answers.retry_after = [429], "1"
    asked = time.monotonic()
    with connect(retry_s=5) as kube:
        kube.request("PUT", ONE, {})
    assert len(answers.asked) == 2
    assert time.monotonic() - asked >= 1


def test_a_time_beyond_our_own_limit_is_not_waited_for(answers: Answers) -> None:
    answers.codes, answers.retry_after = [429] * 3, "60"
    with connect(retry_s=5) as kube, pytest.raises(UnavailableError, match="429"):
        kube.request("PUT", ONE, {})
    assert len(answers.asked) == 1


def test_nothing_is_asked_beyond_the_deadline_of_an_act(answers: Answers) -> None:
    over = time.monotonic() - 1
    with connect() as kube, kube.until(over), pytest.raises(UnavailableError, match="ran out"):
        kube.request("PATCH", ONE, {})
    assert answers.asked == []


def test_tries_end_with_the_act_whose_lease_they_need(answers: Answers) -> None:
    answers.codes = [503] * 1000
    with connect(retry_s=600) as kube:
        until = kube.until(time.monotonic() + 0.5)
        with until, pytest.raises(UnavailableError):
            kube.request("PATCH", ONE, {})
    assert answers.asked


@pytest.mark.parametrize("text", [b"<html>sign in</html>", b"[]", b'"ok"'])
def test_an_answer_that_is_no_object_is_none(answers: Answers, text: bytes) -> None:
    answers.texts = [text] * 50
    with connect(retry_s=0.2) as kube, pytest.raises(UnavailableError, match="with no object"):
        kube.find(ONE)


def version_of_m(version: str) -> bytes:
    return json.dumps({"metadata": {"name": "m", "resourceVersion": version}}).encode()


def test_a_look_never_goes_back_behind_what_was_seen(answers: Answers) -> None:
    answers.texts = [version_of_m(version) for version in ("9", "8", "8", "10")]
    with connect(retry_s=5) as kube:
        kube.find(ONE)
        assert kube.find(ONE) == {"metadata": {"name": "m", "resourceVersion": "10"}}
    assert len(answers.asked) == 4


def test_a_cache_that_stays_behind_our_own_write_is_unavailable(answers: Answers) -> None:
    answers.texts = [version_of_m("9"), *[version_of_m("8")] * 50]
    with connect(retry_s=0.2) as kube:
        kube.request("PATCH", ONE, {})
        with pytest.raises(UnavailableError, match="version 8, older than 9"):
            kube.find(ONE)


@pytest.mark.parametrize("code", [403, 409, 422])
def test_what_will_not_pass_is_asked_once(answers: Answers, code: int) -> None:
    answers.codes = [code]
    with connect(retry_s=5) as kube, pytest.raises(TidegateError):
        kube.request("PUT", ONE, {})
    assert len(answers.asked) == 1


def test_what_does_not_exist_is_none(answers: Answers) -> None:
    answers.codes = [404]
    with connect() as kube:
        assert kube.find(ONE) is None


def test_what_may_not_be_read_is_not_taken_for_absent(answers: Answers) -> None:
    answers.codes = [403]
    with connect() as kube, pytest.raises(RejectedError, match="403"):
        kube.find(ONE)


def test_a_deletion_names_the_uid_and_an_object_that_is_gone_is_fine(answers: Answers) -> None:
    answers.codes = [404, 404]
    with connect() as kube:
        InferenceServices(kube, "default", "m").delete("u1")
    assert answers.bodies[0][1] == {"preconditions": {"uid": "u1"}}


def test_a_cluster_that_hides_its_default_mode_says_nothing(answers: Answers) -> None:
    answers.codes = [403]
    with connect() as kube:
        assert InferenceServices(kube, "default", "m").default_mode() == ""


def test_an_api_that_is_away_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9")
    monkeypatch.setenv("KUBECONFIG", str(path))
    with connect(retry_s=0.2) as kube, pytest.raises(UnavailableError, match="cannot be reached"):
        kube.find(ONE)


@pytest.mark.parametrize("text", ["", "not: a kubeconfig", "]["])
def test_a_kubeconfig_that_is_none_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "kubeconfig"
    if text:
        path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(UsageError, match="KUBECONFIG"), connect():
        pass
