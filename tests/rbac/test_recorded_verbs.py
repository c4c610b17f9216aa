"""Each step may do what it was seen to do, and needs all of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.record import FAULTS
from tests.faults.scenes import SCENES, Scene
from tests.faults.stage import Stage, staging, wired
from tests.faults.wire import between
from tests.rbac.verbs import PATH, is_optional, load, rule_of, rules_for, text_of
from tests.steps.traffic.traffic_cluster import clustered, uri
from tidegate.adapters.kubernetes import connect
from tidegate.errors import RejectedError, TidegateError
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rule

KNOWN = load() if PATH.exists() else {}
RECORD = "TIDEGATE_RECORD_VERBS"


def of_step(step: str) -> list[Scene]:
    return [scene for scene in SCENES if scene.step == step]


def seen_in(scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[Rule]:
    """What the step of a scene asks for."""
    with wired(folder, monkeypatch, scene.mode) as (cluster, wire):
        with staging(cluster, wire, mode=scene.mode) as stage:
            scene.before(stage)
            with wire.during(scene.step):
                assert scene.run(stage) == scene.ends
        asked = [request for call, request in wire.calls if call.step == scene.step]
    return {rule_of(request) for request in asked if not request.is_discovery}


@pytest.mark.timeout(600)  # all scenes one after another
@pytest.mark.skipif(
    not {FAULTS, RECORD} & set(os.environ),
    reason="in `make faults`; each scene alone is tried with just these rules in tests/faults",
)
def test_each_step_asks_for_what_is_recorded_and_for_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: dict[str, set[Rule]] = {}
    for number, scene in enumerate(SCENES):
        folder = tmp_path / str(number)
        folder.mkdir()
        steps.setdefault(scene.step, set()).update(seen_in(scene, folder, monkeypatch))
    text = text_of({step: list(rules) for step, rules in steps.items()})
    if os.environ.get(RECORD):
        PATH.parent.mkdir(parents=True, exist_ok=True)
        PATH.write_text(text, encoding="utf-8")
    assert PATH.read_text(encoding="utf-8") == text, "run `make record-verbs` and read the diff"


@contextmanager
def allowed(
    scene: Scene, rules: list[Rule], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """What was before is done by the administrator; then a user comes who may do just this."""
    folder.mkdir(exist_ok=True)
    rules_by_user = {"robot": rules_for(rules, "default")}
    with (
        clustered(folder, monkeypatch, rules_by_user, scene.mode) as cluster,
        between(cluster.api.url) as wire,
        staging(cluster, wire, mode=scene.mode) as stage,
    ):
        scene.before(stage)
        path = write_kubeconfig(folder / "robot", cluster.api.url, token="robot")
        monkeypatch.setenv("KUBECONFIG", str(path))
        with connect(retry_s=2) as stage.kube:
            yield stage


def is_returned(stage: Stage, shares: dict[str, int]) -> bool:
    """All of production is on what serves the incumbent's URI."""
    specs = stage.cluster.runtime.specs
    return {specs[name].storage_uri for name, share in shares.items() if share} == {uri(1)}


def said_without(
    rule: Rule, scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> TidegateError | None:
    """What the step says when it may not do this; production stays what it was, or is back already: a return
    does not wait for a journal that cannot be written."""
    rules = [kept for kept in KNOWN[scene.step] if kept != rule]
    with allowed(scene, rules, folder, monkeypatch) as stage:
        before, stage.cluster.ingress.seen = stage.cluster.traffic, []
        try:
            scene.run(stage)
        except RejectedError as error:
            seen = [*stage.cluster.ingress.seen, stage.cluster.traffic]
            assert all(shares == before or is_returned(stage, shares) for shares in seen)
            return error
    return None


NEEDED = [(step, rule) for step, rules in KNOWN.items() for rule in rules if not is_optional(rule)]
NEEDED = NEEDED if os.environ.get(FAULTS) else NEEDED[::5]  # all of them in `make faults`


@pytest.mark.parametrize(
    ("step", "rule"), NEEDED, ids=[f"{step} without {r.verb} {r.resource}" for step, r in NEEDED]
)
def test_a_missing_permission_is_named_and_production_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, rule: Rule
) -> None:
    tried = (
        said_without(rule, scene, tmp_path / scene.name, monkeypatch) for scene in of_step(step)
    )
    error = next((error for error in tried if error), None)
    assert error
    assert f'cannot {rule.verb} resource "{rule.resource}"' in str(error)
    assert error.exit_code == 5


OPTIONAL = [(step, rule) for step, rules in KNOWN.items() for rule in rules if is_optional(rule)]


@pytest.mark.parametrize(
    ("step", "rule"),
    OPTIONAL,
    ids=[f"{step} without {r.verb} {r.resource}" for step, r in OPTIONAL],
)
def test_without_an_optional_permission_a_release_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, rule: Rule
) -> None:
    """But for a first one, whose mode only the policy can then say, one that KServe refuses, one with a GPU,
    and one that asks a Job."""
    told = rule.name or rule.resource in {"events", "nodes"}
    refused = {"refused, INVALID"} if told else set()
    refused |= {"INVALID"} if step == "gate" else set()
    for scene in of_step(step) if os.environ.get(FAULTS) else of_step(step)[:1]:
        rules = [kept for kept in KNOWN[step] if kept != rule]
        with allowed(scene, rules, tmp_path / scene.name, monkeypatch) as stage:
            assert scene.run(stage) in {scene.ends, *refused}
