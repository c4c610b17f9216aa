"""The command line as a user types it."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "mlflow",
    "kfp",
    "kserve",
    "onnx",
    "onnxruntime",
    "kubernetes",
    "numpy",
    "scipy",
    "sklearn",
    "hera",
)


def tidegate(
    *arguments: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tidegate", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=env,
    )


def test_help_names_every_step_and_loads_nothing_heavy() -> None:
    probe = (
        "import sys; sys.argv = ['tidegate', '--help']\n"
        "import tidegate.cli as cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    for word in ("release", "sandbox", "resolve", "load-test", "roll-back", "guard"):
        assert word in done.stdout


def test_a_step_is_a_command_with_its_own_options() -> None:
    done = tidegate("promote", "--help")
    for option in ("--verdict-document", "--deployment", "--release-id", "--outcome-document"):
        assert option in done.stdout


def test_a_policy_with_a_typo_is_one_line_and_exit_3(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("name: digits\nmodel: {uri: 'models:/digits/1'}\ntrafic: {steps: [100]}\n")
    done = tidegate("validate", str(path))
    assert done.returncode == 3
    assert done.stderr.strip().splitlines() == [
        f"tidegate: {path}: trafic: no such field; remove it or correct its spelling"
    ]


def test_validate_prints_the_effective_policy(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("name: digits\nmodel: {uri: 'models:/digits/1'}\n")
    done = tidegate("validate", str(path))
    assert done.returncode == 0
    assert '"steps"' in done.stdout


def test_a_release_without_endpoints_says_what_to_set(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("name: digits\nmodel: {uri: 'models:/digits/1'}\n")
    done = tidegate("release", str(path), env={"PATH": "/usr/bin"})
    assert done.returncode == 2
    assert "MLFLOW_TRACKING_URI is not set" in done.stderr
    assert "sandbox up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("where", ["python3", "x"])
def test_a_runs_folder_that_cannot_work_is_refused(tmp_path: Path, where: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("name: digits\nmodel: {uri: 'models:/digits/1'}\n")
    runs = tmp_path / where
    if where == "x":
        runs.write_text("a file")
    endpoints = {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "TIDEGATE_PROMETHEUS_URL": "http://127.0.0.1:1",
        "TIDEGATE_STORAGE_URI": "file:///tmp",
        "KUBECONFIG": "/dev/null",
        "PATH": "/usr/bin",
    }
    runner = "kfp" if where == "python3" else "in-process"  # whose local runner rewrites that text
    given = ("--runs", str(runs), "--runner", runner)
    done = tidegate("release", str(policy), *given, env=endpoints)
    assert done.returncode == 2
    assert "--runs" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_training_says_which_version_is_released_and_nobody_else(tmp_path: Path) -> None:
    done = tidegate("release", "policy.yaml", "--train", "true", "--model-uri", "models:/a/1")
    assert done.returncode == 2
    assert "leave out --model-uri" in done.stderr


def test_an_unknown_option_is_exit_2_without_a_traceback() -> None:
    done = tidegate("release", "--polcy", "x")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
