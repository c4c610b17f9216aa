"""The committed Kubeflow pipelines: what the UI gets, and what no client can undo."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.steps.registry import steps

Json = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "pipelines"
every_pipeline = pytest.mark.parametrize("name", ["release", "scheduled_release"])


def read(name: str) -> tuple[Json, Json]:
    ir, platform = yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text())
    return ir, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def tasks(ir: Json) -> Iterator[tuple[str, Json, Json]]:
    """Every task of a step: its name, itself, its component."""
    dags = [ir["root"]["dag"], *(c["dag"] for c in ir["components"].values() if "dag" in c)]
    for dag in dags:
        for name, task in dag["tasks"].items():
            component = ir["components"][task["componentRef"]["name"]]
            if "executorLabel" in component:
                yield name, task, component


def ids_of(task: Json) -> list[str]:
    given = task.get("inputs", {}).get("parameters", {}).values()
    return [v["runtimeValue"]["constant"] for v in given if "runtimeValue" in v]


@every_pipeline
def test_only_steps_that_depend_on_nothing_else_are_cached(name: str) -> None:
    ir, _ = read(name)
    cached = {step for step, task, _ in tasks(ir) if task["cachingOptions"].get("enableCache")}
    assert cached == {s.command for s in steps().values() if s.cacheable}


def test_what_may_depend_on_the_gpu_that_it_ran_on_is_not_cached() -> None:
    """Which one that was is none of its inputs, and a plan for another one does not load."""
    assert not {s.command for s in steps().values() if s.cacheable and s.gpu}


@every_pipeline
def test_a_client_that_turns_caching_on_reaches_only_the_guard_which_no_other_run_shares(
    name: str,
) -> None:
    """`enable_caching=True` sets it for the tasks of the root: the exit handler's DAG, and the guard."""
    ir, _ = read(name)
    roots = ir["root"]["dag"]["tasks"]
    steps_there = {
        n: t for n, t in roots.items()
        if "executorLabel" in ir["components"][t["componentRef"]["name"]]
    }  # fmt: skip
    assert set(steps_there) == {"guard"}
    assert "{{$.pipeline_job_uuid}}" in ids_of(steps_there["guard"])


@every_pipeline
def test_every_step_that_writes_to_the_cluster_carries_the_id_of_its_run(name: str) -> None:
    ir, _ = read(name)
    writing = {s.command for s in steps().values() if "writes the Inf" in s.touches}
    seen = {step: ids_of(task) for step, task, _ in tasks(ir) if step in writing}
    assert set(seen) == writing - {"sweep"}
    assert all("{{$.pipeline_job_uuid}}" in ids for ids in seen.values())


@every_pipeline
def test_whatever_a_task_is_given_is_an_input_of_the_dag_that_it_is_in(name: str) -> None:
    """kfp compiles a reference to an input that its DAG does not have, and every run then fails."""
    ir, _ = read(name)
    for holder in (ir["root"], *(c for c in ir["components"].values() if "dag" in c)):
        declared = holder.get("inputDefinitions", {})
        known = {*declared.get("parameters", {}), *declared.get("artifacts", {})}
        for task, given in holder["dag"]["tasks"].items():
            inputs = given.get("inputs", {})
            for one in (
                *inputs.get("parameters", {}).values(),
                *inputs.get("artifacts", {}).values(),
            ):
                asked = one.get("componentInputParameter") or one.get("componentInputArtifact")
                assert asked is None or asked in known, f"{task}: {asked}"


@every_pipeline
def test_images_and_the_gpu_are_chosen_when_the_run_starts(name: str) -> None:
    ir, _ = read(name)
    inputs = ir["root"]["inputDefinitions"]["parameters"]
    for label, executor in ir["deploymentSpec"]["executors"].items():
        found = re.search(r"pipelinechannel--(\w+_image)", executor["container"]["image"])
        assert found, label
        assert found[1] in inputs
    accelerators = {
        label: executor["container"]["resources"]["accelerator"]
        for label, executor in ir["deploymentSpec"]["executors"].items()
        if "resources" in executor["container"]
    }
    drawn = {step for step, _, _ in tasks(ir)}
    on_gpu = {f"exec-{s.command}" for s in steps().values() if s.gpu and s.command in drawn}
    assert set(accelerators) == on_gpu
    assert all("gpu_resource" in one["resourceType"] for one in accelerators.values())
    assert inputs["gpu_count"]["defaultValue"] == "0"


@every_pipeline
def test_secrets_come_by_secret_and_never_by_parameter(name: str) -> None:
    ir, platform = read(name)
    inputs = ir["root"]["inputDefinitions"]["parameters"]
    assert not [one for one in inputs if re.search("token|password|secret|key", one)]
    for label, executor in platform.items():
        (secret,) = executor["secretAsEnv"]
        assert secret["optional"] is True, label
        names = {one["envVar"] for one in secret["keyToEnv"]}
        assert {"MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY"} <= names
        plain = {one["envVar"] for one in executor["configMapAsEnv"][0]["keyToEnv"]}
        assert not plain & names


@every_pipeline
def test_conditions_compare_nothing_but_a_word_of_our_own(name: str) -> None:
    """kfp's local runner evaluates them from text, so free text in one would be code."""
    ir, _ = read(name)
    dags = [ir["root"]["dag"], *(c["dag"] for c in ir["components"].values() if "dag" in c)]
    conditions = {
        task["triggerPolicy"]["condition"]
        for dag in dags
        for task in dag["tasks"].values()
        if "condition" in task.get("triggerPolicy", {})
    }
    channels = {re.search(r"\['pipelinechannel--([\w-]+)'\]", one)[1] for one in conditions}  # type: ignore[index]
    assert channels == {"await-approval-verdict", *({"due"} if "scheduled" in name else ())}


@every_pipeline
def test_what_a_condition_compares_is_an_input_of_the_dag_that_it_is_in(name: str) -> None:
    """kfp's local runner (2.17) does not find an output of a task beside it, and skips the branch."""
    ir, _ = read(name)
    dags = [ir["root"]["dag"], *(c["dag"] for c in ir["components"].values() if "dag" in c)]
    tasks = [task for dag in dags for task in dag["tasks"].values()]
    for task in tasks:
        for channel in re.findall(
            r"\['(\S+)'\]", task.get("triggerPolicy", {}).get("condition", "")
        ):
            assert "componentInputParameter" in task["inputs"]["parameters"][channel], channel


@every_pipeline
def test_the_ui_shows_the_page_and_the_numbers(name: str) -> None:
    ir, _ = read(name)
    titles = {
        f"{step}.{port}": definition["artifactType"]["schemaTitle"]
        for step, _, component in tasks(ir)
        for port, definition in component.get("outputDefinitions", {}).get("artifacts", {}).items()
    }
    assert titles["report.page"] == titles["guard.page"] == "system.HTML"
    assert titles["report.report_metrics"] == titles["gate.metrics"] == "system.Metrics"


@every_pipeline
def test_every_box_in_the_ui_has_a_name_that_somebody_chose(name: str) -> None:
    ir, _ = read(name)
    dags = [ir["root"]["dag"], *(c["dag"] for c in ir["components"].values() if "dag" in c)]
    shown = [task["taskInfo"]["name"] for dag in dags for task in dag["tasks"].values()]
    words = {"release", "verdict", "passed", "otherwise"}
    words |= {"release if due", "new"} if "scheduled" in name else set()
    assert set(shown) == words | {step for step, _, _ in tasks(ir)}
    assert len(shown) == len(set(shown))
    assert ir["pipelineInfo"]["displayName"] == f"tidegate {name.replace('_', ' ')}"


@every_pipeline
def test_nothing_may_be_none_and_only_the_user_must_choose(name: str) -> None:
    ir, _ = read(name)
    inputs = ir["root"]["inputDefinitions"]["parameters"]
    required = {one for one, definition in inputs.items() if "defaultValue" not in definition}
    wanted = {"policy"} | ({"trainer_image", "train_command"} if "scheduled" in name else set())
    assert required == wanted
