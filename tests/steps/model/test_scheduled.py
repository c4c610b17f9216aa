"""train and trigger: one release for each new version, however often the schedule fires."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.adapters.mlflow_registry import registry as opened
from tidegate.errors import DocumentError, RejectedError, TidegateError, UnavailableError
from tidegate.steps.train import train
from tidegate.steps.trigger import Triggered, trigger


def test_the_training_says_in_a_file_what_it_registered() -> None:
    said = train('printf "models:/digits/4\\n" > "$TIDEGATE_MODEL_URI_FILE"', "run-1")
    assert said.model_uri == "models:/digits/4"
    assert train(': > "$TIDEGATE_MODEL_URI_FILE"', "run-1").model_uri == ""


@pytest.mark.parametrize(
    ("command", "error"),
    [("exit 3", RejectedError), ("exit 75", UnavailableError), ("true", DocumentError)],
)
def test_a_training_that_fails_or_says_nothing_stops_the_run(
    command: str, error: type[TidegateError]
) -> None:
    with pytest.raises(error):
        train(command, "run-1")


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump({"name": "digits", "model": {"uri": "models:/digits/1"}}))
    return str(path)


@pytest.fixture
def registry(registry: Any) -> Any:
    """Whatever other tests have released of these versions is not known here."""
    from mlflow import MlflowClient

    client = MlflowClient(registry.url)
    for version in ("1", "2"):
        for key in client.get_model_version("digits", version).tags:
            client.delete_model_version_tag("digits", version, key)
    return registry


def test_nothing_new_is_nothing_done(policy: str) -> None:
    assert trigger(policy, "run-1", "") == Triggered(
        due="NO", pinned_uri="", reason="the training registered nothing new"
    )


@pytest.mark.real
def test_a_version_is_released_once_however_often_the_schedule_fires(
    registry: Any, policy: str
) -> None:
    first = trigger(policy, "run-1", "models:/digits@champion")
    assert (first.due, first.pinned_uri) == ("YES", "models:/digits/1")
    again = [trigger(policy, run, "models:/digits/1") for run in ("run-1", "run-2", "run-3")]
    assert [one.due for one in again] == ["YES", "NO", "NO"]
    assert "was taken by run run-1" in again[1].reason


@pytest.mark.real
def test_a_version_that_was_released_by_hand_is_not_new(registry: Any, policy: str) -> None:
    with opened() as models:
        for key, value in (("tidegate.outcome", "ROLLED_BACK"), ("tidegate.release_id", "by-hand")):
            models.tag_version("digits", "2", key, value)
    told = trigger(policy, "run-1", "models:/digits/2")
    assert told.due == "NO"
    assert "was released before, by by-hand: ROLLED_BACK" in told.reason
