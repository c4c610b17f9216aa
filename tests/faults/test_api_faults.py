"""Every call that a release makes to the Kubernetes API meets every fault of that API.

`expectations.yaml` says what comes of it; docs/api-faults.md is the same for people.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path

import pytest

from tests.faults.calls import Call
from tests.faults.cell import RETURN_S, played
from tests.faults.record import FAULTS, is_recording, note
from tests.faults.scenes import SCENES, Scene
from tests.faults.stage import Stage, staging, wired
from tests.faults.table import NEVER, SAME, UNKNOWN, Cell, cells, diagonal, load, representative
from tests.faults.wire import Fault
from tests.rbac.verbs import load as load_verbs
from tests.rbac.verbs import rules_for
from tidegate.adapters.kubernetes import connect
from tidegate.sandbox.api.kubeconfig import write_kubeconfig

ROWS = load()
NAMED = {scene.name: scene for scene in SCENES}


def chosen() -> list[Cell]:
    """A diagonal, or what TIDEGATE_FAULTS asks for: `all 1/4` is the first quarter of the table."""
    which, _, part = os.environ.get(FAULTS, "").partition(" ")
    if not which:
        return [cell for cell in diagonal(ROWS) if cell.expected != UNKNOWN]
    first, _, of = (part or "1/1").partition("/")
    unknown = [cell for cell in representative(ROWS) if cell.expected == UNKNOWN]
    known = [cell for cell in cells(ROWS) if cell.expected != UNKNOWN]
    asked = {"all": known, "unknown": unknown}.get(which, [])
    return asked[int(first) - 1 :: int(of)]


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_a_release_makes_only_calls_that_have_a_row_and_a_rule_and_never_a_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: Scene
) -> None:
    """What was before is done by the administrator; then a user comes who may do just what is recorded."""
    robot = {"robot": rules_for(load_verbs().get(scene.step, []), "default")}
    with (
        wired(tmp_path, monkeypatch, scene.mode, robot) as (cluster, wire),
        staging(cluster, wire, mode=scene.mode) as stage,
    ):
        scene.before(stage)
        with wire.during(scene.step), as_user("" if is_recording() else "robot", stage, tmp_path):
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


@contextmanager
def as_user(name: str, stage: Stage, folder: Path) -> Iterator[None]:
    """The step's client, and any that it opens itself, is this user's; nobody's is the administrator's."""
    with pytest.MonkeyPatch.context() as patched:
        path = write_kubeconfig(folder / "robot", stage.wire.url, token=name)
        patched.setenv("KUBECONFIG", str(path))
        before = stage.kube
        with connect(retry_s=2) as stage.kube:
            yield
        stage.kube = before


def test_the_rules_and_the_table_name_the_same_calls() -> None:
    rules = {
        (step, rule.verb, ".".join(filter(None, (rule.resource, rule.group))))
        for step, held in load_verbs().items()
        for rule in held
    }
    assert rules == {row.key[:3] for row in ROWS if row.resource != "discovery"}


@pytest.mark.parametrize("cell", chosen(), ids=str)
def test_a_fault_of_the_api_ends_as_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: Cell
) -> None:
    scene = NAMED[cell.row.scene]
    stays = cell.half == "stays"
    fault = Fault(cell.fault, Call(*cell.row.key), stays=stays)
    retry_s, patience_s = (0.2, 1.5) if stays else (3.0, 10.0)
    retry_s = (
        max(retry_s, 1.0) if fault.kind == "lost" else retry_s
    )  # a second try meets its own write
    if stays:  # a return, and KServe's first answer to a staging, are waited for so long in all
        monkeypatch.setattr("tidegate.steps.claiming.RECONCILE_S", RETURN_S - 3 * patience_s)
        monkeypatch.setattr("tidegate.core.coming_up.RECONCILE_S", RETURN_S / 2)
        monkeypatch.setattr("tidegate.core.knative_return.RECONCILE_S", RETURN_S / 2)
        monkeypatch.setattr("tidegate.steps.dedicated_baseline.RETIRE_S", RETURN_S)
    timeout_s = 0.8 if cell.fault == "timeout" else 5.0
    with (
        wired(tmp_path, monkeypatch, scene.mode) as (cluster, wire),
        staging(
            cluster,
            wire,
            retry_s=retry_s,
            timeout_s=timeout_s,
            patience_s=patience_s,
            mode=scene.mode,
        ) as stage,
    ):
        said = played(stage, scene, fault)
    if not note("cells", [cell.row.key, cell.half, cell.fault, said]):
        assert is_as_said(said, cell.expected)


def is_as_said(said: str, expected: str) -> bool:
    """Whether there is an older version to show is a race; a step that ends as on a sound wire is as well."""
    return said == expected or {said, expected} == {SAME, NEVER}
