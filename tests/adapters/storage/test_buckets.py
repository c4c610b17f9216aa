"""Publishing to a bucket, on a server that speaks S3."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.s3_server import BUCKET, KEY, S3, SECRET
from tidegate.adapters import trees
from tidegate.adapters.storage import objects, retention
from tidegate.adapters.storage.publishing import publish as upload
from tidegate.adapters.storage.reading import config_texts
from tidegate.errors import (
    ConflictError,
    RejectedError,
    TidegateError,
    UnavailableError,
    UsageError,
)

PARENT = f"s3://{BUCKET}/tidegate"
PREFIX, MARK = "tidegate/digits/3-abc/", "tidegate/digits/3-abc.published.json"
MODEL = f"{PREFIX}digits/3/model.onnx"


def publish(tree: Path, *, parent: str = PARENT, within_s: float = 5) -> tuple[str, bool]:
    digest = trees.digest_of(trees.files_of(tree))
    return upload(tree, digest, parent=parent, path="digits/3-abc", within_s=within_s)


def keys(s3: S3) -> list[str]:
    return sorted(one.key for one in s3.bucket().objects.all())


def body(s3: S3, key: str) -> bytes:
    found: bytes = s3.bucket().Object(key).get()["Body"].read()
    return found


def test_the_uri_is_the_models_own_prefix_and_the_mark_lies_beside_it_written_last(
    s3: S3, tree: Path
) -> None:
    assert publish(tree) == (f"s3://{BUCKET}/{PREFIX}", True)
    assert keys(s3) == [MARK, f"{PREFIX}digits/3/model.onnx", f"{PREFIX}digits/config.pbtxt"]
    assert s3.puts()[-1] == MARK
    mark = json.loads(body(s3, MARK))
    assert mark["digest"] == trees.digest_of(trees.files_of(tree))
    assert {one["path"]: one["e_tag"] for one in mark["objects"]} == {
        one.key.removeprefix(PREFIX): one.e_tag.strip('"')
        for one in s3.bucket().objects.filter(Prefix=PREFIX)
    }


def test_the_same_content_is_found_and_nothing_is_written(s3: S3, tree: Path) -> None:
    first, _ = publish(tree)
    s3.asked.clear()
    assert publish(tree) == (first, False)
    assert not s3.puts()
    assert not [path for _, path in s3.asked if path.endswith("model.onnx")], "an ETag is enough"


def test_an_upload_that_died_is_finished_and_what_is_wrong_of_it_is_replaced(
    s3: S3, tree: Path
) -> None:
    s3.bucket().put_object(Key=MODEL, Body=b"grapH")  # as long, and not the same
    s3.bucket().put_object(Key=f"{PREFIX}digits/config.pbtxt", Body=b'name: "digits"')
    s3.bucket().put_object(Key=f"{PREFIX}digits/2/model.onnx", Body=b"of another version")
    assert publish(tree)[1]
    assert body(s3, MODEL) == b"graph"
    assert keys(s3) == [MARK, MODEL, f"{PREFIX}digits/config.pbtxt"]
    assert s3.puts() == [MODEL, MARK], "what was right was kept"


@pytest.mark.parametrize("after", [1, 2], ids=["after the first object", "before the mark"])
def test_an_upload_that_ends_half_way_is_not_taken_for_whole(
    s3: S3, tree: Path, after: int
) -> None:
    s3.fault = lambda method, _: 403 if method == "PUT" and len(s3.puts()) > after else None
    with pytest.raises(RejectedError):
        publish(tree)
    assert MARK not in keys(s3)
    s3.fault = lambda _m, _p: None
    assert publish(tree)[1]
    assert publish(tree) == (f"s3://{BUCKET}/{PREFIX}", False)


def changed(s3: S3) -> None:
    s3.bucket().put_object(Key=MODEL, Body=b"grapH")


def removed(s3: S3) -> None:
    s3.bucket().Object(MODEL).delete()


def added(s3: S3) -> None:
    s3.bucket().put_object(Key=f"{PREFIX}digits/4/model.onnx", Body=b"x")


def unmarked(s3: S3) -> None:
    s3.bucket().put_object(Key=MARK, Body=b"{}")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed, r"was changed after it was published \(digits/3/model.onnx\)"),
        (removed, "digits/3/model.onnx is missing"),
        (added, "digits/4/model.onnx is too much"),
        (unmarked, "no mark of publish"),
    ],
)
def test_what_was_changed_after_it_was_published_is_a_conflict(
    s3: S3, tree: Path, change: Callable[[S3], None], said: str
) -> None:
    publish(tree)
    change(s3)
    with pytest.raises(ConflictError, match=said):
        publish(tree)


def test_the_same_bytes_under_another_etag_are_still_the_same(s3: S3, tree: Path) -> None:
    (tree / "digits" / "3" / "model.onnx").write_bytes(bytes(objects.PART + 1))
    publish(tree)
    s3.bucket().put_object(Key=MODEL, Body=bytes(objects.PART + 1))  # in one part: another ETag
    assert not publish(tree)[1]


def test_two_releases_at_once_write_one_mark_and_both_have_it(s3: S3, tree: Path) -> None:
    together = threading.Barrier(2, timeout=20)
    s3.before = lambda m, p: together.wait() if (m, p) == ("PUT", f"/{BUCKET}/{MARK}") else None
    ended: list[Any] = []
    racing = [threading.Thread(target=lambda: ended.append(publish(tree))) for _ in range(2)]
    for one in racing:
        one.start()
    for one in racing:
        one.join(timeout=60)
    assert ended == [(f"s3://{BUCKET}/{PREFIX}", True)] * 2
    s3.before = lambda _m, _p: None
    assert not publish(tree)[1]


def test_a_store_without_conditional_writes_gets_its_mark_too(s3: S3, tree: Path) -> None:
    refused: list[str] = []

    def fault(method: str, path: str) -> int | None:
        if method == "PUT" and path.endswith("published.json") and not refused:
            refused.append(path)
            return 501
        return None

    s3.fault = fault
    assert publish(tree)[1]
    assert refused
    assert not publish(tree)[1]


def test_what_passes_is_tried_again(s3: S3, tree: Path) -> None:
    seen: set[str] = set()

    def once(method: str, path: str) -> int | None:
        first = f"{method} {path}" not in seen
        seen.add(f"{method} {path}")
        return 503 if first else None

    s3.fault = once
    assert publish(tree)[1]
    assert len(seen) >= 5


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (503, UnavailableError, "answers 503 Test503 again and again"),
        (403, RejectedError, "refuses these credentials .403 Test403."),
        (301, RejectedError, "answers 301.* endpoint and region"),
    ],
)
def test_what_does_not_pass_is_one_line_without_a_secret(
    s3: S3, tree: Path, status: int, error: type[TidegateError], said: str
) -> None:
    s3.fault = lambda method, _: status if method == "PUT" else None
    with pytest.raises(error, match=said) as told:
        publish(tree, within_s=1)
    assert f"s3://{BUCKET}/{PREFIX}" in str(told.value)
    chain = f"{told.value!r} {told.value.__cause__!r}"
    assert SECRET not in chain
    assert KEY not in chain
    assert told.value.__suppress_context__


def test_a_bucket_that_is_not_there_is_said(s3: S3, tree: Path) -> None:
    with pytest.raises(RejectedError, match=r"is not there .404 NoSuchBucket.; create the bucket"):
        publish(tree, parent="s3://no-such-bucket/tidegate")


def test_a_server_that_is_not_there_is_said(
    tree: Path, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(
        UnavailableError, match=r"does not answer .connection refused.; run it again"
    ):
        publish(tree, within_s=0.5)


@pytest.mark.parametrize(
    ("endpoint", "authorities", "said"),
    [
        ("http://127.0.0.1:99999", "", "AWS_ENDPOINT_URL or S3_ENDPOINT is no endpoint"),
        ("http://[::1", "", "AWS_ENDPOINT_URL or S3_ENDPOINT is no endpoint"),
        ("http://127.0.0.1:1", "no certificate", "holds no certificate; name a PEM file"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str, authorities: str,
    said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if authorities:
        (tmp_path / "ca.pem").write_text(authorities)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match=said):
        publish(tree, within_s=0.5)


@pytest.mark.parametrize(
    ("parent", "name", "key"),
    [
        ("gs://models/x", "GOOGLE_SERVICE_ACCOUNT_KEY", f"{{{SECRET}"),
        (
            "gs://models/x",
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            json.dumps({"private_key": SECRET, "client_email": "a", "private_key_id": "b"}),
        ),
        ("https://acc.blob.core.windows.net/c", "AZURE_STORAGE_ACCESS_KEY", f"{SECRET}!"),
    ],
)
def test_a_key_that_is_none_is_refused_and_not_tried_again(
    tree: Path, monkeypatch: pytest.MonkeyPatch, parent: str, name: str, key: str
) -> None:
    monkeypatch.setenv(name, key)
    with pytest.raises(RejectedError, match=f"its key is no key; correct .*{name}") as told:
        publish(tree, parent=parent, within_s=0.5)
    assert SECRET not in f"{told.value!r} {told.value.__cause__!r}"


def test_credentials_are_the_environments_and_kserves_names_for_the_endpoint_are_known(
    s3: S3, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("S3_ENDPOINT", s3.url.removeprefix("http://"))
    monkeypatch.setenv("S3_USE_HTTPS", "0")
    publish(tree)
    assert s3.signed_by == {KEY}


def test_an_anonymous_client_signs_nothing(
    s3: S3, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("awsAnonymousCredential", "true")
    publish(tree)
    assert s3.signed_by == {""}


def test_a_tree_that_changes_while_it_is_uploaded_is_not_published(s3: S3, tree: Path) -> None:
    digest = trees.digest_of(trees.files_of(tree))
    (tree / "digits" / "3" / "model.onnx").write_bytes(b"later")
    with pytest.raises(ConflictError, match="changed while it was uploaded"):
        upload(tree, digest, parent=PARENT, path="digits/3-abc")
    assert MARK not in keys(s3)


def test_its_configuration_can_be_read_from_the_bucket(s3: S3, tree: Path) -> None:
    uri, _ = publish(tree)
    assert config_texts(uri) == {"digits/config.pbtxt": 'name: "digits"'}
    with pytest.raises(RejectedError, match=r"holds no config\.pbtxt"):
        config_texts(f"s3://{BUCKET}/nothing/")


def test_what_is_published_in_a_bucket_is_listed_and_removed_and_nothing_beside_it(
    s3: S3, tree: Path
) -> None:
    digest = trees.digest_of(trees.files_of(tree))
    paths = [f"digits/{n}-{n:012x}" for n in (1, 2)]
    for path in paths:
        upload(tree, digest, parent=PARENT, path=path, within_s=5)
    upload(tree, digest, parent=f"{PARENT}-2", path=paths[0], within_s=5)  # as a neighbour has it
    foreign = f"tidegate/digits/1-{1:012x}0/somebodys"
    s3.bucket().put_object(Key=foreign, Body=b"x")
    s3.bucket().put_object(Key=f"tidegate/digits/3-{3:012x}/half", Body=b"of an upload that died")
    found = {one.path: one for one in retention.published(PARENT)}
    assert {path: one.is_whole for path, one in found.items()} == {
        paths[0]: True, paths[1]: True, f"digits/3-{3:012x}": False,
    }  # fmt: skip
    assert found[paths[0]].uri == f"{PARENT}/{paths[0]}/"
    before = set(keys(s3))
    for _ in range(2):
        retention.remove(PARENT, found[paths[0]])
    gone = before - set(keys(s3))
    assert gone == {
        f"tidegate/{paths[0]}{end}"
        for end in (".published.json", "/digits/config.pbtxt", "/digits/3/model.onnx")
    }
