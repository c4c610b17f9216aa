"""The example of an explainer: what an explanation is, and that it is of one version."""

import argparse
import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

PATH = Path(__file__).parents[2] / "examples" / "digits-explainer" / "explainer.py"


def loaded() -> Any:
    found = importlib.util.spec_from_file_location("explainer", PATH)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


explainer = loaded()
Row = list[float]
VALUES = st.floats(min_value=-4, max_value=4)


@contextmanager
def predictor(answer: Callable[[Row, str], Row], versions: Iterator[str]) -> Iterator[str]:
    """A v2 server on loopback whose versions answer in turn."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            (tensor,) = sent["inputs"]
            width = tensor["shape"][1]
            rows = [tensor["data"][at : at + width] for at in range(0, len(tensor["data"]), width)]
            version = next(versions)
            told = [answer(row, version) for row in rows]
            output = {"shape": [len(told), len(told[0])], "data": list(chain(*told))}
            body = json.dumps({"model_version": version, "outputs": [output]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def model(host: str, rows: int = 2) -> Any:
    asked = argparse.Namespace(predictor_host=host, tensor="X", output="p", rows=rows)
    return explainer.Model(asked, "digits")


@settings(max_examples=40, deadline=None)
@given(
    row=st.lists(VALUES, min_size=1, max_size=6), weights=st.lists(VALUES, min_size=6, max_size=6)
)
def test_of_a_linear_model_each_value_is_explained_by_its_own_term(row: Row, weights: Row) -> None:
    def linear(values: Row) -> Row:
        return [sum(w * v for w, v in zip(weights, values, strict=False)), -1e6]

    told = explainer.attributed([linear(one) for one in explainer.occluded(row, 0.0)])
    terms = [w * v for w, v in zip(weights, row, strict=False)]
    assert told["label"] == 0
    assert told["attributions"] == pytest.approx(terms, abs=1e-9)


def test_an_explanation_is_of_one_version_while_two_answer_in_turn() -> None:
    versions = cycle(["1", "2", "1"])  # which answer alike but for the sign
    rows = explainer.occluded([1.0, 2.0, 3.0], 0.0)
    with predictor(lambda row, version: [sum(row) * (3 - 2 * int(version)), 0.0], versions) as host:
        version, answers = model(host).probabilities(rows)
    assert version == "1"
    assert [one[0] for one in answers] == [6.0, 5.0, 4.0, 3.0]


def test_versions_that_never_answer_all_of_it_are_said_and_end() -> None:
    versions = (str(number) for number in range(1000))
    with (
        predictor(lambda row, _: [sum(row)], versions) as host,
        pytest.raises(ConnectionError, match="none all of it"),
    ):
        model(host).probabilities(explainer.occluded([1.0, 2.0, 3.0], 0.0))
