import contextlib
import http.server
import json
import re
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.evidence.conftest import Scraped, deployment, free_port, policy
from tidegate.adapters.prometheus import Prometheus, staleness
from tidegate.adapters.revision_metrics import RevisionMetrics, open_metrics
from tidegate.core.counters import Series
from tidegate.core.readings import Trouble
from tidegate.errors import RejectedError, UnavailableError

COUNT = "kn_serving_invocation_duration_seconds_count"


def count_of(revision: str) -> str:
    return f'{COUNT}{{serving_knative_dev_revision="{revision}"}}'


def send(port: int, host: str, count: int) -> None:
    """Real requests, so that the server counts them."""
    import struct

    header = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32"}]}).encode()
    headers = {"Host": host, "Inference-Header-Content-Length": str(len(header))}
    body = header + struct.pack("<2f", 1, 2)
    with httpx.Client(verify=False) as client:
        for _ in range(count):
            client.post(f"http://127.0.0.1:{port}/v2/models/m/infer", content=body, headers=headers)


def until(met: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.real
def test_a_real_prometheus_gives_one_number_or_says_why_not(scraped: Scraped) -> None:
    url, ports = scraped
    send(ports["one"], "one.test", 5)
    send(ports["one"], "one-b.test", 2)
    asked = Prometheus(url=url, budget_s=1)
    one = count_of("one")
    until(lambda: asked.number(one).value == 5)
    expected = {
        "vector(3)": Trouble.NONE,
        "7": Trouble.NONE,
        "no_such_metric": Trouble.EMPTY,
        COUNT: Trouble.SEVERAL,
        f"0 * {one} / 0": Trouble.NAN,
        f"{one} / 0": Trouble.INFINITE,
        f"sum({one}": Trouble.REFUSED,
        f"{one}[5m]": Trouble.REFUSED,
        "no_such_function(1)": Trouble.REFUSED,
    }
    assert {query: asked.number(query).trouble for query in expected} == expected
    before = time.time()
    assert before - 0.1 < asked.now() < time.time() + 0.1  # one clock, read by two programs


@pytest.mark.real
def test_production_is_the_rate_of_the_last_seconds_and_what_the_test_did_not_send(
    scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, ports = scraped
    monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", url)
    metrics, why = open_metrics(policy(), deployment())
    assert metrics is not None
    assert why == ""
    assert metrics.production("two").rate_rps == 0.0
    begun, sent = time.monotonic(), 0
    while time.monotonic() - begun < 4:
        send(ports["two"], "two.test", 2)
        sent += 2
        time.sleep(0.1)
    true_rate = sent / (time.monotonic() - begun)
    rate = metrics.production("two").rate_rps
    assert rate is not None
    assert 0.6 * true_rate < rate < 1.4 * true_rate
    beside = metrics.beside("two", elapsed_s=time.monotonic() - begun, sent=sent // 2)
    assert beside.rate_rps is not None
    assert 0 < beside.rate_rps < rate
    assert "counts" in metrics.beside("two", elapsed_s=3, sent=9_000).why


@pytest.mark.real
def test_series_of_a_dead_target_are_stale_not_good(scraped: Scraped) -> None:
    url, ports = scraped
    send(ports["three"], "three.test", 5)
    asked = Prometheus(url=url, budget_s=1)
    metrics = RevisionMetrics(prometheus=asked, namespace="default")
    # two scrapes: after one alone nobody knows when the next is due
    until(lambda: (found := metrics.served("three", elapsed_s=10)[0]) and found.seconds > 0)
    with contextlib.suppress(httpx.HTTPError):  # it dies before it answers
        httpx.post(f"http://127.0.0.1:{ports['three']}/quit", timeout=2)
    until(lambda: asked.number(count_of("three")).trouble is Trouble.STALE)
    assert re.search(r"s old, scraped every 1(\.\d)? s", metrics.served("three", elapsed_s=10)[1])


@contextlib.contextmanager
def answering(
    status: int, text: str, *, delay_s: float = 0, hangs_up: int = 0
) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every query the same answer, and keeps what it was asked.

    The first `hangs_up` connections are closed without an answer.
    """
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            time.sleep(delay_s)
            if len(asked) <= hangs_up:
                self.close_connection = True
                return
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def success(result: object, kind: str = "vector", **more: object) -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more})


ONE = [{"metric": {}, "value": [1, "5"]}]


@pytest.mark.parametrize(
    ("status", "text", "trouble", "words"),
    [
        (200, success(ONE), Trouble.NONE, ""),
        (200, success(ONE, warnings=["PromQL info: not a counter"]), Trouble.NONE, ""),
        (200, success(ONE, warnings=["store 2 unavailable"]), Trouble.PARTIAL, "store 2"),
        (200, "<html>", Trouble.UNREACHABLE, "<html>"),
        (200, "[]", Trouble.UNREACHABLE, "HTTP 200"),
        (200, '{"status":"success"}', Trouble.UNREACHABLE, "HTTP 200"),
        (200, '{"status":"success","data":{"result":[]}}', Trouble.UNREACHABLE, "HTTP 200"),
        (200, success([{"metric": {}, "histogram": [1, {}]}]), Trouble.REFUSED, "native histogram"),
        (401, "who?", Trouble.REFUSED, "give credentials in TIDEGATE_PROMETHEUS_TOKEN_FILE"),
        (403, "no", Trouble.REFUSED, "give credentials"),
        (404, "no", Trouble.REFUSED, "does not name a Prometheus"),
        (302, "", Trouble.REFUSED, "does not name a Prometheus"),
        (400, '{"status":"error","error":"parse error"}', Trouble.REFUSED, "parse error"),
        (422, '{"status":"error","error":"too many samples"}', Trouble.REFUSED, "too many samples"),
        (429, "slow down", Trouble.UNREACHABLE, "slow down"),
        (500, "boom", Trouble.UNREACHABLE, "try again later"),
        (
            503,
            '{"status":"error","error":"query timed out"}',
            Trouble.UNREACHABLE,
            "query timed out",
        ),
    ],
)
def test_every_answer_has_its_own_trouble(
    status: int, text: str, trouble: Trouble, words: str
) -> None:
    with answering(status, text) as (url, _):
        found = Prometheus(url=url, budget_s=0.01).number("vector(1)")
    assert found.trouble is trouble
    assert words in found.detail


def test_series_of_native_histograms_are_refused() -> None:
    native = success([{"metric": {}, "histograms": [[1, {}]]}], kind="matrix")
    with (
        answering(200, native) as (url, _),
        pytest.raises(RejectedError, match="native histograms"),
    ):
        Prometheus(url=url, budget_s=0.1).series("h", window_s=5)


def test_a_refused_query_is_asked_once_and_an_overloaded_server_again() -> None:
    for status, again in ((400, False), (503, True)):
        with answering(status, "no") as (url, asked):
            Prometheus(url=url, budget_s=1).number("vector(1)")
        assert (len(asked) > 1) == again


def test_an_outage_names_the_setting_and_hides_the_password() -> None:
    url = f"http://me:secret@127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match="check TIDEGATE_PROMETHEUS_URL") as caught:
        Prometheus(url=url, budget_s=0.2).now()
    assert "secret" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up_within_the_budget() -> None:
    with answering(200, "", delay_s=2) as (url, _):
        begun = time.monotonic()
        found = Prometheus(url=url, timeout_s=0.3, budget_s=0.6).number("vector(1)")
    assert found.trouble is Trouble.UNREACHABLE
    assert time.monotonic() - begun < 4


def test_a_server_that_hangs_up_is_asked_again_and_at_last_an_outage() -> None:
    with answering(200, success(ONE), hangs_up=2) as (url, asked):
        assert Prometheus(url=url, budget_s=5).number("vector(1)").value == 5
    assert len(asked) == 3
    with answering(200, success(ONE), hangs_up=10_000) as (url, _):
        found = Prometheus(url=url, budget_s=0.3).number("vector(1)")
        with pytest.raises(UnavailableError, match="RemoteProtocolError"):
            Prometheus(url=url, budget_s=0.3).series("up", window_s=5)
    assert found.trouble is Trouble.UNREACHABLE
    assert "Server disconnected" in found.detail


def test_tls_to_a_server_without_it_is_an_outage() -> None:
    with answering(200, success(ONE)) as (url, _):
        found = Prometheus(url=url.replace("http:", "https:"), budget_s=0.2).number("vector(1)")
    assert found.trouble is Trouble.UNREACHABLE


def test_a_url_that_is_none_is_an_outage_not_a_crash() -> None:
    assert (
        Prometheus(url="not a url", budget_s=0.2).number("vector(1)").trouble is Trouble.UNREACHABLE
    )


def test_refused_series_are_not_retried() -> None:
    with answering(401, "no") as (url, asked), pytest.raises(RejectedError):
        Prometheus(url=url, budget_s=1).series("up", window_s=5)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("ages", "stale"),
    [
        ((3, 2, 1, 0), False),
        ((9, 8, 7, 6), True),
        ((90, 60, 30), False),
        ((130, 100, 70), True),
        ((50,), False),
        ((500,), True),
    ],
)  # fmt: skip
def test_stale_means_older_than_two_scrapes(ages: tuple[int, ...], stale: bool) -> None:
    one = Series(labels={}, samples=tuple((1000.0 - age, 1.0) for age in ages))
    assert bool(staleness([one], now=1000.0)) == stale
