"""A schedule fired by each local runner: train, register, release; nothing new, nothing done.

The trainer is the example's own. `make test-flows`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.conftest import POLICY, Home, empty
from tests.e2e.test_release import Production, alias, journal, predictor, shares, source_of

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(400)]
TRAINER = Path(__file__).parents[2] / "examples" / "training" / "trainer.py"
NAME = "digits"
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 64], "data": [8.0] * 64}]}
# What has been collected when a schedule first fires by this runner: always more than before.
COLLECTED = {"in-process": 150, "kfp": 400, "argo": 1300}
VERSION = {runner: str(number) for number, runner in enumerate(COLLECTED, 1)}
each = pytest.mark.parametrize("runner", ["kfp", "argo"], scope="module")


@pytest.fixture(scope="module")
def schedule(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A cluster whose registry is empty, and in which a first fire has released what it trained."""
    folder = tmp_path_factory.mktemp("schedule")
    policy = POLICY | {"name": NAME, "model": {"uri": f"models:/{NAME}@champion"}}
    with empty(folder, "Knative") as home:
        home.policy.write_text(yaml.safe_dump(policy))
        assert fired(home, "in-process") == (0, "PROMOTED")
        yield home


def fired(home: Home, runner: str, train: str = "") -> tuple[int, str]:
    """What a recurring run or a CronWorkflow starts; its exit code and word."""
    usual = (
        f'python -W ignore {TRAINER} --rows {COLLECTED[runner]} --output "$TIDEGATE_MODEL_URI_FILE"'
    )
    done = home.tidegate("release", str(home.policy), "--runner", runner, "--train", train or usual)
    (home.folder / f"said-{runner}.txt").write_text(done.stderr)
    return done.returncode, done.stdout.strip()


def said(home: Home, runner: str) -> str:
    """To people, by the last fire."""
    return (home.folder / f"said-{runner}.txt").read_text()


def live(home: Home) -> dict[str, Any]:
    """All that a fire may change: what serves, the newest revision, the journal, the alias."""
    return {
        "shares": shares(home, NAME),
        "revision": predictor(home, NAME)["latestCreatedRevision"],
        "journal": journal(home, NAME),
        "alias": alias(home, NAME),
        "versions": versions(home),
    }


def versions(home: Home) -> dict[str, str]:
    """Each registered version, and the run that a schedule took it for."""
    reply = httpx.get(
        f"{home.environment['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/model-versions/search",
        params={"filter": f"name = '{NAME}'"},
    )
    found = reply.raise_for_status().json()["model_versions"]
    tags = {one["version"]: {t["key"]: t["value"] for t in one.get("tags", ())} for one in found}
    return {version: told.get("tidegate.scheduled", "") for version, told in tags.items()}


@each
def test_a_fire_trains_registers_and_releases_under_production_traffic(
    schedule: Home, runner: str
) -> None:
    with Production(schedule, NAME, ROW) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        assert fired(schedule, runner) == (0, "PROMOTED"), said(schedule, runner)
    assert production.failures == []
    assert production.versions[-1] == VERSION[runner]
    (serving,) = shares(schedule, NAME)
    assert f"/{NAME}/{VERSION[runner]}-" in source_of(serving)
    assert alias(schedule, NAME) == VERSION[runner]
    assert versions(schedule)[VERSION[runner]] == journal(schedule, NAME)["release_id"]


@each
def test_the_next_fire_finds_the_same_rows_and_releases_nothing_again(
    schedule: Home, runner: str
) -> None:
    before = live(schedule)
    with Production(schedule, NAME, ROW) as production:
        assert fired(schedule, runner) == (0, "UNCHANGED"), said(schedule, runner)
    assert "was taken by run" in said(schedule, runner)
    assert "load-test" not in said(schedule, runner)
    assert production.failures == []
    assert live(schedule) == before


@each
def test_a_training_that_registers_nothing_is_green_and_touches_nothing(
    schedule: Home, runner: str
) -> None:
    before = live(schedule)
    nothing = ': > "$TIDEGATE_MODEL_URI_FILE"'
    assert fired(schedule, runner, nothing) == (0, "UNCHANGED"), said(schedule, runner)
    assert "the training registered nothing new" in said(schedule, runner)
    assert live(schedule) == before


@each
def test_a_training_that_fails_is_red_and_touches_nothing(schedule: Home, runner: str) -> None:
    before = live(schedule)
    code, word = fired(schedule, runner, "echo out of memory; exit 3")
    assert (code != 0, word) == (True, "DIED"), said(schedule, runner)
    assert "the training ended with 3" in said(schedule, runner)
    assert live(schedule) == before
