"""resolve and fetch against a real MLflow server, on to publish; and what bad input gets."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate.adapters import mlflow_http
from tidegate.errors import ConflictError, DocumentError, RejectedError, UnavailableError

pytestmark = pytest.mark.real


@pytest.mark.usefixtures("registry")
def test_a_registered_model_becomes_a_published_repository(release: Any) -> None:
    resolved = release.resolve()
    assert resolved == {
        "verdict": "PASS", "model": "digits", "version": "1", "name": "digits", "namespace": "default",
        "approval": "none", "approval_timeout_s": 86400,
    }  # fmt: skip
    words = [release.run(s)["verdict"] for s in ("fetch", "optimize", "configure", "publish")]
    assert words == ["PASS"] * 4
    published = release.document("published")
    assert published["subject"] == release.document("candidate")["subject"]
    assert Path(published["storage_uri"].removeprefix("file://")).is_dir()


@pytest.mark.usefixtures("registry")
def test_the_effective_policy_is_written_with_the_runs_own_parameters(release: Any) -> None:
    release.resolve(model_uri="models:/digits/2", namespace="prod")
    policy = release.document("policy_document")
    assert (policy["model"]["uri"], policy["namespace"]) == ("models:/digits/2", "prod")
    assert release.document("candidate")["subject"]["version"] == "2"


@pytest.mark.usefixtures("registry")
def test_a_policy_comes_encoded(release: Any) -> None:
    text = base64.b64encode(json.dumps(release.policy).encode()).decode()
    assert release.resolve(policy=f"base64:{text}")["version"] == "1"


@pytest.mark.usefixtures("registry")
def test_a_policy_stored_with_the_model_is_found_or_named(release: Any) -> None:
    with pytest.raises(RejectedError, match="digits version 1 has no artifact release/policy"):
        release.resolve(policy="model:release/policy.yaml", model_uri="models:/digits/1")


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        ("models:/absent@champion", RejectedError, "has no registered model 'absent'"),
        (
            "models:/digits@nope",
            RejectedError,
            "has no alias 'nope'; it has .*champion -> version 1",
        ),
        ("models:/digits/4", UnavailableError, "is PENDING_REGISTRATION"),
        ("digits:latest", DocumentError, "model.uri = 'digits:latest': write models:/name@alias"),
    ],
)
def test_a_model_that_cannot_be_released_leaves_nothing_written(
    release: Any, uri: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        release.resolve(model_uri=uri)
    assert not release.path("candidate").exists()


@pytest.mark.parametrize("wanted", ["pytorch", "tensorflow", "openvino", "onnx", "huggingface"])
def test_a_format_that_is_only_rendered_is_refused_before_anything_is_asked(
    release: Any, wanted: str
) -> None:
    release.policy["serving"] = {"format": wanted}
    with pytest.raises(DocumentError, match=f"'{wanted}' is rendered, not released; write triton"):
        release.resolve()
    assert not release.path("candidate").exists()


def test_what_kserves_own_server_cannot_do_is_refused_before_anything_is_asked(
    release: Any,
) -> None:
    release.policy |= {"serving": {"format": "sklearn"}, "triton": {"instances": 2}}
    with pytest.raises(DocumentError, match=r"'sklearn': triton\.instances is of Triton's"):
        release.resolve()
    assert not release.path("candidate").exists()


@pytest.mark.usefixtures("registry")
def test_a_version_of_another_framework_than_the_format_is_refused(release: Any) -> None:
    release.policy["serving"] = {"format": "lightgbm"}
    with pytest.raises(DocumentError, match="flavor sklearn is not served by"):
        release.resolve(model_uri="models:/digits/1")
    assert not release.path("candidate").exists()


def test_an_unreachable_mlflow_is_said_with_its_address(
    release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(mlflow_http, "DEADLINE_S", 0.3)
    monkeypatch.setenv("TIDEGATE_PROGRESS_FILE", str(release.path("progress")))
    with pytest.raises(UnavailableError, match=r"MLflow at http://127\.0\.0\.1:9 does not answer"):
        release.resolve()
    assert "waiting for MLflow at http://127.0.0.1:9" in release.path("progress").read_text()


def test_a_wrong_policy_costs_no_request(release: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    release.policy["trafic"] = {}
    with pytest.raises(DocumentError, match="trafic: no such field; remove it or correct"):
        release.resolve()


@pytest.mark.usefixtures("registry")
def test_a_pickle_is_refused_unless_the_policy_allows_it(release: Any) -> None:
    release.resolve(model_uri="models:/digits@pickled")
    result = release.run("fetch")
    assert result["verdict"] == "FAIL"
    refusal = release.document("fetched")
    assert refusal["kind"] == "Refusal"
    assert "holds a pickle (model.pkl), which runs code when loaded" in refusal["reason"]
    assert list(release.path("model_tree").iterdir()) == []
    release.policy["model"]["allow_pickle"] = True
    assert release.run("fetch")["verdict"] == "PASS"


@pytest.mark.usefixtures("registry")
def test_fetch_lists_every_file_with_its_digest(release: Any) -> None:
    release.resolve()
    first = release.run("fetch")
    document = release.document("fetched")
    assert {"MLmodel", "model.skops", "golden.npz"} <= {f["path"] for f in document["files"]}
    assert first["tree_digest"] == document["tree_digest"]
    assert release.run("fetch") == first


@pytest.mark.usefixtures("registry")
def test_files_that_changed_since_resolve_are_a_conflict(release: Any) -> None:
    release.resolve()
    document = release.document("candidate")
    document["subject"]["digest"] = f"sha256:{'f' * 64}"
    release.path("candidate").write_text(json.dumps(document))
    with pytest.raises(ConflictError, match="its files were changed: register a new version"):
        release.run("fetch")
    assert not release.path("model_tree").exists()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.usefixtures("registry")
def test_a_full_disk_is_said_and_leaves_nothing_half_fetched(release: Any, full_disk: Path) -> None:
    release.resolve()
    with pytest.raises(UnavailableError, match="No space left on device; free space or choose"):
        release.run("fetch", model_tree=full_disk / "model_tree")
    assert list(full_disk.iterdir()) == []


@pytest.mark.usefixtures("registry")
def test_a_flavor_that_is_not_known_is_refused_by_name(release: Any, tmp_path: Path) -> None:
    import mlflow

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "MLmodel").write_text("flavors: {python_function: {}, spark: {}}")
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "other"), "other")
    client = mlflow.MlflowClient()
    client.create_registered_model("other")
    client.create_model_version("other", f"{run.info.artifact_uri}/other", run.info.run_id)
    with pytest.raises(
        DocumentError,
        match="other version 1 has flavor spark, which is not known; log it as onnx, ",
    ):
        release.resolve(model_uri="models:/other/1")
    assert not release.path("candidate").exists()
