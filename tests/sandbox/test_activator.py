"""The activator: a request waits for a pod and is answered by it, or is told in time that there is none."""

import gc
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from tests.sandbox.real_servers import eventually
from tidegate.sandbox.activator import Activator
from tidegate.sandbox.demand import Asked, Meter, read
from tidegate.sandbox.endpoint import Endpoint

KEY = ("default", "sleepy-00001")


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not worth a line."""


@dataclass
class Pods:
    """A pod that is ready when the test says so."""

    port: int
    ready: bool = False
    told: int = 0
    limits: dict[tuple[str, str], float] = field(default_factory=dict)

    def __call__(self, namespace: str, name: str) -> tuple[Endpoint, ...]:
        assert (namespace, name) == KEY
        return (Endpoint(http=self.port, grpc=self.port, metrics=0),) if self.ready else ()

    def changed(self) -> None:
        self.told += 1


@pytest.fixture
def pods() -> Iterator[Pods]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Pods(server.server_address[1])
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def activator(pods: Pods) -> Iterator[Activator]:
    started = Activator(pods, pods.changed, most_waiting=3)
    started.start()
    yield started
    started.close()


def post(activator: Activator, body: bytes = b"x") -> httpx.Response:
    endpoint = activator.endpoint(*KEY)
    assert endpoint is not None
    url = f"http://127.0.0.1:{endpoint.http}/"
    return httpx.post(url, content=body, timeout=10, trust_env=False)


def test_requests_wait_for_a_pod_and_are_answered_whole(activator: Activator, pods: Pods) -> None:
    activator.hold({KEY: 10.0})
    sent = [bytes([n]) * (1 << (8 * n)) for n in range(3)]  # up to 64 KiB, and more than a chunk
    sent[2] *= 5
    answers: list[bytes] = []
    threads = [
        threading.Thread(target=lambda b=body: answers.append(post(activator, b).content))
        for body in sent
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: activator.waiting() == {KEY: 3}, what=activator.waiting)
    assert answers == []
    pods.ready = True
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(answers) == sorted(sent)
    assert activator.waiting() == {}


def test_a_request_that_waited_too_long_is_told_so(activator: Activator) -> None:
    activator.hold({KEY: 0.1})
    answer = post(activator)
    assert (answer.status_code, answer.text) == (
        503, "activator: sleepy-00001 had no ready pod within 0.1 s\n",
    )  # fmt: skip
    assert activator.waiting() == {}


def test_one_request_too_many_does_not_wait(activator: Activator, pods: Pods) -> None:
    activator.hold({KEY: 10.0})
    threads = [threading.Thread(target=post, args=(activator,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: activator.waiting() == {KEY: 3}, what=activator.waiting)
    began = time.monotonic()
    answer = post(activator)
    assert (answer.status_code, answer.text) == (
        503, "activator: 3 requests wait for sleepy-00001 already\n",
    )  # fmt: skip
    assert time.monotonic() - began < 5
    pods.ready = True
    for thread in threads:
        thread.join(timeout=10)


def test_what_reaches_it_after_it_was_let_go_is_passed_on(activator: Activator, pods: Pods) -> None:
    activator.hold({KEY: 10.0})
    held = activator.endpoint(*KEY)
    activator.hold({})
    assert activator.endpoint(*KEY) is None
    assert pods.told == 2  # the ingress has to know both times
    pods.ready = True
    assert held is not None
    assert httpx.post(f"http://127.0.0.1:{held.http}/", content=b"late").content == b"late"
    activator.hold({KEY: 10.0})
    assert activator.endpoint(*KEY) == held


def test_a_client_that_has_said_all_is_answered_whatever_python_tidies_up_meanwhile(
    activator: Activator, pods: Pods
) -> None:
    """asyncio holds no task itself, and none of a connection that has ended in one direction."""
    with socket.create_server(("127.0.0.1", 0)) as pod:
        pods.port, pods.ready = pod.getsockname()[1], True
        activator.hold({KEY: 10.0})
        held = activator.endpoint(*KEY)
        assert held is not None
        with socket.create_connection(("127.0.0.1", held.http), timeout=60) as client:
            client.sendall(b"all")
            client.shutdown(socket.SHUT_WR)
            server, _ = pod.accept()
            with server:
                assert [server.recv(10), server.recv(10)] == [b"all", b""]
                gc.collect()
                server.sendall(b"answer")
            assert client.recv(10) == b"answer"


# -- what is counted for the autoscaler


def test_requests_in_flight_and_begun_are_counted_by_revision_over_both_protocols() -> None:
    text = """\
cluster.default/a-00001/grpc.upstream_rq_active: 2
cluster.default/a-00001/grpc.upstream_rq_pending_active: 1
cluster.default/a-00001/grpc.upstream_rq_total: 40
cluster.default/a-00001/http.upstream_rq_active: 3
cluster.default/a-00001/http.upstream_rq_total: 60
cluster.default/b-00001/http.upstream_rq_active: 0
cluster.xds.upstream_rq_active: 9
"""
    found = read(text)
    assert found == {
        ("default", "a-00001"): Asked(in_flight=6, total=100),
        ("default", "b-00001"): Asked(),
    }


def test_a_second_is_the_average_of_its_looks_and_the_requests_that_began_in_it() -> None:
    meter = Meter(began=0.0)
    for look, total in enumerate((100, 101, 102, 103, 110)):
        meter.look(Asked(in_flight=look, total=total), 10.0 + look / 4)
    (second,) = meter.seconds
    assert (second.at_s, second.concurrency, second.rps) == (11.0, 2.0, 10.0)


def test_a_counter_that_began_again_counts_from_nothing() -> None:
    meter = Meter(began=0.0)
    meter.look(Asked(total=100), 10.0)
    meter.look(Asked(total=4), 12.0)
    assert meter.seconds[0].rps == 2.0
