"""The router before a server that remembers what it was sent: headers, types, timeouts, lost connections."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from tidegate.sandbox.router.__main__ import application
from tidegate.sandbox.router.routing import Graph, Node, Step


@dataclass
class Service:
    """Answers by its path: /json, /text, /slow, /drip, /refuse, /missing."""

    url: str = ""
    sent: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture(scope="module")
def _service() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.sent.append((self.command, dict(self.headers), body))
            if self.path == "/slow":
                time.sleep(0.6)
            answer = b"hello" if self.path == "/text" else b'{"a": [1]}'
            self.send_response({"/refuse": 418, "/missing": 404}.get(self.path, 200))
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            for byte in answer:
                self.wfile.write(bytes([byte]))
                time.sleep(0.08 if self.path == "/drip" else 0)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    yield service
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def service(_service: Service) -> Service:
    _service.sent.clear()
    return _service


def ask(
    *steps: Step, patterns: tuple[str, ...] = (), timeout_s: float | None = None, method: str = "POST",
    **headers: str,
) -> httpx.Response:  # fmt: skip
    """One request through a Sequence of these steps."""
    graph = Graph(nodes={"root": Node(type="Sequence", steps=steps)}, client_timeout_s=timeout_s)
    served = application(graph, [re.compile(one) for one in patterns])

    request = httpx.Request(
        method, "http://graph/any/path", content=b'{"x": 1}', headers=headers
    )  # fmt: skip
    return asyncio.run(answered(served, request))


async def answered(served: Starlette, request: httpx.Request) -> httpx.Response:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=served))
    async with served.router.lifespan_context(served), client:
        return await client.send(request)


def test_a_step_is_asked_by_post_as_json_whatever_the_client_did_and_said(service: Service) -> None:
    answer = ask(Step(url=f"{service.url}/json"), method="PUT", authorization="secret")
    assert (answer.status_code, answer.json()) == (200, {"a": [1]})
    ((command, headers, body),) = service.sent
    assert (command, body) == ("POST", b'{"x": 1}')
    assert headers["Content-Type"] == "application/json"
    assert "Authorization" not in headers


def test_headers_that_the_configuration_names_reach_every_step(service: Service) -> None:
    step = Step(url=f"{service.url}/json")
    given: Any = {"x-trace-id": "7", "content-type": "application/vnd+json", "cookie": "c"}
    ask(step, step, patterns=("^X-Trace", "Content-Type"), **given)
    for _, headers, _ in service.sent:
        assert headers["X-Trace-Id"] == "7"
        assert headers["Content-Type"] == "application/vnd+json"
        assert "Cookie" not in headers
    assert len(service.sent) == 2


def test_only_json_is_called_json_and_a_status_is_handed_on(service: Service) -> None:
    text = ask(Step(url=f"{service.url}/text"))
    assert (text.text, "content-type" in text.headers) == ("hello", False)
    refused = ask(Step(url=f"{service.url}/refuse"))
    assert (refused.status_code, refused.json()) == (418, {"a": [1]})
    assert refused.headers["content-type"] == "application/json"
    assert (
        ask(Step(url=f"{service.url}/missing")).status_code == 404
    )  # a server's own, not a lost name


def test_a_step_that_takes_too_long_or_is_not_there_is_the_routers_error(service: Service) -> None:
    slow = Step(service="limits", url=f"{service.url}/slow")
    late = ask(slow, timeout_s=0.2)
    assert late.status_code == 500
    assert late.json()["error"] == "Failed to process request"
    assert "Post limits: TimeoutError" in late.json()["cause"]
    drip = Step(service="limits", url=f"{service.url}/drip")  # 0.08 s between bytes, 0.8 s for all
    assert ask(drip, timeout_s=0.4).status_code == 500
    assert ask(slow).status_code == 200  # without a limit the router waits
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    gone = ask(Step(url=f"http://127.0.0.1:{port}/"))
    assert gone.status_code == 500
    assert f"Post http://127.0.0.1:{port}/: ConnectError" in gone.json()["cause"]


def test_it_is_ready_at_its_own_path() -> None:
    served = application(Graph(nodes={}), [])
    reply = asyncio.run(answered(served, httpx.Request("GET", "http://graph/readyz")))
    assert (reply.status_code, reply.content) == (200, b"")
