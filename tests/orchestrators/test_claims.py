"""A claim of published models in the drawings: who mounts it, and that a step then finds it there."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, components, dsl, kubernetes
from typer.testing import CliRunner

from tests.orchestrators.argo_references import problems
from tidegate.cli import app
from tidegate.core.storage_place import mounts_of, place_of
from tidegate.errors import UsageError
from tidegate.orchestrators.claims import USERS, with_claim
from tidegate.orchestrators.drawings import DRAWINGS, drawing
from tidegate.steps.registry import steps

Json = dict[str, Any]
CLAIM, MOUNTS = "models", "TIDEGATE_CLAIM_MOUNTS"
PIPELINES = DRAWINGS["kfp"]
RELEASES = [name for name in DRAWINGS["argo"] if "release" in name]


def mounted(path: str) -> list[Json]:
    return list(yaml.safe_load_all(with_claim(drawing(path).read_text(), CLAIM)))


def before(path: str) -> list[Json]:
    return list(yaml.safe_load_all(drawing(path).read_text()))


def containers(document: Json) -> dict[str, Json]:
    templates = document["spec"]["templates"]
    return {one["name"]: one["container"] for one in templates if "container" in one}


def test_those_that_mount_it_are_the_steps_that_touch_the_storage() -> None:
    assert set(USERS) == {one.command for one in steps().values() if "the storage" in one.touches}


@pytest.mark.parametrize("path", RELEASES)
def test_in_argo_publish_writes_to_it_and_the_report_only_reads_and_nothing_else_has_it(
    path: str,
) -> None:
    (now,), (was,) = mounted(path), before(path)
    assert now["spec"]["volumes"].pop() == {
        "name": "storage", "persistentVolumeClaim": {"claimName": CLAIM},
    }  # fmt: skip
    for name, reads in (("publish", False), ("report", True)):
        container = containers(now)[name]
        mount = container["volumeMounts"].pop()
        assert (mount["name"], mount.get("readOnly", False)) == ("storage", reads)
        (told,) = container.pop("env")
        assert told == {"name": MOUNTS, "value": f"{CLAIM}={mount['mountPath']}"}
    assert now == was


@pytest.mark.parametrize("path", RELEASES)
def test_in_argo_every_reference_still_leads_somewhere(path: str) -> None:
    others = [before(one)[0] for one in DRAWINGS["argo"] if one != path]
    assert problems([*others, *mounted(path)]) == []


def test_a_drawing_in_which_no_step_wants_it_is_left_as_it_is() -> None:
    for name in ("workflows/cron.yaml", "workflows/submit.yaml"):
        text = drawing(name).read_text()
        assert with_claim(text, CLAIM) == text


def test_in_kubeflow_it_is_written_as_its_own_sdk_writes_it(tmp_path: Path) -> None:
    @dsl.container_component  # type: ignore[untyped-decorator]
    def publish() -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="i", command=["publish"])

    @dsl.container_component  # type: ignore[untyped-decorator]
    def report() -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="i", command=["report"])

    def compiled(*, has_claim: bool) -> str:
        def drawn() -> None:
            for task in (publish(), report()):
                kubernetes.add_pod_label(task, label_key="a", label_value="b")
                if has_claim:
                    kubernetes.mount_pvc(task, CLAIM, f"/mnt/claims/{CLAIM}")
                    task.set_env_variable(MOUNTS, f"{CLAIM}=/mnt/claims/{CLAIM}")

        target = tmp_path / "drawn.yaml"
        compiler.Compiler().compile(dsl.pipeline(name="two")(drawn), str(target))
        return target.read_text()

    ours = yaml.safe_load_all(with_claim(compiled(has_claim=False), CLAIM))
    assert list(ours) == list(yaml.safe_load_all(compiled(has_claim=True)))


@pytest.mark.parametrize("path", PIPELINES)
def test_in_kubeflow_publish_and_report_have_it_and_nothing_else_has_changed(path: str) -> None:
    (pipeline, platform), was = mounted(path), before(path)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    mounts = {name: one.pop("pvcMount") for name, one in executors.items() if "pvcMount" in one}
    assert set(mounts) == {"exec-publish", "exec-report"}
    for name, (mount,) in mounts.items():
        assert mount["constant"] == CLAIM
        (told,) = pipeline["deploymentSpec"]["executors"][name]["container"].pop("env")
        assert told == {"name": MOUNTS, "value": f"{CLAIM}={mount['mountPath']}"}
    assert [pipeline, platform] == was


def test_kubeflow_loads_it_and_still_says_what_a_run_may_be_given() -> None:
    text = with_claim(drawing(PIPELINES[0]).read_text(), CLAIM)
    assert text.startswith("# PIPELINE DEFINITION\n# Name: tidegate-release\n")
    loaded = components.load_component_from_text(text)
    assert "policy" in loaded.component_spec.inputs


@pytest.mark.parametrize("orchestrator", DRAWINGS)
def test_compile_writes_it_into_every_drawing_that_has_the_steps(
    orchestrator: str, tmp_path: Path
) -> None:
    given = ["compile", orchestrator, "--output", str(tmp_path), "--storage-claim", CLAIM]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    having = {one.name for one in tmp_path.iterdir() if f"{CLAIM}=/mnt/" in one.read_text()}
    assert having == {Path(p).name for p in (*RELEASES, *PIPELINES)} & {
        Path(p).name for p in DRAWINGS[orchestrator]
    }


@pytest.mark.parametrize("claim", ["Models", "a/b", "-a", "a" * 254, "a b"])
def test_what_is_no_claim_is_one_line_and_nothing_is_written(claim: str, tmp_path: Path) -> None:
    given = ["compile", "argo", "--output", str(tmp_path), f"--storage-claim={claim}"]
    done = CliRunner().invoke(app, given)
    assert isinstance(done.exception, UsageError)
    assert f"--storage-claim {claim!r} is no name of a PersistentVolumeClaim" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def told(path: str) -> str:
    """What the container of publish is told, in either orchestrator's drawing."""
    documents = mounted(path)
    if "spec" in documents[0]:
        (one,) = containers(documents[0])["publish"]["env"]
    else:
        (one,) = documents[0]["deploymentSpec"]["executors"]["exec-publish"]["container"]["env"]
    return str(one["value"])


@pytest.mark.parametrize("path", [RELEASES[0], PIPELINES[0]])
def test_a_step_that_is_told_so_finds_the_claim_where_it_is_mounted(path: str) -> None:
    place = place_of(f"pvc://{CLAIM}/released", mounts_of(told(path)))
    mount = json.dumps(mounted(path)).count(f'"mountPath": "/mnt/claims/{CLAIM}"')
    assert place.folder == f"/mnt/claims/{CLAIM}/released"
    assert mount == 2
