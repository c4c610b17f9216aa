"""`tidegate compile`: the committed drawings, with other images in them and nothing else changed."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tidegate.cli import app
from tidegate.errors import UsageError
from tidegate.orchestrators.drawings import DRAWINGS, drawing, with_images
from tidegate.orchestrators.surroundings import images

MINE = "registry.example.com/ml/steps@sha256:" + "1" * 64


@pytest.mark.parametrize("orchestrator", DRAWINGS)
def test_every_drawing_is_written_with_the_chosen_image_and_the_others_left(
    tmp_path: Path, orchestrator: str
) -> None:
    done = CliRunner().invoke(
        app, ["compile", orchestrator, "--output", str(tmp_path), "--image", f"steps={MINE}"]
    )
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(tmp_path / Path(one).name) for one in DRAWINGS[orchestrator]]
    for path in DRAWINGS[orchestrator]:
        text, before = (tmp_path / Path(path).name).read_text(), drawing(path).read_text()
        assert images()["steps"] not in text
        assert text.replace(MINE, images()["steps"]) == before
        assert list(yaml.safe_load_all(text))


def test_without_a_choice_it_is_what_was_committed() -> None:
    for path in (*DRAWINGS["kfp"], *DRAWINGS["argo"]):
        assert with_images(path, {}) == drawing(path).read_text()


@pytest.mark.parametrize("image", ["steps", "other=x", "steps=", "steps=a b'c"])
def test_an_image_that_cannot_be_meant_is_one_line_and_nothing_is_written(
    tmp_path: Path, image: str
) -> None:
    done = CliRunner().invoke(app, ["compile", "kfp", "--output", str(tmp_path), "--image", image])
    assert isinstance(done.exception, UsageError)
    assert list(tmp_path.iterdir()) == []
