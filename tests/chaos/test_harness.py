"""The matrix can fail: what is wrong in a cell is seen. A few cells, so that the harness does not rot."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.chaos.cells import Cell, Death, Result, cells_of, deaths, shared, shared_end
from tests.chaos.client import Client
from tests.chaos.courses import course
from tests.chaos.dying import MOMENTS, Moment
from tests.chaos.running import NEIGHBOUR, Stage, fork_server
from tests.chaos.world import World, light_world

pytestmark = pytest.mark.real
PROMOTE = Cell(mode="Knative", course=course("promote"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with light_world(tmp_path_factory.mktemp("world"), "Knative") as started:
        yield started


@pytest.fixture(scope="module")
def stage(world: World) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in world.environment.items():
            environment.setenv(name, value)
        yield Stage(world, fork_server())


def at_half(moment: Moment) -> Cell:
    death = Death(number=1, name="PATCH inferenceservice, 50 %", occurrence=1, moment=moment)
    return replace(PROMOTE, death=death)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_release_that_is_killed_at_half_of_the_traffic_is_rescued(
    stage: Stage, moment: Moment
) -> None:
    result = stage.run(at_half(moment))
    assert result.trouble == ""
    assert result.writes[-1] == "PATCH inferenceservice, 50 %"
    assert result.requests > 0


def test_an_abort_that_dies_when_it_has_taken_the_release_is_finished_by_another(
    stage: Stage,
) -> None:
    cell = Cell(mode="Knative", course=course("abort-at-50"), rescue="abort")
    taken = "PUT journal, RETURNING, SHIFT 50 % meant, 10 % judged PASS"
    result = stage.run(
        replace(cell, death=Death(number=1, name=taken, occurrence=1, moment="after"))
    )
    assert (result.trouble, result.writes[-1]) == ("", taken)
    assert result.rescue_writes


def test_a_release_that_nobody_rescues_fails_its_cell(stage: Stage) -> None:
    result = stage.run(replace(at_half("after"), rescue="nobody"))
    assert "the journal is not over: PROMOTING" in result.trouble


def test_a_write_that_is_never_met_fails_its_cell(stage: Stage) -> None:
    death = Death(number=1, name="PATCH moon", occurrence=1, moment="after")
    result = stage.run(replace(PROMOTE, death=death))
    assert "ended without the write" in result.trouble
    assert result.tries == 3


def test_the_client_tells_a_request_that_fails_and_a_version_that_nobody_verified(
    world: World, stage: Stage
) -> None:
    lost = Client(world.ingress.port, world.host("nowhere"), {"1"})
    surprised = Client(world.ingress.port, world.host(NEIGHBOUR), {"7"})
    while not (lost.sent and surprised.sent):
        pass
    lost.stop()
    surprised.stop()
    assert "HTTP 404" in lost.failures[0]
    assert "answered by version 1, which was not verified" in surprised.failures[0]


def test_every_write_is_killed_before_and_after_and_its_neighbours_meet_every_rescue() -> None:
    dry = Result(cell=PROMOTE, seconds=0, writes=("PUT a", "PUT b", "PUT a"))
    cells = list(cells_of(dry, beyond=0, full=False))
    met = [(c.death.number, c.death.moment) for c in cells if c.death]
    assert met == [
        (1, "before"), (1, "lost"), (2, "before"), (2, "after"), (3, "before"), (3, "lost"),
    ]  # fmt: skip
    for done in (1, 2):
        left = [c for c in cells if c.death and c.death.done == done]
        assert len({c.rescue for c in left}) == 2
    assert {c.rescue for c in cells} == {"guard", "resume", "sweep"}
    assert [d.occurrence for d in deaths(dry.writes)] == [1, 1, 1, 1, 1, 1, 2, 2, 2]
    assert len(list(cells_of(dry, beyond=1, full=True))) == 2 * 3 * 3


def test_only_a_beginning_that_an_earlier_course_has_too_is_left_out() -> None:
    assert shared(("a", "b", "c"), [("a", "x", "c"), ("a", "b", "y")]) == 2
    assert shared(("a", "b"), []) == 0


def test_of_an_end_that_is_another_courses_the_write_at_which_they_join_is_still_killed() -> None:
    ours, theirs = ("x", "copied", "copy removed", "c", "d", "e"), ("a", "b", "c", "d", "e")
    assert shared_end(ours, theirs) == 2
    assert shared_end(("x",), ("a",)) == 0
    dry = Result(cell=PROMOTE, seconds=0, writes=ours)
    cells = cells_of(dry, beyond=1, last=shared_end(ours, theirs), full=False)
    assert {c.death.number for c in cells if c.death} == {2, 3, 4}
