"""The storage initializer follows KServe's rules where a release could trip over them."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3_server
from tests.s3_server import BUCKET, S3
from tidegate.errors import RejectedError, UnavailableError
from tidegate.sandbox import storage


@pytest.fixture(scope="module")
def bucket() -> Iterator[S3]:
    with s3_server.serving() as s3:
        for key in ("m/1/config.pbtxt", "m/1/1/model.onnx", "m/10/config.pbtxt"):
            s3.bucket().put_object(Key=key, Body=key.encode())
        s3.bucket().put_object(Key="m/1/2/.keep", Body=b"")
        yield s3


def tree(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "digits" / "1").mkdir(parents=True)
    (folder / "digits" / "1" / "model.onnx").write_bytes(b"graph")
    (folder / "digits" / "config.pbtxt").write_text("max_batch_size: 1")
    (folder / "digits" / "2").mkdir()
    (folder / "digits" / "2" / ".keep").touch()
    return folder


def test_a_folder_is_copied_without_empty_objects_as_from_s3(
    repository: Path, tmp_path: Path
) -> None:
    storage.initialize(f"file://{repository}/", tmp_path / "models")
    assert tree(tmp_path / "models") == {"digits/1/model.onnx", "digits/config.pbtxt"}
    assert not (tmp_path / "models" / "digits" / "2").exists()


def test_empty_files_can_be_kept(repository: Path, tmp_path: Path) -> None:
    storage.initialize(f"file://{repository}", tmp_path / "models", skip_empty=False)
    assert "digits/2/.keep" in tree(tmp_path / "models")


def test_what_an_earlier_attempt_left_is_removed(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "models" / "stale").mkdir(parents=True)
    storage.initialize(str(repository), tmp_path / "models")
    assert not (tmp_path / "models" / "stale").exists()


def test_a_lone_archive_is_unpacked(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "packed").mkdir()
    shutil.make_archive(str(tmp_path / "packed" / "model"), "gztar", repository)
    storage.initialize(f"file://{tmp_path}/packed/", tmp_path / "models")
    assert "digits/1/model.onnx" in tree(tmp_path / "models")


def test_a_claim_stands_for_a_folder(repository: Path, tmp_path: Path) -> None:
    claims = {"models": repository}
    storage.initialize("pvc://models/digits", tmp_path / "models", claims=claims)
    assert "config.pbtxt" in tree(tmp_path / "models")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://Bucket/digits/", "no name of a bucket"),
        ("hdfs://bucket/digits/", "no storage behind this scheme"),
        ("models:/digits/1", "no storage behind this scheme"),
        ("file:///no/such/folder/", "No model found"),
        ("pvc://other/digits", "'other' not found"),
    ],
)
def test_what_cannot_be_fetched_is_refused_with_its_uri(
    uri: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(RejectedError, match=words) as refused:
        storage.initialize(uri, tmp_path / "models")
    assert uri in str(refused.value)


def test_an_empty_folder_holds_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(RejectedError, match="No model found"):
        storage.initialize(f"file://{tmp_path}/empty/", tmp_path / "models")


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        (f"s3://{BUCKET}/m/1/", {"config.pbtxt", "1/model.onnx"}),
        (f"s3://{BUCKET}/m/1", {"config.pbtxt", "1/model.onnx", "0/config.pbtxt"}),
        (f"s3://{BUCKET}/m/1/config.pbtxt", {"config.pbtxt"}),
    ],
    ids=["with its slash", "without it its neighbour comes too", "one object"],
)
def test_a_bucket_is_read_by_prefix_without_empty_objects(
    bucket: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, found: set[str]
) -> None:
    s3_server.point(monkeypatch, bucket)
    storage.initialize(uri, tmp_path / "models")
    assert tree(tmp_path / "models") == found


def test_a_bucket_that_holds_nothing_or_is_away_is_told_apart(
    bucket: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    s3_server.point(monkeypatch, bucket)
    with pytest.raises(RejectedError, match="No model found"):
        storage.initialize(f"s3://{BUCKET}/nothing/", tmp_path / "models")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(storage, "WITHIN_S", 0.3)
    with pytest.raises(UnavailableError, match="connection refused"):
        storage.initialize(f"s3://{BUCKET}/m/1/", tmp_path / "models")
