"""The Kubeflow pipeline and the Argo workflow are one release: read from what was compiled, and compared."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
RUN_ID = "the run's id"


@dataclass(frozen=True)
class Task:
    """One step of a drawing, in words that neither orchestrator owns."""

    inputs: tuple[
        tuple[str, str], ...
    ]  # port or scalar -> step.output, run parameter, or the run's id
    outputs: frozenset[str]
    after: frozenset[str]
    only_if: str
    image: str
    gpu: str
    environment: frozenset[str]
    labels: tuple[tuple[str, str], ...]


# -- Kubeflow


class Kubeflow:
    """The compiled IR."""

    def __init__(self, path: Path) -> None:
        self.ir, self.platform = yaml.safe_load_all(path.read_text())
        self.parameters = self.ir["root"]["inputDefinitions"]["parameters"]
        self.tasks: dict[str, Task] = {}
        self.exit_task = ""
        self._walk(self.ir["root"]["dag"], {}, "", frozenset())

    def _walk(self, dag: Json, bound: dict[str, str], only_if: str, after: frozenset[str]) -> None:
        """Down into the DAGs; `bound` is what each input of this one is in words."""
        for name, task in dag["tasks"].items():
            if "triggerPolicy" in task and "strategy" in task["triggerPolicy"]:
                self.exit_task = name
            component = self.ir["components"][task["componentRef"]["name"]]
            given = dict(self._given(task, bound, dag))
            condition = task.get("triggerPolicy", {}).get("condition", "")
            inner = self._condition(condition, given) if condition else only_if
            waits = frozenset(self._waits(task, given))
            if "dag" in component:
                inside = dict(given)
                self._walk(component["dag"], inside, inner, after | waits)
            else:
                self.tasks[name] = self._task(name, task, component, given, inner, after | waits)

    def _given(self, task: Json, bound: dict[str, str], dag: Json) -> Iterator[tuple[str, str]]:
        inputs = task.get("inputs", {})
        for key, value in inputs.get("parameters", {}).items():
            yield key, self._parameter(value, bound, dag)
        for key, value in inputs.get("artifacts", {}).items():
            yield key, self._artifact(value, bound)

    def _parameter(self, value: Json, bound: dict[str, str], dag: Json) -> str:
        if "componentInputParameter" in value:
            name = value["componentInputParameter"]
            return bound.get(name, f"run.{name}")
        if "taskOutputParameter" in value:
            made = value["taskOutputParameter"]
            return self._resolved(made["producerTask"], made["outputParameterKey"], dag)
        if "runtimeValue" in value:
            constant = str(value["runtimeValue"]["constant"])
            return RUN_ID if constant == "{{$.pipeline_job_uuid}}" else f"'{constant}'"
        return "the final status"

    def _artifact(self, value: Json, bound: dict[str, str]) -> str:
        if "componentInputArtifact" in value:
            return bound[value["componentInputArtifact"]]
        made = value["taskOutputArtifact"]
        return f"{made['producerTask']}.{made['outputArtifactKey']}"

    def _resolved(self, producer: str, key: str, dag: Json) -> str:
        """An output of a step, or of the branches, which is one of two."""
        component = self.ir["components"][dag["tasks"][producer]["componentRef"]["name"]]
        if "dag" not in component:
            return f"{producer}.{key}"
        made = component["dag"]["outputs"]["parameters"][key]
        if "valueFromParameter" in made:
            one = made["valueFromParameter"]
            return self._resolved(
                one["producerSubtask"], one["outputParameterKey"], component["dag"]
            )
        chosen = made["valueFromOneof"]["parameterSelectors"]
        return " or ".join(
            self._resolved(one["producerSubtask"], one["outputParameterKey"], component["dag"])
            for one in chosen
        )

    def _condition(self, text: str, given: dict[str, str]) -> str:
        found = re.search(r"parameter_values\['([^']+)'\] == '(\w+)'", text)
        assert found, text
        negated = text.startswith("!")
        return f"{given[found[1]]} {'!=' if negated else '=='} {found[2]}"

    def _waits(self, task: Json, given: dict[str, str]) -> Iterator[str]:
        for name in task.get("dependentTasks", []):
            component = self.ir["components"].get(f"comp-{name}", {})
            if "dag" not in component:
                yield name
        for value in given.values():
            yield from (one.partition(".")[0] for one in value.split(" or ") if _is_output(one))

    def _task(
        self,
        name: str,
        task: Json,
        component: Json,
        given: dict[str, str],
        only_if: str,
        after: frozenset[str],
    ) -> Task:
        label = component["executorLabel"]
        container = self.ir["deploymentSpec"]["executors"][label]["container"]
        platform = self.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"][label]
        declared = component.get("outputDefinitions", {})
        step = _step_inputs(component.get("inputDefinitions", {}), given)
        accelerator = container.get("resources", {}).get("accelerator", {})
        return Task(
            inputs=step,
            outputs=frozenset({*declared.get("parameters", {}), *declared.get("artifacts", {})}),
            after=_steps(after),
            only_if=only_if,
            image=_run_parameter(container["image"]),
            gpu=" x ".join(
                _run_parameter(accelerator[key])
                for key in ("resourceType", "resourceCount")
                if accelerator
            ),
            environment=frozenset(
                f"{kind} {one[key]}"
                for kind, key in (
                    ("secretAsEnv", "secretName"),
                    ("configMapAsEnv", "configMapName"),
                )
                for one in [_named(entry, key) for entry in platform[kind]]
            ),
            labels=tuple(sorted(platform["podMetadata"]["labels"].items())),
        )


def _named(entry: Json, key: str) -> Json:
    """kfp writes the name plainly, or as a parameter."""
    if key in entry:
        return entry
    return {key: entry[key.replace("Name", "NameParameter")]["runtimeValue"]["constant"]}


def _run_parameter(text: str) -> str:
    found = re.search(r"(?:pipelinechannel--|workflow\.parameters\.)(\w+)", text)
    assert found, text
    return found[1]


def _step_inputs(declared: Json, given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """What the step itself takes, without what kfp hands down for conditions and images."""
    names = {*declared.get("parameters", {}), *declared.get("artifacts", {})}
    return tuple(sorted((name, given[name]) for name in names & set(given)))


def _is_output(text: str) -> bool:
    return "." in text and not text.startswith(("run.", "'"))


def _steps(names: frozenset[str]) -> frozenset[str]:
    return frozenset(name for name in names if name)


# -- Argo


class Argo:
    """The compiled WorkflowTemplate."""

    def __init__(self, path: Path) -> None:
        self.spec = yaml.safe_load(path.read_text())["spec"]
        self.templates: dict[str, Json] = {t["name"]: t for t in self.spec["templates"]}
        self.parameters = {p["name"]: p for p in self.spec["arguments"]["parameters"]}
        self.tasks: dict[str, Task] = {}
        bound = {f"inputs.parameters.{name}": f"run.{name}" for name in self.parameters}
        self._walk(self.spec["entrypoint"], bound, "", frozenset())
        before = set(self.tasks)
        self._walk(self.spec["onExit"], {}, "", frozenset())
        (self.exit_task,) = set(self.tasks) - before

    def _walk(self, name: str, bound: dict[str, str], only_if: str, after: frozenset[str]) -> None:
        made: dict[str, str] = {}
        for task in self.templates[name]["dag"]["tasks"]:
            template = self.templates[task["template"]]
            given = {k: self._said(v, bound | made) for k, v in _arguments(task)}
            waits = after | frozenset(re.findall(r"[a-zA-Z][-\w]*", task.get("depends", "")))
            inner = self._when(task["when"], bound | made) if "when" in task else only_if
            if "dag" in template:
                inside = {f"inputs.{_kind(template, k)}.{k}": v for k, v in given.items()}
                self._walk(task["template"], inside, inner, waits)
                made |= dict(self._chosen(task["name"], template, inside))
            elif "container" in template:
                self.tasks[task["name"]] = self._task(template, given, inner, waits)
                made |= _outputs(task["name"], template)

    def _said(self, text: str, scope: dict[str, str]) -> str:
        found = re.fullmatch(r"\{\{(.+)\}\}", text)
        assert found, text
        if found[1] == "workflow.uid":
            return RUN_ID
        if found[1].startswith("workflow.parameters."):
            return f"run.{_run_parameter(text)}"
        return scope[found[1]]

    def _when(self, text: str, scope: dict[str, str]) -> str:
        return re.sub(r"\{\{.+?\}\}", lambda found: self._said(found[0], scope), text)

    def _chosen(
        self, task: str, template: Json, inside: dict[str, str]
    ) -> Iterator[tuple[str, str]]:
        """An output that a branch chooses is one of two."""
        for parameter in template.get("outputs", {}).get("parameters", []):
            _, _, values = parameter["valueFrom"]["expression"].partition(" ? ")
            said = [
                re.sub(r"^tasks(\.|\[')([-\w]+)('\])?\.outputs\.parameters\.", r"\2.", one)
                for one in values.split(" : ")
            ]
            yield f"tasks.{task}.outputs.parameters.{parameter['name']}", " or ".join(said)

    def _task(
        self, template: Json, given: dict[str, str], only_if: str, after: frozenset[str]
    ) -> Task:
        outputs = template.get("outputs", {})
        container = template["container"]
        patch = json.loads(template["podSpecPatch"]) if "podSpecPatch" in template else None
        limits = patch["containers"][0]["resources"]["limits"] if patch else {}
        return Task(
            inputs=tuple(sorted(given.items())),
            outputs=frozenset(
                one["name"] for kind in ("parameters", "artifacts") for one in outputs.get(kind, [])
            ),
            after=frozenset(after),
            only_if=only_if,
            image=_run_parameter(container["image"]),
            gpu=" x ".join(_run_parameter(one) for pair in limits.items() for one in pair),
            environment=frozenset(
                f"{name} {one[key]['name']}"
                for one in container["envFrom"]
                for key, name in (("secretRef", "secretAsEnv"), ("configMapRef", "configMapAsEnv"))
                if key in one
            ),
            labels=tuple(sorted(template["metadata"]["labels"].items())),
        )


def _arguments(task: Json) -> Iterator[tuple[str, str]]:
    given = task.get("arguments", {})
    yield from ((p["name"], p["value"]) for p in given.get("parameters", []))
    yield from ((a["name"], a["from"]) for a in given.get("artifacts", []))


def _kind(template: Json, name: str) -> str:
    names = {a["name"] for a in template["inputs"].get("artifacts", [])}
    return "artifacts" if name in names else "parameters"


def _outputs(task: str, template: Json) -> dict[str, str]:
    outputs = template.get("outputs", {})
    return {
        f"tasks.{task}.outputs.{kind}.{one['name']}": f"{task}.{one['name']}"
        for kind in ("parameters", "artifacts")
        for one in outputs.get(kind, [])
    }


# -- both

# A suspended workflow is asked, and what it was told is given to the step that waits under Kubeflow.
ASKED = "decision"


PAIRS = {"release": "release", "scheduled_release": "scheduled-release"}


@pytest.fixture(scope="module", params=PAIRS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def kubeflow(name: str) -> Kubeflow:
    return Kubeflow(ROOT / "pipelines" / f"{name}.yaml")


@pytest.fixture(scope="module")
def argo(name: str) -> Argo:
    return Argo(ROOT / "workflows" / f"{PAIRS[name]}.yaml")


def inputs(task: Task) -> dict[str, str]:
    return {name: source for name, source in task.inputs if name != ASKED}


def reached(name: str, tasks: dict[str, Task]) -> set[str]:
    """Every step that has ended before this one begins."""
    found: set[str] = set()
    open_ = [name]
    while open_:
        for before in tasks[open_.pop()].after & set(tasks):
            if before not in found:
                found.add(before)
                open_.append(before)
    return found


def test_both_have_the_same_steps_and_the_same_guard(kubeflow: Kubeflow, argo: Argo) -> None:
    assert set(kubeflow.tasks) == set(argo.tasks)
    assert kubeflow.exit_task == argo.exit_task == "guard"
    assert len(kubeflow.tasks) in {14, 16}


@pytest.mark.parametrize("what", ["outputs", "image", "gpu", "environment", "labels", "only_if"])
def test_each_step_is_the_same_in_both(kubeflow: Kubeflow, argo: Argo, what: str) -> None:
    ours = {name: getattr(task, what) for name, task in kubeflow.tasks.items()}
    assert ours == {name: getattr(task, what) for name, task in argo.tasks.items()}
    assert any(ours.values())


def test_each_step_is_given_the_same_by_the_same(kubeflow: Kubeflow, argo: Argo) -> None:
    ours = {name: inputs(task) for name, task in kubeflow.tasks.items()}
    assert ours == {name: inputs(task) for name, task in argo.tasks.items()}
    assert ours["report"]["outcome"] == "promote.outcome or roll-back.outcome"
    assert ours["deploy"]["release_id"] == RUN_ID


def test_both_go_the_same_way_on_the_same_word(kubeflow: Kubeflow, argo: Argo, name: str) -> None:
    due = "trigger.due == YES" if name == "scheduled_release" else ""
    for drawing in (kubeflow, argo):
        conditions = {one: task.only_if for one, task in drawing.tasks.items()}
        assert conditions.pop("promote") == "await-approval.verdict == PASS"
        assert conditions.pop("roll-back") == "await-approval.verdict != PASS"
        always = {one for one, condition in conditions.items() if not condition}
        assert {conditions[one] for one in ("resolve", "deploy", "report", "conclude")} == {due}
        assert always == ({"train", "trigger", "guard"} if due else set(conditions))


def test_no_step_begins_before_the_same_ones_have_ended(
    kubeflow: Kubeflow, argo: Argo, name: str
) -> None:
    order = ["resolve", "fetch", "optimize", "configure", "publish", "deploy", "load-test", "gate"]
    order = ["train", "trigger", *order] if name == "scheduled_release" else order
    for drawing in (kubeflow, argo):
        for number, one in enumerate(order):
            assert set(order[:number]) <= reached(one, drawing.tasks)
        assert {*order, "await-approval"} <= reached("promote", drawing.tasks)
        assert {*order, "await-approval"} <= reached("roll-back", drawing.tasks)
        assert "report" in reached("conclude", drawing.tasks)
        assert not drawing.tasks["guard"].after


def test_only_argo_asks_by_suspending(kubeflow: Kubeflow, argo: Argo) -> None:
    assert ASKED not in dict(kubeflow.tasks["await-approval"].inputs)
    assert ASKED in dict(argo.tasks["await-approval"].inputs)


def test_a_run_is_given_the_same(kubeflow: Kubeflow, argo: Argo) -> None:
    assert set(kubeflow.parameters) == set(argo.parameters) - {"queue"}
    for name, declared in kubeflow.parameters.items():
        assert declared.get("defaultValue") == argo.parameters[name].get("value")
