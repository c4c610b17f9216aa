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
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.adapters.release_lock import (
    Lease,
    label_of,
    list_journals,
    load_journal,
    save_journal,
)
from tidegate.core.journal import Journal
from tidegate.documents import Subject
from tidegate.errors import (
    ConflictError,
    DocumentError,
    RejectedError,
    TidegateError,
    UnavailableError,
    UsageError,
)
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.server import ApiServer

ONE = "/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/m"


class Answers:
    """What the server says next, and what it was asked."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.asked: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.retry_after = ""
        self.text = b""


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
            body = held.text or body
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
    answers.text = text
    with connect(retry_s=0.2) as kube, pytest.raises(UnavailableError, match="with no object"):
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


# -- lease and journal, on the emulated API


@pytest.fixture
def kube(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    api = ApiServer(state_dir=tmp_path)
    api.start()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with connect(retry_s=1) as connection:
        yield connection
    api.stop()


JOURNAL = "/api/v1/namespaces/default/configmaps/tidegate-m"


def a_journal(**changes: Any) -> Journal:
    subject = Subject(model="m", version="2", digest=f"sha256:{2:064d}")
    return Journal(
        release_id="r", subject=subject, namespace="default", name="m", deadline_s=1,
        storage_uri="s3://m/2/", **changes,
    )  # fmt: skip


LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/tidegate-m"


def test_a_lease_is_taken_renewed_and_given_back(kube: Kubernetes) -> None:
    lease = Lease(kube, "default", "m", "a")
    with lease.held():
        first = kube.find(LEASE)
        lease.acquire()
        second = kube.find(LEASE)
    assert first
    assert second
    assert first["spec"]["holderIdentity"] == "a"
    assert first["spec"]["renewTime"] < second["spec"]["renewTime"]
    with Lease(kube, "default", "m", "b").held():
        pass


def test_a_living_holder_is_named_and_not_robbed(kube: Kubernetes) -> None:
    Lease(kube, "default", "m", "a").acquire()
    with pytest.raises(ConflictError, match="is held by release a"):
        Lease(kube, "default", "m", "b").acquire()


def test_an_expired_lease_is_taken_over_and_the_old_holder_does_not_free_it(
    kube: Kubernetes,
) -> None:
    old, new = Lease(kube, "default", "m", "a"), Lease(kube, "default", "m", "b")
    old.acquire()
    found = kube.find(LEASE)
    assert found
    found["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    kube.request("PUT", LEASE, found)
    new.acquire()
    old.release()
    after = kube.find(LEASE)
    assert after
    assert after["spec"]["holderIdentity"] == "b"


def test_two_who_take_a_lease_at_once_are_one_holder(kube: Kubernetes) -> None:
    leases = [Lease(kube, "default", "m", str(n)) for n in range(6)]
    won: list[int] = []

    def take(number: int) -> None:
        try:
            leases[number].acquire()
        except ConflictError:
            return
        won.append(number)

    threads = [threading.Thread(target=take, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1


def test_a_journal_that_was_only_labelled_is_written_again(kube: Kubernetes) -> None:
    stored = save_journal(kube, a_journal(), None)
    label = {"metadata": {"labels": {"backup.example.com/keep": "yes"}}}
    kube.request("PATCH", JOURNAL, label)
    saved = save_journal(kube, a_journal(reason="written again"), stored)
    found = load_journal(kube, "default", "m")
    assert found
    assert (found.journal, saved.journal) == (saved.journal, a_journal(reason="written again"))


def test_a_journal_that_was_deleted_under_its_release_is_not_made_anew(kube: Kubernetes) -> None:
    stored = save_journal(kube, a_journal(), None)
    kube.request("DELETE", JOURNAL)
    with pytest.raises(TidegateError):
        save_journal(kube, a_journal(reason="of nobody"), stored)
    assert load_journal(kube, "default", "m") is None


def test_a_config_map_that_is_no_journal_is_named(kube: Kubernetes) -> None:
    body = {"metadata": {"name": "tidegate-m"}, "data": {"journal.json": '{"release_id": 7}'}}
    kube.request("POST", "/api/v1/namespaces/default/configmaps", body)
    with pytest.raises(DocumentError, match="ConfigMap default/tidegate-m"):
        load_journal(kube, "default", "m")


@pytest.mark.parametrize("release_id", ["", "a b", "x" * 64, "-a", "a/b"])
def test_a_release_id_that_is_no_label_is_refused(release_id: str) -> None:
    with pytest.raises(UsageError, match="is no label value"):
        label_of(release_id)


def test_no_journals_are_an_empty_list(kube: Kubernetes) -> None:
    assert list_journals(kube, "", release_id="a") == []
