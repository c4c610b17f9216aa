"""The storage initializer follows KServe's rules where a release could trip over them."""

import shutil
from pathlib import Path

import pytest

from tidegate.errors import RejectedError
from tidegate.sandbox import storage


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
        ("s3://bucket/digits/", "publish to a file:// URI"),
        ("gs://bucket/digits/", "publish to a file:// URI"),
        ("models:/digits/1", "publish to a file:// URI"),
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
