"""Un-Ready after Ready, never Ready, storage and runtime errors: `failure_table.yaml`, point by point."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from .emulated_cluster import running
from .story import Player

TABLE = yaml.safe_load(Path(__file__).with_name("failure_table.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("story", TABLE, ids=lambda story: str(story["story"]))
def test_a_failure_shows_what_the_sources_say_and_is_answered(story: dict[str, Any]) -> None:
    with running() as cluster:
        player = Player.at_the_start(cluster)
        for point in story["points"]:
            for what in point["do"]:
                player.do(what)
            shown = player.shows()
            named = {key: shown[key] for key in point["shows"]}
            assert {**named, **_texts(named, point["shows"])} == point["shows"], point["do"]
            for question, answer in point["decides"].items():
                said = player.decides(question)
                assert said.startswith(answer), (point["do"], question)


def _texts(named: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """An event is told whole by KServe and in part by the table."""
    said, wanted = named.get("event", ""), expected.get("event")
    return {"event": wanted} if wanted and wanted in said else {}


def test_every_story_names_its_sources() -> None:
    assert all(story["source"] for story in TABLE)
