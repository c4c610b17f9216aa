import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.evidence.conftest import CANDIDATE, INCUMBENT, Serve, free_port, policy
from tidegate.adapters.prometheus import Prometheus, staleness
from tidegate.adapters.revision_metrics import RevisionMetrics, open_metrics
from tidegate.core.counters import Series
from tidegate.core.readings import Trouble
from tidegate.errors import RejectedError, UnavailableError

Scrape = Callable[[int], str]


def send(port: int, host: str, count: int) -> None:
    """Real requests, so that the server counts them."""
    import struct

    header = json.dumps({"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32"}]}).encode()
    headers = {"Host": host, "Inference-Header-Content-Length": str(len(header))}
    body = header + struct.pack("<2f", 1, 2)
    with httpx.Client() as client:
        for _ in range(count):
            client.post(f"http://127.0.0.1:{port}/v2/models/m/infer", content=body, headers=headers)


def until(met: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.real
def test_a_real_prometheus_gives_one_number_or_says_why_not(serve: Serve, scrape: Scrape) -> None:
    port = serve(candidate={"revision": CANDIDATE}, incumbent={"revision": INCUMBENT})["http"]
    send(port, "candidate.test", 5)
    send(port, "incumbent.test", 2)
    asked = Prometheus(url=scrape(port), budget_s=1)
    one = f'kn_serving_invocation_duration_seconds_count{{serving_knative_dev_revision="{CANDIDATE}"}}'
    until(lambda: asked.number(one).value == 5)
    every = "kn_serving_invocation_duration_seconds_count"
    expected = {
        "vector(3)": Trouble.NONE,
        "7": Trouble.NONE,
        "no_such_metric": Trouble.EMPTY,
        every: Trouble.SEVERAL,
        f"0 * {one} / 0": Trouble.NAN,
        f"{one} / 0": Trouble.INFINITE,
        f"sum({one}": Trouble.REFUSED,
        f"{one}[5m]": Trouble.REFUSED,
        "no_such_function(1)": Trouble.REFUSED,
    }
    assert {query: asked.number(query).trouble for query in expected} == expected
    assert abs(asked.now() - time.time()) < 2


@pytest.mark.real
def test_production_is_the_rate_of_the_last_seconds_and_what_the_test_did_not_send(
    serve: Serve, scrape: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = serve(candidate={"revision": CANDIDATE}, incumbent={"revision": INCUMBENT})["http"]
    scrape(port)
    metrics, why = open_metrics(policy(), namespace="default")
    assert metrics is not None
    assert why == ""
    assert metrics.production(INCUMBENT).rate_rps == 0.0
    begun = time.monotonic()
    while time.monotonic() - begun < 5:
        send(port, "incumbent.test", 2)
        time.sleep(0.1)
    rate = metrics.production(INCUMBENT).rate_rps
    assert rate is not None
    assert 8 < rate < 25
    beside = metrics.beside(INCUMBENT, elapsed_s=time.monotonic() - begun, sent=30)
    assert beside.rate_rps is not None
    assert 0 < beside.rate_rps < rate
    assert "counts" in metrics.beside(INCUMBENT, elapsed_s=3, sent=9_000).why


@pytest.mark.real
def test_series_of_a_dead_target_are_stale_not_good(serve: Serve, scrape: Scrape) -> None:
    ports = serve(candidate={"revision": CANDIDATE})
    send(ports["http"], "candidate.test", 5)
    asked = Prometheus(url=scrape(ports["http"]), budget_s=1)
    query = f'kn_serving_invocation_duration_seconds_count{{serving_knative_dev_revision="{CANDIDATE}"}}'
    until(lambda: asked.number(query).value == 5)
    metrics = RevisionMetrics(prometheus=asked, namespace="default")
    until(lambda: metrics.served(CANDIDATE, elapsed_s=10)[0] is not None)
    httpx.post(f"http://127.0.0.1:{ports['http']}/quit", timeout=2)
    until(lambda: asked.number(query).trouble is Trouble.STALE)
    assert "s old, scraped every 1 s" in metrics.served(CANDIDATE, elapsed_s=10)[1]


@contextlib.contextmanager
def answering(status: int, text: str, *, delay_s: float = 0) -> Iterator[tuple[str, list[str]]]:
    """A server that gives every query the same answer, and keeps what it was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            time.sleep(delay_s)
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
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
        (200, success([{"metric": {}, "histogram": [1, {}]}]), Trouble.REFUSED, "native histogram"),
        (401, "who?", Trouble.REFUSED, "give credentials in TIDEGATE_PROMETHEUS_URL"),
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
        found = Prometheus(url=url, budget_s=0.3).number("q")
    assert found.trouble is trouble
    assert words in found.detail


def test_a_refused_query_is_asked_once_and_an_overloaded_server_again() -> None:
    for status, again in ((400, False), (503, True)):
        with answering(status, "no") as (url, asked):
            Prometheus(url=url, budget_s=1.0).number("q")
        assert (len(asked) > 1) == again


def test_an_outage_names_the_setting_and_hides_the_password() -> None:
    url = f"http://me:secret@127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match="check TIDEGATE_PROMETHEUS_URL") as caught:
        Prometheus(url=url, budget_s=0.2).now()
    assert "secret" not in str(caught.value)


def test_a_server_that_never_answers_is_given_up_within_the_budget() -> None:
    with answering(200, "", delay_s=2) as (url, _):
        begun = time.monotonic()
        found = Prometheus(url=url, timeout_s=0.3, budget_s=0.6).number("q")
    assert found.trouble is Trouble.UNREACHABLE
    assert time.monotonic() - begun < 4


def test_tls_to_a_server_without_it_is_an_outage() -> None:
    with answering(200, success(ONE)) as (url, _):
        found = Prometheus(url=url.replace("http:", "https:"), budget_s=0.2).number("q")
    assert found.trouble is Trouble.UNREACHABLE


def test_a_url_that_is_none_is_an_outage_not_a_crash() -> None:
    assert Prometheus(url="not a url", budget_s=0.2).number("q").trouble is Trouble.UNREACHABLE


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
