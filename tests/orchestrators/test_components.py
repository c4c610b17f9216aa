"""Each component: what it declares is the step's signature, and it runs alone in somebody's pipeline."""

import os
import re
import runpy
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kfp import compiler, components, dsl

from tests.orchestrators.alone import COMPONENTS, ROOT, run_alone
from tests.steps.traffic.traffic_cluster import policy
from tidegate.adapters.files import read_any, write
from tidegate.adapters.trees import digest_of, files_of
from tidegate.documents import ModelRepository, Published, Subject
from tidegate.orchestrators.components import ARTIFACTS, component
from tidegate.orchestrators.surroundings import IN_CONFIG_MAP
from tidegate.steps.registry import Parameter, Step, steps

every_step = pytest.mark.parametrize("step", steps().values(), ids=lambda step: step.command)
SUBJECT = Subject(model="digits", version="3", digest="sha256:" + "a" * 64)


def loaded(step: Step) -> Any:
    return components.load_component_from_file(str(COMPONENTS / step.command / "component.yaml"))


def test_there_is_a_folder_for_each_step_and_no_other() -> None:
    assert {path.name for path in COMPONENTS.iterdir()} == {s.command for s in steps().values()}


@every_step
def test_a_component_loads_and_declares_the_signature_of_its_step(step: Step) -> None:
    spec = loaded(step).component_spec
    ins = {p.name for p in step.parameters if p not in step.ports("out")}
    outs = {*step.results, *(port.name for port in step.ports("out"))}
    assert (set(spec.inputs or {}), set(spec.outputs or {})) == (ins, outs)
    required = {p.name for p in step.parameters if p.required} & ins
    assert {name for name, one in (spec.inputs or {}).items() if not one.optional} == required


@every_step
def test_what_may_be_left_out_is_empty_and_never_none(step: Step) -> None:
    """kfp's local runner cannot pass None."""
    spec = loaded(step).component_spec
    optional = [one for one in (spec.inputs or {}).values() if one.optional]
    assert all(one.default is not None for one in optional)


@every_step
def test_a_component_with_side_effects_is_not_cached(step: Step) -> None:
    document = yaml.safe_load((COMPONENTS / step.command / "component.yaml").read_text())
    task = document["root"]["dag"]["tasks"][step.command]
    assert task["cachingOptions"] == ({"enableCache": True} if step.cacheable else {})


@every_step
def test_its_page_names_every_port_and_what_it_may_do(step: Step) -> None:
    page = (COMPONENTS / step.command / "README.md").read_text()
    for parameter in step.parameters:
        assert f"| {parameter.name} |" in page
    assert step.touches in page
    rights = yaml.safe_load((ROOT / "deploy/rbac/verbs.yaml").read_text()).get(step.command, [])
    for rule in rights:
        assert rule["resource"] in page
    assert ("asks nothing of the Kubernetes API" in page) == (not rights)


@every_step
def test_the_example_on_its_page_compiles_in_somebodys_pipeline(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (COMPONENTS / step.command / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    (tmp_path / "example.py").write_text(example)
    monkeypatch.chdir(COMPONENTS / step.command)

    def somebodys() -> None:
        files = {port.name: imported(port).output for port in step.ports("in")}
        given = {"earlier": SimpleNamespace(outputs=files)}
        runpy.run_path(str(tmp_path / "example.py"), init_globals=given)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiler.Compiler().compile(dsl.pipeline(somebodys), str(tmp_path / "compiled.yaml"))
    ir, platform = yaml.safe_load_all((tmp_path / "compiled.yaml").read_text())
    assert step.command in ir["root"]["dag"]["tasks"]
    (executor,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert len(executor["configMapAsEnv"][0]["keyToEnv"]) == len(IN_CONFIG_MAP)


def imported(port: Parameter) -> dsl.PipelineTask:
    assert port.port
    return dsl.importer(f"s3://theirs/{port.name}", ARTIFACTS[port.port.content])


def test_two_compilations_are_the_same(tmp_path: Path) -> None:
    drawn = runpy.run_path(str(ROOT / "pipelines" / "release.py"))["release"]
    for number, function in enumerate((drawn, component(steps()["gate"]))):
        texts = []
        for attempt in (1, 2):
            path = tmp_path / f"{number}-{attempt}.yaml"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compiler.Compiler().compile(function, str(path))
            texts.append(path.read_bytes())
        assert texts[0] == texts[1]


def test_conclude_runs_alone_and_a_quote_arrives_as_it_is(tmp_path: Path) -> None:
    """Conditions are evaluated from text by kfp's local runner, so free text must stay out of them."""
    write(tmp_path / "policy", policy(on_reject="fail"))
    given = {"outcome": "PROMOTED", "reason": "it's a \"PASS\" or 'a' == 'a'"}
    done = run_alone("conclude", tmp_path, given, {"policy_document": str(tmp_path / "policy")})
    assert done.code == 0, done.said
    red = run_alone(
        "conclude", tmp_path, given | {"outcome": "REJECTED"},
        {"policy_document": str(tmp_path / "policy")},
    )  # fmt: skip
    assert red.code != 0
    assert red.error == "NotPromotedError: REJECTED: it's a \"PASS\" or 'a' == 'a'"


def test_publish_runs_alone_on_a_folder_of_somebody_elses(tmp_path: Path) -> None:
    tree = tmp_path / "repository" / "digits" / "3"
    tree.mkdir(parents=True)
    (tree / "model.onnx").write_bytes(b"a graph")
    repository = ModelRepository(
        subject=SUBJECT, triton_model="digits", triton_version="2.51", model_version="3",
        backend="onnxruntime", max_batch_size=8, inputs=(), outputs=(),
        digest=digest_of(files_of(tmp_path / "repository")),
    )  # fmt: skip
    write(tmp_path / "document", repository)
    write(tmp_path / "policy", policy())
    files = {
        "repository_document": str(tmp_path / "document"),
        "repository": str(tmp_path / "repository"),
        "policy_document": str(tmp_path / "policy"),
    }
    environment = os.environ | {"TIDEGATE_STORAGE_URI": f"file://{tmp_path}/store"}
    done = run_alone("publish", tmp_path, {}, files, environment)
    assert done.code == 0, done.said
    document = read_any(Path(done.files["published"]))
    assert isinstance(document, Published)
    assert done.parameters["storage_uri"] == document.storage_uri
    assert list((tmp_path / "store").rglob("model.onnx"))


def test_the_interpreters_name_in_a_parameter_is_rewritten_by_kfps_local_runner(
    tmp_path: Path,
) -> None:
    """If this fails, kfp has mended it: then `tidegate release` may stop refusing such a path."""
    write(tmp_path / "policy", policy())
    given = {"outcome": "REJECTED", "reason": "a model called python3-thing"}
    red = run_alone("conclude", tmp_path, given, {"policy_document": str(tmp_path / "policy")})
    assert red.error.startswith("NotPromotedError: REJECTED: a model called ")
    assert red.error.endswith("/python-thing")
