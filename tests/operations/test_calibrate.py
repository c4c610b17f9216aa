"""A gate is calibrated by load tests whose truth is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.evidence.conftest import deployment, policy
from tidegate.adapters.files import write
from tidegate.cli import app
from tidegate.core.load_plan import Production
from tidegate.core.slo import judge
from tidegate.documents import Word
from tidegate.errors import DocumentError
from tidegate.operations import calibration
from tidegate.operations.against_itself import as_both, matched
from tidegate.operations.simulation import Arms, arrivals, gamma, load_report, queues, sojourns
from tidegate.policy import Load, Slo

LOAD = Load(rate_rps=50, pairs=20, block_requests=100, max_extensions=0)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), busy=st.floats(0.05, 1.5))
def test_a_queues_waits_are_lindleys_one_request_after_the_other(seed: int, busy: float) -> None:
    rng = np.random.default_rng(seed)
    starts = arrivals(rng, LOAD, 2)
    service = gamma(20 * busy, 0.7)(rng, (2, LOAD.block_requests))
    found = sojourns(service, starts)
    for row in range(2):
        free = 0.0
        for n in range(LOAD.block_requests):
            free = max(free, starts[row, n]) + service[row, n]
            assert found[row, n] == pytest.approx(free - starts[row, n])


def test_a_half_busy_exponential_server_takes_twice_its_service_time() -> None:
    load = Load(rate_rps=50, pairs=1, block_requests=200_000, max_extensions=0)
    arms = next(queues(np.random.default_rng(1), load, gamma(10, 1.0), slower=1.5))
    assert arms.baseline.mean() == pytest.approx(20, rel=0.05)
    assert arms.candidate.mean() == pytest.approx(30, rel=0.05)


def test_a_simulated_report_says_of_its_latencies_what_they_are() -> None:
    arms = next(queues(np.random.default_rng(1), LOAD, gamma(10, 1.0)))
    report = load_report(arms, LOAD)
    assert report.candidate.p99_ms == np.quantile(arms.candidate, 0.99, method="inverted_cdf")
    assert report.blocks[3].p95_ms == np.quantile(arms.candidate[3], 0.95, method="inverted_cdf")
    assert (report.candidate.requests, len(report.blocks)) == (2000, 40)


def test_the_rates_tell_an_equal_version_from_a_slower_one() -> None:
    wanted = policy(load=LOAD.model_dump())
    source, basis = calibration.from_queue(LOAD, service_ms=2, cv=0.3, drift=0.05)
    found = calibration.calibrated(wanted, source, basis=basis, runs=10, seed=1)
    rates = {rate.slower: rate for rate in found.rates}
    assert list(rates) == [1.0, 1.1, 1.3, 2.0]
    assert rates[1.0].share(Word.PASS) == 1
    assert rates[1.1].share(Word.PASS) < 0.5
    assert rates[1.3].share(Word.FAIL) == rates[2.0].share(Word.FAIL) == 1
    shown = "\n".join(calibration.lines(found))
    assert "an equal candidate: PASS 100.0%" in shown
    assert "false alarms: 0.0% of equal candidates FAIL" in shown


def test_a_reports_own_latencies_keep_what_it_measured() -> None:
    arms = next(queues(np.random.default_rng(1), LOAD, gamma(10, 1.0), drift=0.3))
    source, basis = calibration.from_report(load_report(arms, LOAD), LOAD)
    drawn = next(source(np.random.default_rng(2), 2.0))
    assert drawn.candidate.shape == drawn.baseline.shape == (20, 100)
    assert set(drawn.baseline.ravel()) <= set(arms.baseline.ravel())
    assert set(drawn.candidate.ravel()) <= set(2 * arms.baseline.ravel())
    assert basis.startswith("the baseline's latencies of release simulated, 20 blocks")


def test_latencies_of_another_rate_or_of_too_few_blocks_are_refused() -> None:
    arms = next(queues(np.random.default_rng(1), LOAD, gamma(10, 1.0)))
    report = load_report(arms, LOAD)
    with pytest.raises(DocumentError, match=r"measured at 50 rps, the policy asks for .* 80"):
        calibration.from_report(report, Load(rate_rps=80))
    few = load_report(Arms(candidate=arms.candidate[:1], baseline=arms.baseline[:1]), LOAD)
    with pytest.raises(DocumentError, match="has 1 blocks of 50 answers"):
        calibration.from_report(few, LOAD)


def test_the_command_prints_the_same_rates_for_the_same_seed_and_refuses_in_one_line(
    tmp_path: Path,
) -> None:
    path, arguments = tmp_path / "policy.json", ["--runs", "3", "--json", "--cv", "0.3"]
    write(path, policy(load=LOAD.model_dump()))
    first, again = (
        CliRunner().invoke(app, ["calibrate", str(path), *arguments]).stdout for _ in range(2)
    )
    assert first == again
    assert json.loads(first)["rates"][0]["runs"] == 3
    done = CliRunner().invoke(app, ["calibrate", str(path), "--service-ms", "30"])
    assert "busy 150% of the time; lower the rate or --service-ms" in str(done.exception)
    write(path, policy(slo={"objectives": ({"kind": "errors"},)}))
    done = CliRunner().invoke(app, ["calibrate", str(path)])
    assert "nothing to calibrate" in str(done.exception)


def test_the_incumbent_against_itself_is_fair_only_beside_little_production() -> None:
    staged = as_both(deployment(first_release=True))
    assert staged.incumbent
    assert staged.incumbent.revision == staged.candidate_revision
    assert staged.candidate_host == staged.incumbent_host == staged.production_host
    report = load_report(next(queues(np.random.default_rng(1), LOAD, gamma(2, 0.3))), LOAD)
    wanted = policy(load=LOAD.model_dump())
    for rate, word in ((5.0, Word.PASS), (20.0, Word.INVALID), (None, Word.INVALID)):
        said = matched(report, wanted, Production(rate_rps=rate, why="no series"))
        slo = Slo(objectives=Slo().objectives[1:])
        assert judge(said, slo, first_release=False).word is word
