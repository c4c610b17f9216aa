"""What a load test makes of how long answers take: nothing may run beside it."""

from pathlib import Path

import pytest

from tests.evidence.conftest import Serve, deployment, policy
from tidegate.core.slo import judge
from tidegate.documents import LoadReport, Word
from tidegate.policy import Slo
from tidegate.steps.load_session import run

pytestmark = pytest.mark.alone
LATENCY = {"kind": "latency", "quantile": 0.9, "limit_ms": 100, "min_samples": 100}
ERRORS = {"kind": "errors", "limit": 0.05}


def measure(tree: Path, *, first_release: bool = True, **load: object) -> LoadReport:
    made = policy(load=load)
    return run(deployment(first_release=first_release), made, tree / "golden.npz", "r-1")


def verdict(report: LoadReport, *objectives: dict[str, object]) -> tuple[Word, str]:
    slo = Slo.model_validate({"objectives": objectives})
    judged = judge(report, slo, first_release=True)
    return judged.word, judged.reason


def test_a_stalling_server_shows_in_every_request_that_it_delayed(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"delay_ms": 1, "stall": [1.0, 0.5]})
    report = measure(golden_tree, rate_rps=100.0, arrivals="constant", pairs=1, block_requests=300)
    delayed = [value for value in report.candidate.latencies_ms if value > 100]
    assert 30 <= len(delayed) <= 55  # 100 rps: about 40 starts fall into the first 400 ms of it
    assert max(delayed) > 400
    assert not report.generator.saturated
    assert (
        verdict(report, LATENCY)[0] is not Word.PASS
    )  # one stall is one event, however many it delays


def test_a_client_with_too_few_connections_is_invalid(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"delay_ms": 40})
    report = measure(golden_tree, max_connections=1, pairs=1, block_requests=50, warmup_s=0.0)
    assert report.generator.saturated
    word, reason = verdict(report, LATENCY)
    assert word is Word.INVALID
    assert "for one of 1 connections, longer than the server takes; raise max_connections" in reason


def test_a_server_that_answers_nothing_is_bad_not_the_client(
    serve: Serve, golden_tree: Path
) -> None:
    serve(candidate={"delay_ms": 60_000})
    report = measure(golden_tree, timeout_s=0.4, pairs=1, warmup_s=0.0)
    assert report.candidate.errors == 100
    assert not report.generator.saturated
    assert verdict(report, ERRORS)[0] is Word.FAIL
