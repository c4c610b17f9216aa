import json
from pathlib import Path

import pytest

from tidegate.adapters import storage, trees
from tidegate.errors import ConflictError, UnavailableError, UsageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "digits" / "3").mkdir(parents=True)
    (root / "digits" / "config.pbtxt").write_text('name: "digits"')
    (root / "digits" / "3" / "model.onnx").write_bytes(b"graph")
    return root


def publish(tree: Path, parent: Path) -> tuple[str, bool]:
    digest = trees.digest_of(trees.files_of(tree))
    return storage.publish(tree, digest, parent=parent.as_uri(), path="digits/3-abc")


def test_the_uri_ends_in_a_slash_and_the_folder_holds_the_model_and_a_marker_file(
    tree: Path, tmp_path: Path
) -> None:
    uri, uploaded = publish(tree, tmp_path / "my store")
    target = tmp_path / "my store" / "digits" / "3-abc"
    assert (uri, uploaded) == (f"{target.as_uri()}/", True)
    assert [p.name for p in target.iterdir() if p.is_dir()] == ["digits"]
    assert json.loads((target / storage.MARKER).read_text())["digest"].startswith("sha256:")
    assert (target / "digits" / "3" / "model.onnx").read_bytes() == b"graph"


def test_the_same_content_is_not_copied_again(tree: Path, tmp_path: Path) -> None:
    first, _ = publish(tree, tmp_path / "store")
    marker = tmp_path / "store" / "digits" / "3-abc" / storage.MARKER
    before = marker.stat().st_mtime_ns
    assert publish(tree, tmp_path / "store") == (first, False)
    assert marker.stat().st_mtime_ns == before


def test_a_folder_without_its_marker_was_never_finished_and_is_replaced(
    tree: Path, tmp_path: Path
) -> None:
    half = tmp_path / "store" / "digits" / "3-abc"
    half.mkdir(parents=True)
    (half / "rest").write_text("of an upload that died")
    assert publish(tree, tmp_path / "store")[1]
    assert not (half / "rest").exists()


def test_a_published_folder_that_was_changed_is_a_conflict(tree: Path, tmp_path: Path) -> None:
    publish(tree, tmp_path / "store")
    (tmp_path / "store" / "digits" / "3-abc" / "digits" / "3" / "model.onnx").write_bytes(b"other")
    with pytest.raises(ConflictError, match="was changed after it was published"):
        publish(tree, tmp_path / "store")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://models/x", "s3: is not built yet"),
        ("gs://models/x", "gs: is not built yet"),
        ("/just/a/path", "is no storage"),
        ("file://other-host/x", "is no storage"),
    ],
)
def test_other_storage_is_refused_in_one_line(tree: Path, uri: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        storage.publish(tree, "sha256:", parent=uri, path="x")


def test_storage_that_cannot_be_written_is_said(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnavailableError, match="make it a writable folder"):
        publish(tree, tmp_path / "file")
