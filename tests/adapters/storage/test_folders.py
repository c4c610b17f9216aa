"""Publishing to a folder, and to a claim that is mounted at one."""

import json
from pathlib import Path

import pytest

from tidegate.adapters import trees
from tidegate.adapters.storage.publishing import publish as upload
from tidegate.adapters.storage.reading import config_texts
from tidegate.errors import ConflictError, RejectedError, UnavailableError, UsageError

MARK = "3-abc.published.json"


def publish(tree: Path, parent: Path) -> tuple[str, bool]:
    digest = trees.digest_of(trees.files_of(tree))
    return upload(tree, digest, parent=parent.as_uri(), path="digits/3-abc")


def test_the_uri_ends_in_a_slash_and_the_folder_holds_the_model_alone_with_the_mark_beside_it(
    tree: Path, tmp_path: Path
) -> None:
    uri, uploaded = publish(tree, tmp_path / "my store")
    target = tmp_path / "my store" / "digits" / "3-abc"
    assert (uri, uploaded) == (f"{target.as_uri()}/", True)
    assert [p.name for p in target.iterdir()] == ["digits"]
    assert sorted(p.name for p in target.parent.iterdir()) == ["3-abc", MARK]
    assert json.loads((target.parent / MARK).read_text())["digest"].startswith("sha256:")
    assert (target / "digits" / "3" / "model.onnx").read_bytes() == b"graph"


def test_the_same_content_is_not_copied_again(tree: Path, tmp_path: Path) -> None:
    first, _ = publish(tree, tmp_path / "store")
    marker = tmp_path / "store" / "digits" / MARK
    before = marker.stat().st_mtime_ns
    assert publish(tree, tmp_path / "store") == (first, False)
    assert marker.stat().st_mtime_ns == before


def test_a_folder_without_its_mark_was_never_finished_and_what_it_holds_too_much_is_removed(
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
        ("/just/a/path", "is no storage"),
        ("file://other-host/x", "is no storage"),
        ("ftp://user:secret@host/x", r"ftp://host/x' is no storage"),
        ("abfs://models@account/x", "write https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH"),
        ("s3://models/x?versionId=3", "has no ., # or user in it"),
        ("s3://models/a b", "no path that KServe reads as it is written"),
        ("s3://models/a/../b", "no path that KServe reads"),
        ("s3:///x", "no name of a bucket"),
        ("s3://[models/x", r"cannot be read .Invalid IPv6 URL.; write s3://BUCKET/PATH"),
        ("https://account.blob.core.windows.net/", "names no container"),
        ("pvc://models/x", "set TIDEGATE_CLAIM_MOUNTS to models=/FOLDER"),
    ],
)
def test_what_kserve_could_not_read_is_refused_in_one_line(
    tree: Path, uri: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        upload(tree, "sha256:", parent=uri, path="x")
    assert "secret" not in str(refused.value)


def test_storage_that_cannot_be_written_is_said(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UnavailableError, match="make it a writable folder"):
        publish(tree, tmp_path / "file")


def test_a_claim_is_written_where_it_is_mounted_and_named_as_kserve_mounts_it(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mnt").mkdir()
    monkeypatch.setenv("TIDEGATE_CLAIM_MOUNTS", f"other=/nowhere, models={tmp_path / 'mnt'}")
    digest = trees.digest_of(trees.files_of(tree))
    uri, _ = upload(tree, digest, parent="pvc://models/tidegate", path="digits/3-abc")
    assert uri == "pvc://models/tidegate/digits/3-abc/"
    model = tmp_path / "mnt" / "tidegate" / "digits" / "3-abc" / "digits" / "3" / "model.onnx"
    assert model.read_bytes() == b"graph"
    assert config_texts(uri) == {"digits/config.pbtxt": 'name: "digits"'}


def test_a_claim_that_is_not_where_it_is_said_to_be_is_not_made_there(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a container it would be gone with the pod."""
    monkeypatch.setenv("TIDEGATE_CLAIM_MOUNTS", f"models={tmp_path / 'mnt'}")
    digest = trees.digest_of(trees.files_of(tree))
    with pytest.raises(RejectedError, match=r"claim models is not mounted at .*mnt; mount it"):
        upload(tree, digest, parent="pvc://models/tidegate", path="digits/3-abc")
    assert not (tmp_path / "mnt").exists()


def test_mounts_that_cannot_be_meant_are_refused(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_CLAIM_MOUNTS", "models:/mnt")
    with pytest.raises(UsageError, match="'models:/mnt' is no mount; write CLAIM=/FOLDER"):
        upload(tree, "sha256:", parent="pvc://models", path="x")


def test_a_folder_that_is_not_there_has_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(RejectedError):
        config_texts((tmp_path / "nothing").as_uri())
    assert not (tmp_path / "nothing").exists(), "reading makes no folder"
