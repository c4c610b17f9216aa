"""The transformer, as a process, between Feast's recorded answers and a model that says what it was asked."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.feast.customers import FEATURES
from tests.feast.record import RECORD
from tidegate.sandbox.ports import free_port

Json = dict[str, Any]
PROGRAM = Path(__file__).parents[2] / "examples" / "transformer" / "feast_transformer.py"
ANSWERS: dict[str, Json] = json.loads(RECORD.read_text())["answers"]


@contextmanager
def http_server(answer: Callable[[str, bytes], tuple[int, bytes]]) -> Iterator[str]:
    """(path, body) -> (status, body) on loopback; its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, told = answer(self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)
            self.close_connection = self.path.startswith("/get-")  # kept no longer, and not said

        do_POST = do_GET  # noqa: N815 - the base's name

        def log_message(self, *_: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Feast:
    """Answers as it was recorded, or as a test wants it to."""

    asked: list[Json] = field(default_factory=list)
    instead: Callable[[], tuple[int, bytes]] | None = None

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        assert path == "/get-online-features"
        self.asked.append(json.loads(body))
        if self.instead is not None:
            return self.instead()
        found = next(one for one in ANSWERS.values() if one["asked"] == self.asked[-1])
        return found["status"], json.dumps(found["answer"]).encode()


@dataclass
class Model:
    """A v2 model: the sum of each row, by version 3, and what it was asked."""

    asked: list[Json] = field(default_factory=list)
    said: bytes = b""
    ready: int = 200

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        if path.endswith("/ready"):
            return self.ready, b""
        self.asked.append(json.loads(body))
        tensor = self.asked[-1]["inputs"][0]
        width = tensor["shape"][1]
        rows = [tensor["data"][at : at + width] for at in range(0, len(tensor["data"]), width)]
        output = {
            "name": "y",
            "datatype": "FP32",
            "shape": [len(rows)],
            "data": [sum(r) for r in rows],
        }
        told = {"model_name": path.split("/")[3], "model_version": "3", "outputs": [output]}
        self.said = json.dumps(told).encode()
        return 200, self.said


@contextmanager
def transformer(feast: str, model: str, *more: str) -> Iterator[str]:
    """The program as the policies start it; its address."""
    port = free_port()
    command = [
        sys.executable, str(PROGRAM), f"--http_port={port}", f"--predictor_host={model}",
        f"--feast_serving_url={feast}", "--entity_id_name=customer_id",
        f"--features={','.join(FEATURES)}", "--predictor_protocol=v2", *more,
    ]  # fmt: skip
    process = subprocess.Popen(command, env={"FEAST_TIMEOUT_S": "0.4"})
    address = f"127.0.0.1:{port}"
    try:
        _until_it_listens(address, process)
        yield address
    finally:
        process.kill()
        process.wait()


def _until_it_listens(address: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            httpx.get(f"http://{address}/v2/health/live", trust_env=False)
            return
        except httpx.TransportError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)


@dataclass(frozen=True)
class Served:
    """The transformer at `address` between the two."""

    address: str
    feast: Feast
    model: Model

    def ask(self, *ids: object, **more: Any) -> httpx.Response:
        """The ids of customers, as clients send them."""
        tensor = {
            "name": "customer_id",
            "datatype": "INT64",
            "shape": [len(ids), 1],
            "data": [*ids],
        }
        return self.post({"inputs": [tensor], **more})

    def post(
        self, sent: Json | bytes, path: str = "/v2/models/fraud/infer", **more: Any
    ) -> httpx.Response:
        body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
        return httpx.post(
            f"http://{self.address}{path}", content=body, trust_env=False, timeout=20, **more
        )


@pytest.fixture(scope="module")
def between() -> Iterator[tuple[Feast, str, Model, str]]:
    """Feast and a model, and where each is."""
    feast, model = Feast(), Model()
    with http_server(feast.answer) as feast_at, http_server(model.answer) as model_at:
        yield feast, feast_at, model, model_at


@pytest.fixture(scope="module")
def started(between: tuple[Feast, str, Model, str]) -> Iterator[Served]:
    feast, feast_at, model, model_at = between
    with transformer(feast_at, model_at) as address:
        yield Served(address, feast, model)


@pytest.fixture
def served(started: Served) -> Served:
    started.feast.asked.clear()
    started.feast.instead = None
    started.model.asked.clear()
    started.model.ready = 200
    return started
