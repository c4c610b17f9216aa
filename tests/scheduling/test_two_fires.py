"""Two schedules that fire in the same moment: the registry has no conditional write, so both may be told YES.

What then decides is the journal. Two real processes, on the embedded API and light servers.
"""

import json
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests.chaos.actors import Job, act
from tests.chaos.aliases import named_in
from tests.chaos.courses import course
from tests.chaos.running import fork_server
from tests.chaos.world import NAMESPACE, World, light_world
from tidegate.sandbox.api.kinds import CONFIGMAPS, REVISIONS

pytestmark = pytest.mark.real
NAME = "shift"
SHARES = 3  # 10, 50, 100


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A cluster in which version 1 serves."""
    with light_world(tmp_path_factory.mktemp("fires"), "Knative") as world:
        assert fired(world, fork_server(), job(world, 1, "first")) == ["PROMOTED"]
        yield world


def job(world: World, version: int, release_id: str) -> Job:
    folder = world.folder / release_id
    folder.mkdir()
    return Job(
        verb="release", folder=folder, environment=world.environment, name=NAME,
        release_id=release_id, base=0, version=version, uri=world.uri(version, ""),
        course=course("promote"), mode=world.mode, patience=world.patience,
        alias=world.folder / "alias",
    )  # fmt: skip


def together(started: Barrier, job: Job) -> None:
    started.wait(30)
    act(job)


def fired(world: World, context: ForkServerContext, *jobs: Job) -> list[str]:
    """The word of each process, '' for one that was refused with an error."""
    started = context.Barrier(len(jobs))
    processes = [context.Process(target=together, args=(started, job)) for job in jobs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode is not None
    return [json.loads(job.result.read_text()) if job.result.exists() else "" for job in jobs]


def patches(job: Job) -> list[str]:
    written = job.writes.read_text().splitlines() if job.writes.exists() else []
    return [one for one in written if "PATCH inferenceservice" in one]


@pytest.mark.parametrize("version", [2, 3, 4])
def test_two_fires_release_one_version_once(world: World, version: int) -> None:
    jobs = [job(world, version, f"v{version}-{which}") for which in "ab"]
    words = fired(world, fork_server(), *jobs)
    assert words.count("PROMOTED") == 1, [Path(one.log).read_text()[-500:] for one in jobs]
    winner, loser = sorted(jobs, key=lambda one: words[jobs.index(one)] != "PROMOTED")
    assert len(patches(winner)) == 1 + SHARES
    assert patches(loser) == []
    assert named_in(winner.alias) == str(version)
    assert len(world.api.store.items(REVISIONS)) == version
    journal = world.api.store.find(CONFIGMAPS, NAMESPACE, f"tidegate-{NAME}")
    assert journal is not None
    ended = json.loads(journal["data"]["journal.json"])
    assert (ended["release_id"], ended["outcome"]) == (winner.release_id, "PROMOTED")


def test_a_fire_after_it_changes_nothing(world: World) -> None:
    late = job(world, 4, "late")
    (word,) = fired(world, fork_server(), late)
    assert word == "UNCHANGED"
    assert patches(late) == []
