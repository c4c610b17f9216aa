"""One real request to a served model, and what each answer to it means."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tidegate.adapters.served_model import SAMPLE, Values, answers_as, versions_answering
from tidegate.documents import Probe, Tensor
from tidegate.errors import ConflictError, RejectedError, UnavailableError

INPUTS = (
    Tensor(name="x", dtype="FP32", shape=(-1, 3)),
    Tensor(name="s", dtype="STRING", shape=(-1, 1)),
)


class Model:
    """Answers from a list, then well."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.hosts: set[str] = set()
        self.broken: str = ""  # this model fails
        self.models: list[str] = []
        self.asked: dict[str, Any] = {}


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    held = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(200, {})

        def do_POST(self) -> None:
            held.hosts.add(self.headers["Host"])
            held.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            held.models.append(self.path.split("/")[3])
            if held.models[-1] == held.broken:
                self.reply(500, {"error": "execute() raised KeyError"})
                return
            self.reply(*(held.answers.pop(0) if held.answers else (200, {"model_version": "7"})))

        def reply(self, code: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setenv("TIDEGATE_INGRESS_URL", f"http://127.0.0.1:{server.server_port}")
    yield held
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_version_is_the_one_that_answered_under_the_host(model: Model) -> None:
    assert versions_answering("latest-m.example.com", "m", INPUTS) == ("7",) * SAMPLE
    assert model.hosts == {"latest-m.example.com"}
    assert model.asked["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [0, 0, 0]},
        {"name": "s", "datatype": "BYTES", "shape": [1, 1], "data": [""]},
    ]


ENTITY = Tensor(name="customer_id", dtype="INT64", shape=(-1, 1))


def test_what_takes_no_zeros_is_asked_with_the_value_that_the_policy_names(model: Model) -> None:
    code = Tensor(name="code", dtype="STRING", shape=(-1, 2))
    values: Values = {"customer_id": 1001, "code": "a"}
    assert versions_answering("h", "m", (ENTITY, code, *INPUTS), values=values) == ("7",) * SAMPLE
    assert [one["data"] for one in model.asked["inputs"]] == [[1001], ["a", "a"], [0, 0, 0], [""]]


def test_a_refusal_says_the_value_that_was_refused(model: Model) -> None:
    model.answers = [(400, {"error": "no such customer"})]
    with pytest.raises(RejectedError, match=r"refuses a request of customer_id 1001: HTTP 400"):
        versions_answering("h", "m", (ENTITY,), values={"customer_id": 1001})


@pytest.mark.parametrize("code", [404, 502, 503])
def test_a_route_that_is_just_being_programmed_is_waited_for_aloud(model: Model, code: int) -> None:
    model.answers = [(code, {}), (code, {})]
    said: list[str] = []
    assert versions_answering("h", "m", INPUTS, say=said.append) == ("7",) * SAMPLE
    assert f"HTTP {code}" in said[0]


def test_a_model_that_refuses_zeros_is_rejected_with_its_words(model: Model) -> None:
    model.answers = [(400, {"error": "unexpected shape"})]
    with pytest.raises(RejectedError, match="unexpected shape"):
        versions_answering("h", "m", INPUTS)


def test_an_answer_without_a_version_is_no_proof(model: Model) -> None:
    model.answers = [(200, {})]
    with pytest.raises(RejectedError, match="does not name a model_version"):
        versions_answering("h", "m", INPUTS)


def test_a_host_that_now_and_then_answers_as_another_version_is_not_on_one_revision(
    model: Model,
) -> None:
    """One right answer proves little: a revision that kept a share answers the next request."""
    model.answers = [(200, {"model_version": v}) for v in ["7", "7", "6", "7", "7"] * 20]
    probe = Probe(model="m", inputs=INPUTS, version="7")
    with pytest.raises(
        ConflictError, match=r"h is answered by version 6, not 7 \(1 of 5 requests\)"
    ):
        answers_as("h", probe, within_s=0.1)


def test_a_route_that_settles_after_a_wrong_answer_is_on_one_revision(model: Model) -> None:
    model.answers = [(200, {"model_version": "6"})]
    answers_as("h", Probe(model="m", inputs=INPUTS, version="7"))


BESIDE = Probe(
    model="m", inputs=INPUTS, version="7", beside=(Probe(model="n", inputs=INPUTS, version="7"),)
)


def test_the_models_beside_it_are_asked_after_it_by_their_own_names(model: Model) -> None:
    said: list[str] = []
    answers_as("h", BESIDE, say=said.append)
    assert model.models == ["m"] * SAMPLE + ["n"] * SAMPLE
    assert said == ["asking h for n version 7 beside it"]
    answers_as("h", BESIDE.alone)
    assert model.models[-SAMPLE:] == ["m"] * SAMPLE


def test_a_broken_one_beside_it_is_named(model: Model) -> None:
    model.broken = "n"
    with pytest.raises(
        RejectedError,
        match=r"n, a model beside m: h refuses a request of zeros: HTTP 500.*KeyError",
    ):
        answers_as("h", BESIDE)


def test_nobody_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_INGRESS_URL", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="does not answer at"):
        versions_answering("h", "m", INPUTS, within_s=0.1)
