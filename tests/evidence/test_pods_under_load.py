"""Pods that come or go under a load test, as KServe itself lowers the incumbent beside a ready candidate.

The servers and Prometheus are real; only the number of the incumbent's pods is the test's own.
"""

import contextlib
import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import pytest

from tests.evidence.conftest import CANDIDATE, Scraped, deployment, policy
from tidegate.core import load_plan
from tidegate.core.load_plan import Production
from tidegate.documents import Arm, Finding, Incumbent, LoadReport, Word
from tidegate.steps.load_begun_again import begun_again
from tidegate.steps.load_sending import Sender
from tidegate.steps.load_session import Session, run

Pods = Iterator[int | None]  # at each look; None: nobody can tell
SHORT = {"rate_rps": 100.0, "pairs": 1, "block_requests": 150, "warmup_s": 0.2, "timeout_s": 10.0}


@contextlib.contextmanager
def counting(url: str, pods: Mapping[str, Pods]) -> Iterator[str]:
    """A Prometheus that answers what the one behind it does, but counts the revisions' pods itself."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            query = parse_qs(body.decode())["query"][0]
            counted = [one for one in pods if f'"{one}"' in query]
            if query.startswith("count(") and counted and "up{" not in query:
                now = next(pods[counted[0]])
                value = {"resultType": "scalar", "result": [1, str(now)]}
                data = value if now else {"resultType": "vector", "result": []}
                self.answer(200, json.dumps({"status": "success", "data": data}).encode())
                return
            headers = {"Content-Type": self.headers["Content-Type"]}
            found = client.post(url + self.path, content=body, headers=headers)
            self.answer(found.status_code, found.content)

        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    with httpx.Client(verify=False, timeout=10) as client:  # reading certificates takes a while
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    server.server_close()


def then(last: int, *first: int | None) -> Pods:
    """These, and then always the last."""
    yield from first
    while True:
        yield last


Measure = Callable[..., LoadReport]


@pytest.fixture
def measure(
    scraped: Scraped, golden_tree: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Measure]:
    """A load test of a revision that nobody else asks, with so many pods of it at each look."""
    url, ports = scraped
    with contextlib.ExitStack() as stack:

        def measured(
            name: str, pods: Pods, candidate: Pods | None = None, seen: int = 1, **load: object
        ) -> LoadReport:
            by_revision = {name: pods} | ({CANDIDATE: candidate} if candidate else {})
            counted = stack.enter_context(counting(url, by_revision))
            monkeypatch.setenv("TIDEGATE_PROMETHEUS_URL", counted)
            monkeypatch.setenv("TIDEGATE_INGRESS_URL", f"http://127.0.0.1:{ports[name]}")
            incumbent = Incumbent(revision=name, storage_uri="s3://m/1/", predictor={}, version="1")
            hosts = {"incumbent_host": f"{name}.test", "candidate_host": f"{name}-b.test"}
            known = {"incumbent": incumbent, "pods": {CANDIDATE: seen}}
            deployed = deployment().model_copy(update=known | hosts)
            return run(deployed, policy(load=SHORT | load), golden_tree / "golden.npz", "r-1")

        yield measured


@pytest.mark.real
def test_what_was_planned_for_a_pod_that_goes_in_the_warm_up_is_planned_anew(
    measure: Measure,
) -> None:
    """The first look plans for two pods; the later ones find one."""
    told = measure("four", then(1, 2))
    assert [one.name for one in told.findings] == ["pods under load"]
    words = "planned for 1 pods of the candidate and 2 of the incumbent; now there are 1 and 1"
    assert words in told.findings[0].message
    assert told.baseline
    assert (told.baseline.rate_rps, told.baseline.replicas) == (100, 1)


@pytest.mark.real
def test_what_was_measured_until_a_pod_went_is_no_evidence_and_is_sent_anew(
    measure: Measure,
) -> None:
    told = measure("five", then(1, 2, 2), max_extensions=1)
    assert [one.name for one in told.findings] == ["pods under load"]
    assert [block.pair for block in told.blocks] == [0, 0]
    assert told.baseline
    assert told.baseline.rate_rps == 100


@pytest.mark.real
def test_a_look_that_nobody_can_answer_takes_no_pod_away(measure: Measure) -> None:
    told = measure("six", then(2, 2, None))
    assert told.findings == ()
    assert told.baseline
    assert (told.baseline.rate_rps, told.baseline.replicas) == (200, 2)


@pytest.mark.real
def test_a_candidate_that_lost_a_pod_since_deploy_saw_two_is_measured_by_the_one(
    measure: Measure,
) -> None:
    told = measure("seven", then(2), candidate=then(1, 2, 2), seen=2, max_extensions=1)
    (moved,) = told.findings
    assert "planned for 2 pods of the candidate and 2" in moved.message
    assert "now there are 1 and 2" in moved.message
    assert told.candidate.replicas == 1


def test_a_void_plan_takes_its_blocks_and_what_its_warm_up_had_to_say_with_it() -> None:
    made, nobody = policy(), Production(rate_rps=0.0)
    cold = Finding(name="candidate warm-up", word=Word.INCONCLUSIVE, message="not flat yet")
    kept = Finding(name="production guard", word=Word.INVALID, message="production suffers")
    session = Session(
        deployed=deployment(), policy=made, release_id="r-1", before=nobody, replicas=(1, 2),
        planned=load_plan.plan(
            made.load, has_incumbent=True, production=nobody, replicas=(1, 2)
        ),
        findings=[cold, kept],
    )  # fmt: skip
    sender = Sender(policy=made, release_id="r-1", fleets={}, stop=threading.Event())
    sender.stop.set()  # so that the new warm-up sends nothing
    sender.sent[Arm.BASELINE] = 70
    assert begun_again(session, sender, (1, 1))
    assert [one.name for one in session.findings] == ["production guard", "pods under load"]
    assert (session.planned.replicas, session.planned.baseline_rps) == ((1, 1), 200)
    assert session.sent_before == 70
    assert not begun_again(session, sender, (1, 1))
