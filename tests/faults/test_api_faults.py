"""Every call that a release makes to the Kubernetes API meets every fault of that API.

`expectations.yaml` says what comes of it; docs/api-faults.md is the same for people.
"""

import os
from dataclasses import astuple
from pathlib import Path

import pytest

from tests.faults.calls import Call
from tests.faults.cell import RETURN_S, played
from tests.faults.record import FAULTS, note
from tests.faults.scenes import SCENES, Scene, staging, wired
from tests.faults.table import UNKNOWN, Cell, cells, diagonal, load, representative
from tests.faults.wire import Fault

ROWS = load()
NAMED = {scene.name: scene for scene in SCENES}


def chosen() -> list[Cell]:
    """A diagonal, or what TIDEGATE_FAULTS asks for: `all 1/4` is the first quarter of the table."""
    which, _, part = os.environ.get(FAULTS, "").partition(" ")
    if not which:
        return list(diagonal(ROWS))
    first, _, of = (part or "1/1").partition("/")
    unknown = [cell for cell in representative(ROWS) if cell.expected == UNKNOWN]
    asked = {"all": list(cells(ROWS)), "unknown": unknown}.get(which, [])
    return asked[int(first) - 1 :: int(of)]


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_a_release_makes_only_calls_that_have_a_row_and_never_a_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    with (
        wired(tmp_path, monkeypatch, scene.mode) as (cluster, wire),
        staging(cluster, wire) as stage,
    ):
        scene.before(stage)
        with wire.during(scene.step):
            assert scene.run(stage) == scene.ends
    made = dict.fromkeys(call for call, _ in wire.calls if call.step == scene.step)
    assert "watch" not in {call.verb for call, _ in wire.calls}
    recorded = [note("calls", [*astuple(call), scene.name]) for call in made]
    unknown = (
        []
        if recorded[0]
        else [str(call) for call in made if astuple(call) not in {row.key for row in ROWS}]
    )
    assert not unknown, "run `make record-faults`, and read what it adds to expectations.yaml"


@pytest.mark.parametrize("cell", chosen(), ids=str)
def test_a_fault_of_the_api_ends_as_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: Cell
) -> None:
    scene = NAMED[cell.row.scene]
    stays = cell.half == "stays"
    retry_s, patience_s = (0.2, 1.5) if stays else (3.0, 10.0)
    if stays:  # a return, and KServe's first answer to a staging, are waited for so long in all
        monkeypatch.setattr("tidegate.steps.deploy.RECONCILE_S", RETURN_S - 3 * patience_s)
        monkeypatch.setattr("tidegate.core.coming_up.RECONCILE_S", RETURN_S / 2)
        monkeypatch.setattr("tidegate.core.knative_return.RECONCILE_S", RETURN_S / 2)
    timeout_s = 0.8 if cell.fault == "timeout" else 5.0
    fault = Fault(cell.fault, Call(*cell.row.key), stays=stays)
    with (
        wired(tmp_path, monkeypatch, scene.mode) as (cluster, wire),
        staging(
            cluster, wire, retry_s=retry_s, timeout_s=timeout_s, patience_s=patience_s
        ) as stage,
    ):
        said = played(stage, scene, fault)
    if not note("cells", [cell.row.key, cell.half, cell.fault, said]):
        assert said == cell.expected
