"""A release beside a dedicated baseline, on real Triton, Envoy and Prometheus; one story, in this order.

Production is twice as strong as the load, so that a comparison with the incumbent itself could not be fair.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.test_release import Production, alias, journal, services

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(300)]
LOAD = {  # production sends about 20 requests a second
    "rate_rps": 10.0,
    "block_requests": 15,
    "pairs": 7,
    "max_extensions": 0,
}
SLO = {  # so few requests that an absolute latency could not be told where neighbours are alike
    "objectives": [
        {"kind": "errors", "limit": 0.1},
        {"kind": "relative_latency", "quantile": "p50", "floor_ms": 250, "min_pairs": 6},
    ]
}
LATE_S = 4.0  # until Prometheus has seen production


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("baseline"), "Knative") as one:
        yield one


def wanted(home: Home, baseline: str) -> Path:
    """The policy with this kind of baseline."""
    load = {**cast("dict[str, Any]", POLICY["load"]), **LOAD, "baseline": baseline}
    chosen = POLICY | {"model": {"uri": "models:/tiny/1"}, "load": load, "slo": SLO}
    path = home.folder / f"{baseline}.yaml"
    path.write_text(yaml.safe_dump(chosen))
    return path


def newest(home: Home) -> Path:
    """The last run's folder."""
    return max((home.folder / ".tidegate/runs").iterdir(), key=lambda path: path.stat().st_mtime)


def test_the_first_release_has_no_baseline_and_says_so(home: Home) -> None:
    done = home.release("models:/tiny/1", wanted(home, "dedicated"))
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert "a first release has no incumbent to copy" in done.stderr
    assert services(home) == ["tiny"]


def test_a_dedicated_baseline_is_and_is_gone_when_production_moves(home: Home) -> None:
    with Production(home) as production:
        time.sleep(LATE_S)
        done = home.release("models:/tiny/2", wanted(home, "dedicated"))
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert production.failures == []
    assert services(home) == ["tiny"]
    kinds = [act["kind"] for act in journal(home)["acts"]]
    assert kinds == ["BASELINE", "STAGE", "RETIRE", "SHIFT", "SHIFT"]
    assert alias(home) == "2"


def test_its_evidence_names_it_and_is_judged_again_offline(home: Home) -> None:
    (path,) = newest(home).glob("artifacts/*/gate/outputs/evidence")
    assert '"service":"tiny-base-' in path.read_text().replace(": ", ":")
    again = home.tidegate("gate", "--replay", str(path))
    assert (again.returncode, again.stdout.strip()) == (0, "PASS"), again.stderr
    page = next(newest(home).glob("artifacts/*/report/outputs/page")).read_text()
    assert "dedicated: tiny-base-" in page


def test_two_copies_of_what_serves_are_equal_whatever_production_does(home: Home) -> None:
    (golden,) = newest(home).glob("artifacts/*/optimize/outputs/optimized_model/golden.npz")
    with Production(home) as production:
        time.sleep(LATE_S)
        done = home.tidegate(
            "calibrate", str(wanted(home, "dedicated")), "--on-cluster", "--golden", str(golden)
        )
    assert done.returncode == 0, done.stderr
    assert "PASS: p50 is" in done.stderr  # however few requests the absolute objectives have here
    assert "not fair" not in done.stderr
    assert done.stdout.strip() in {"PASS", "INCONCLUSIVE"}
    assert production.failures == []
    assert services(home) == ["tiny"]
