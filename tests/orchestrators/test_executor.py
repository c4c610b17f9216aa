"""The executor protocol: what Kubeflow's launcher gives and what it wants back."""

import json
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters.files import read_any, write
from tidegate.documents import Refusal, Subject, Word
from tidegate.orchestrators.executor import main

SUBJECT = Subject(model="digits", version="3", digest="sha256:" + "a" * 64)


def executor_input(root: Path, *, scheme: str = "") -> dict[str, Any]:
    """As the launcher writes it, for `publish`, whose input is a refusal."""

    def artifact(name: str) -> dict[str, Any]:
        return {"artifacts": [{"name": name, "uri": f"{scheme}{root / name}", "metadata": {}}]}

    return {
        "inputs": {
            "parameterValues": {},
            "artifacts": {
                n: artifact(n) for n in ("repository_document", "repository", "policy_document")
            },
        },
        "outputs": {
            "parameters": {"verdict": {"outputFile": str(root / "verdict")}},
            "artifacts": {"published": artifact("published")},
            "outputFile": str(root / "deep" / "executor_output.json"),
        },
    }


@pytest.fixture
def refused(tmp_path: Path) -> Path:
    refusal = Refusal(subject=SUBJECT, step="optimize", word=Word.FAIL, reason="no 'good' python3")
    write(tmp_path / "repository_document", refusal)
    return tmp_path


def test_parameters_and_artifacts_come_back_in_executor_output(refused: Path) -> None:
    given = executor_input(refused)
    assert main(["publish", "--protocol", "x", "--executor_input", json.dumps(given)]) == 0
    output = json.loads((refused / "deep" / "executor_output.json").read_text())
    assert output["parameterValues"]["verdict"] == "FAIL"
    assert output["artifacts"]["published"]["artifacts"][0]["uri"] == str(refused / "published")
    assert read_any(refused / "published").kind == "Refusal"


def test_a_custom_path_wins_over_the_uri(refused: Path) -> None:
    given = executor_input(refused, scheme="s3://bucket")
    for side in ("inputs", "outputs"):
        for name, entry in given[side]["artifacts"].items():
            entry["artifacts"][0]["customPath"] = str(refused / name)
    assert main(["publish", "--executor_input", json.dumps(given)]) == 0
    assert (refused / "published").is_file()


def test_an_error_ends_in_one_line_with_its_class_and_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = executor_input(tmp_path)
    assert main(["publish", "--executor_input", json.dumps(given)]) == 3
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("tidegate: DocumentError: ")
    assert not (tmp_path / "deep").exists()


def test_an_unknown_step_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollout", "--executor_input", "{}"]) == 2
    assert "promote" in capsys.readouterr().err


def test_events_reach_the_local_runner(
    refused: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_PROGRESS_FILE", str(tmp_path / "progress.jsonl"))
    main(["publish", "--executor_input", json.dumps(executor_input(refused))])
    events = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert next(e["message"] for e in events) == "started"
    assert events[-1]["message"] == "finished"
    assert events[-1]["verdict"] == "FAIL"
