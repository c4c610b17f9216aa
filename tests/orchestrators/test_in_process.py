"""`tidegate release` in one process, where it ends early: nothing but the embedded API is there."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tidegate.orchestrators.in_process import arguments
from tidegate.sandbox.api.server import ApiServer
from tidegate.steps.registry import steps

NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cluster in which there is nothing, by a kubeconfig at the usual place and not by KUBECONFIG."""
    home = tmp_path_factory.mktemp("home")
    api = ApiServer(state_dir=home / ".kube")
    api.start()
    (home / ".kube" / "kubeconfig").rename(home / ".kube" / "config")
    endpoints = {  # an API server is no registry, and says so at once
        "HOME": str(home), "MLFLOW_TRACKING_URI": api.url, "TIDEGATE_PROMETHEUS_URL": NOBODY,
        "TIDEGATE_STORAGE_URI": f"file://{home}/store",
    }  # fmt: skip
    yield {k: v for k, v in os.environ.items() if k != "KUBECONFIG"} | endpoints
    api.stop()


def started(folder: Path, environment: dict[str, str], *more: str) -> "subprocess.Popen[str]":
    policy = folder / "policy.yaml"
    policy.write_text("name: digits\nmodel: {uri: 'models:/digits/1'}\n")
    given = ("release", str(policy), "--runs", str(folder / "runs"), *more)
    return subprocess.Popen(
        [sys.executable, "-m", "tidegate", *given],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def guard_pages(folder: Path) -> list[Path]:
    return list(folder.glob("runs/*/artifacts/tidegate-release/guard/outputs/page"))


def test_each_argument_is_of_the_type_that_the_step_wants() -> None:
    given = ["--release-id=a=b", "--namespace=", "--page=/tmp/--page"]
    wanted = {"release_id": "a=b", "namespace": "", "page": Path("/tmp/--page")}
    assert arguments(steps()["guard"], given) == wanted


def test_a_step_that_fails_ends_the_release_as_it_would_end_alone_and_the_guard_has_run(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with started(tmp_path, environment) as run:
        word, said = run.communicate(timeout=110)
    assert (run.returncode, word.strip()) == (5, "DIED"), said
    assert "resolve: " in said
    assert "MLflow" in said, said
    assert "left nothing in the cluster" in said
    assert len(guard_pages(tmp_path)) == 1


def test_a_training_that_registers_nothing_releases_nothing_and_is_green(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with started(tmp_path, environment, "--train", ': > "$TIDEGATE_MODEL_URI_FILE"') as run:
        word, said = run.communicate(timeout=110)
    assert (run.returncode, word.strip()) == (0, "UNCHANGED"), said
    assert "the training registered nothing new" in said
    assert "resolve" not in said


def test_a_run_that_is_killed_is_followed_by_its_guard(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an MLflow that never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with started(tmp_path, environment | {"MLFLOW_TRACKING_URI": url}) as run:
            silent.settimeout(40)
            asked, _ = silent.accept()
            (steps_process,) = psutil.Process(run.pid).children()
            os.kill(steps_process.pid, signal.SIGKILL)
            word, said = run.communicate(timeout=110)
            asked.close()
    assert (run.returncode, word.strip()) == (137, "DIED"), said
    assert "resolve: the run was killed (SIGKILL)" in said
    assert len(guard_pages(tmp_path)) == 1
