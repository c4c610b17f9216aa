"""The example trainer on a real MLflow: registers what is better, once, and what a release can take."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.sandbox.mlflow_server import MlflowServer
from tidegate.steps.execution import execute
from tidegate.steps.registry import steps

pytestmark = pytest.mark.real

TRAINING = Path(__file__).parents[2] / "examples" / "training"
# One process for the whole story: importing MLflow and scikit-learn is what takes time.
STORY = """
import dataclasses, json, sys, warnings
warnings.simplefilter("ignore")
import mlflow, trainer
told = []
def step(**given):
    told.append(dataclasses.asdict(trainer.retrain("digits", **given)))
step(rows=300)
step(rows=300)
mlflow.MlflowClient().set_registered_model_alias("digits", "champion", "1")
step(rows=120)
step(rows=1200)
told.append([v.version for v in mlflow.MlflowClient().search_model_versions("name = 'digits'")])
print(json.dumps(told))
"""
COMPONENT = """
import sys, pipeline
from kfp import local
local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1])
done = pipeline.train(model="from-kfp", rows=200)
with open(sys.argv[2], "w") as file:
    file.write(done.outputs["model_uri"])
"""

BRANCH = """
import sys, pipeline
from kfp import local
local.init(
    runner=local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1]
)
try:
    pipeline.release_if_new(policy="base64:bm9uZQ==", model_uri=sys.argv[2])
except RuntimeError as error:
    print("resolve was run and refused" if "resolve" in str(error) else error)
else:
    print("nothing was run")
"""


@pytest.fixture(scope="module")
def mlflow_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    try:
        server.start()
        yield server.url
    finally:
        server.close()


def python(url: str, code: str, *arguments: str) -> str:
    environment = os.environ | {"MLFLOW_TRACKING_URI": url, "PYTHONPATH": str(TRAINING)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        capture_output=True, text=True, env=environment, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def story(mlflow_url: str) -> list[Any]:
    told: list[Any] = json.loads(python(mlflow_url, STORY).splitlines()[-1])
    return told


def test_a_first_model_is_registered_and_the_same_rows_again_make_no_second_version(
    story: list[Any],
) -> None:
    first, again, *_, versions = story
    assert first["model_uri"] == again["model_uri"] == "models:/digits/1"
    assert first["accuracy"] > 0.85
    assert again["why"] == "version 1 was trained on the same rows"
    assert sorted(versions) == ["1", "2"]


def test_a_model_that_does_not_beat_production_is_not_registered(story: list[Any]) -> None:
    worse = story[2]
    assert worse["model_uri"] == ""
    assert worse["accuracy"] < story[0]["accuracy"]
    assert "does not beat champion's" in worse["why"]


def test_a_better_model_becomes_the_next_version(story: list[Any]) -> None:
    assert story[3]["model_uri"] == "models:/digits/2"
    assert story[3]["accuracy"] > story[0]["accuracy"]


@pytest.mark.usefixtures("story")
def test_what_it_registers_passes_the_first_steps_of_a_release(
    mlflow_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_url)
    (tmp_path / "policy.yaml").write_text("name: digits\nmodel: {uri: models:/digits/2}\n")
    given = {"policy": str(tmp_path / "policy.yaml"), "release_id": "r"}
    for name in ("resolve", "fetch", "optimize"):
        step = steps()[name]
        ports = {p.name: tmp_path / p.name for p in step.parameters if p.port}
        wanted = {p.name for p in step.parameters}
        execute(step, ports | {k: v for k, v in given.items() if k in wanted})
    optimized = json.loads((tmp_path / "optimized").read_text())
    assert optimized["parity"]["word"] == "PASS"


def test_the_component_registers_a_model_when_kubeflow_runs_it(
    mlflow_url: str, tmp_path: Path
) -> None:
    python(mlflow_url, COMPONENT, str(tmp_path / "root"), str(tmp_path / "uri"))
    assert (tmp_path / "uri").read_text() == "models:/from-kfp/1"


def test_the_pipeline_trains_first_and_releases_only_what_is_new(tmp_path: Path) -> None:
    import yaml

    code = "import sys, pipeline; from kfp import compiler; "
    code += "compiler.Compiler().compile(pipeline.train_and_release, sys.argv[1])"
    python("http://127.0.0.1:1", code, str(tmp_path / "compiled.yaml"))
    document = next(yaml.safe_load_all((tmp_path / "compiled.yaml").read_text()))
    after = document["root"]["dag"]["tasks"]["release-if-new"]
    assert set(document["root"]["dag"]["tasks"]) == {"train", "release-if-new"}
    assert after["dependentTasks"] == ["train"]
    (branch,) = document["components"]["comp-release-if-new"]["dag"]["tasks"].values()
    assert branch["triggerPolicy"]["condition"].endswith("model_uri'] != ''")
    (compared,) = re.findall(r"\['(\S+)'\]", branch["triggerPolicy"]["condition"])
    assert "componentInputParameter" in branch["inputs"]["parameters"][compared]


def test_kfps_local_runner_goes_on_to_the_release_or_has_nothing_to_do(tmp_path: Path) -> None:
    """A policy that is none ends the release: without the branch nobody would have read it."""
    for uri, ends in (("", "nothing was run"), ("models:/digits/1", "resolve was run and refused")):
        assert python("http://127.0.0.1:1", BRANCH, str(tmp_path), uri).splitlines()[-1] == ends
