"""`tidegate compile`: the committed drawings, with other images in them and nothing else changed."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tidegate.cli import app
from tidegate.errors import UsageError
from tidegate.orchestrators.buckets import S3
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


# -- a bucket of one's own

PLACE = {
    "endpoint": "minio.minio:9000", "bucket": "models", "insecure": True,
    "accessKeySecret": {"name": "minio", "key": "AWS_ACCESS_KEY_ID"},
    "secretKeySecret": {"name": "minio", "key": "AWS_SECRET_ACCESS_KEY"},
}  # fmt: skip
BUCKET = [
    "--bucket", "models", "--endpoint", "minio.minio:9000", "--insecure", "--secret", "minio",
]  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bucket")
    done = CliRunner().invoke(app, ["compile", "argo", "--output", str(folder), *BUCKET])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize("name", ["release.yaml", "scheduled-release.yaml"])
def test_every_artifact_and_every_log_lies_in_the_bucket_that_is_named(
    compiled: Path, name: str
) -> None:
    document = yaml.safe_load((compiled / name).read_text())
    before = yaml.safe_load(drawing(f"workflows/{name}").read_text())
    for was, now in zip(before["spec"]["templates"], document["spec"]["templates"], strict=True):
        for artifact in was.get("outputs", {}).get("artifacts", []):
            artifact["s3"] |= PLACE
        if "container" in was:
            logs = now.pop("archiveLocation")
            assert logs["archiveLogs"] is True
            assert logs["s3"].pop("key") == "tidegate/{{workflow.uid}}/{{pod.name}}"
            assert logs["s3"] == PLACE
    assert document == before


def test_what_has_no_artifacts_is_left_as_it_is(compiled: Path) -> None:
    for name in ("release-on-claim.yaml", "cron.yaml", "submit.yaml"):
        assert (compiled / name).read_text() == drawing(f"workflows/{name}").read_text()


def test_without_a_secret_it_is_the_pods_own_identity() -> None:
    s3 = S3(bucket="models", endpoint="s3.amazonaws.com", region="eu-west-1", secret="")
    assert s3.place == {
        "endpoint": "s3.amazonaws.com", "bucket": "models", "region": "eu-west-1",
        "useSDKCreds": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["argo", "--bucket", "models", "--endpoint", "http://minio"], "--endpoint 'http://minio'"),
        (["argo", "--bucket", "models"], "--endpoint ''"),
        (["argo", "--bucket", "My Models", "--endpoint", "minio"], "--bucket 'My Models'"),
        (["argo", "--endpoint", "minio"], "are about a --bucket"),
        (["kfp", "--bucket", "models", "--endpoint", "minio"], "pipeline root"),
    ],
)
def test_a_bucket_that_cannot_be_meant_is_one_line_and_nothing_is_written(
    tmp_path: Path, given: list[str], named: str
) -> None:
    done = CliRunner().invoke(app, ["compile", *given, "--output", str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert named in str(done.exception)
    assert list(tmp_path.iterdir()) == []
