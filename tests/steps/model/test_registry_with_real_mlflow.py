"""The registry adapter against a real MLflow server and what its own SDK logged there."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tidegate.adapters.mlflow_http import connect
from tidegate.adapters.mlflow_registry import registry as opened
from tidegate.config import Settings
from tidegate.errors import ConflictError, RejectedError, UnavailableError, UsageError

pytestmark = pytest.mark.real


def candidate(uri: str) -> Any:
    with opened() as models:
        return models.candidate(uri)


def test_an_alias_is_pinned_to_the_version_it_names(registry: Any) -> None:
    found = candidate("models:/digits@champion")
    assert (found.subject.model, found.subject.version) == ("digits", "1")
    assert (found.uri, found.requested_uri) == ("models:/digits/1", "models:/digits@champion")
    assert found.flavors == ("sklearn",)
    assert found.run_id == registry.run_id
    assert found.artifact_uri.startswith("mlflow-artifacts:/")


def test_a_version_of_a_logged_model_and_one_of_run_artifacts_are_both_found(registry: Any) -> None:
    logged, plain = candidate("models:/digits/1"), candidate("models:/digits/2")
    assert "/models/m-" in logged.artifact_uri
    assert plain.artifact_uri.endswith(f"{registry.plain_run_id}/artifacts/plain")


def test_a_runs_uri_is_the_version_that_was_registered_from_it(registry: Any) -> None:
    assert candidate(f"runs:/{registry.plain_run_id}/plain").subject.version == "2"
    assert candidate(f"runs:/{registry.run_id}/model").subject.version == "1"


def test_a_runs_uri_that_is_not_registered_says_how_to_register_it(registry: Any) -> None:
    for uri in (f"runs:/{registry.run_id}/other", "runs:/0123456789abcdef/model"):
        with pytest.raises(
            RejectedError, match="is not registered as a model version; register it"
        ):
            candidate(uri)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        ("models:/absent/1", RejectedError, "has no registered model 'absent'; correct the name"),
        ("models:/absent@x", RejectedError, "has no registered model 'absent'"),
        ("models:/digits@nope", RejectedError, "no alias 'nope'; it has .*champion -> version 1, "),
        ("models:/empty@nope", RejectedError, "no alias 'nope'; it has none"),
        ("models:/digits/99", RejectedError, "no version 99; its newest is 5"),
        ("models:/digits/4", UnavailableError, "is PENDING_REGISTRATION; try again"),
        ("models:/digits/5", RejectedError, "is FAILED_REGISTRATION .*; register it again"),
    ],
)
def test_what_cannot_be_released_is_named(uri: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        candidate(uri)


@pytest.mark.usefixtures("registry")
def test_an_alias_moves_only_from_where_it_was_seen() -> None:
    with opened() as models:
        models.move_alias("digits", "challenger", "1", "")
        assert models.alias("digits", "challenger") == "1"
        models.move_alias("digits", "challenger", "2", "1")
        models.move_alias("digits", "challenger", "2", "1")  # a second run changes nothing
        with pytest.raises(
            ConflictError, match="names version 2, not version 1 as when it was read"
        ):
            models.move_alias("digits", "challenger", "3", "1")
        assert models.alias("digits", "challenger") == "2"


@pytest.mark.usefixtures("registry")
def test_a_tag_and_a_report_can_be_read_back_through_the_sdk(registry: Any, tmp_path: Path) -> None:
    import mlflow

    (tmp_path / "report page.html").write_text("<p>tide</p>")
    with opened() as models:
        models.tag_version("digits", "1", "tidegate.outcome", "PROMOTED")
        models.log_report(registry.run_id, tmp_path / "report page.html")
    client = mlflow.MlflowClient(registry.url)
    assert client.get_model_version("digits", "1").tags["tidegate.outcome"] == "PROMOTED"
    names = [a.path for a in client.list_artifacts(registry.run_id, "tidegate")]
    assert names == ["tidegate/report page.html"]


@pytest.mark.usefixtures("registry")
def test_a_text_stored_with_the_version_is_read() -> None:
    with opened() as models:
        found = models.candidate("models:/digits/1")
        assert "flavors:" in models.artifact_text(found, "MLmodel")
        with pytest.raises(
            RejectedError, match=r"has no artifact policy.yaml; log it with the model"
        ):
            models.artifact_text(found, "policy.yaml")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_server_that_is_not_there_is_unavailable_after_the_deadline() -> None:
    where = Settings(mlflow_tracking_uri=f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    with (
        pytest.raises(UnavailableError, match=r"does not answer .*set MLFLOW_TRACKING_URI"),
        opened(where, deadline_s=0.5) as models,
    ):
        models.candidate("models:/digits/1")
    assert 0.3 < time.monotonic() - began < 5


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "databricks", "file:///tmp/mlruns"])
def test_a_tracking_uri_that_is_no_server_is_refused(uri: str) -> None:
    with (
        pytest.raises(UsageError, match=r"is no http\(s\) URL; set it"),
        connect(Settings(mlflow_tracking_uri=uri)),
    ):
        pass


def test_no_tracking_uri_is_refused() -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_URI is not set"), connect(Settings()):
        pass


class Gate(BaseHTTPRequestHandler):
    """What stands before a real server: it wants credentials, fails twice, or is another program."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012 - the server makes one handler per request

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers.get("Authorization", "")))
        if self.path.startswith("/secured"):
            self.answer(401, "text/plain", b"go away")
        elif self.path.startswith("/busy") and len(self.asked) < 3:
            self.answer(503, "text/html", b"<h1>busy</h1>")
        elif self.path.startswith("/other"):
            self.answer(200, "text/html", b"<html>")
        else:
            self.answer(200, "application/json", b'{"registered_model": {"name": "m"}}')

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def gate() -> Iterator[str]:
    Gate.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_refused_credentials_are_not_a_missing_model(gate: str) -> None:
    where = Settings(mlflow_tracking_uri=f"{gate}/secured")
    with (
        pytest.raises(RejectedError, match=r"refused the credentials \(401\); set MLFLOW"),
        opened(where) as models,
    ):
        models.candidate("models:/digits/1")
    assert len(Gate.asked) == 1


def test_a_busy_server_is_asked_again(gate: str) -> None:
    with opened(Settings(mlflow_tracking_uri=f"{gate}/busy")) as models:
        assert models.alias("m", "champion") == ""
    assert len(Gate.asked) == 3


def test_another_program_on_the_port_is_told_from_mlflow(gate: str) -> None:
    with (
        pytest.raises(RejectedError, match="is not an MLflow tracking server"),
        opened(Settings(mlflow_tracking_uri=f"{gate}/other")) as models,
    ):
        models.alias("m", "champion")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"mlflow_tracking_token": "t0ken"}, "Bearer t0ken"),
        ({"mlflow_tracking_username": "u", "mlflow_tracking_password": "p"}, "Basic dTpw"),
        ({}, ""),
    ],
)
def test_credentials_of_the_environment_are_sent(
    gate: str, given: dict[str, str], sent: str
) -> None:
    with opened(Settings(mlflow_tracking_uri=gate, **given)) as models:
        models.alias("m", "champion")
    assert Gate.asked[0][1] == sent


def test_secrets_do_not_show_in_the_settings() -> None:
    shown = repr(Settings(mlflow_tracking_token="t0ken", mlflow_tracking_password="pa55"))
    assert "t0ken" not in shown
    assert "pa55" not in shown


def test_the_registry_is_read_without_the_sdk(registry: Any) -> None:
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from tidegate.adapters.mlflow_registry import registry\n"
        "with registry() as models:\n"
        "    print(models.candidate('models:/digits@champion').subject.version)\n"
        "assert 'mlflow' not in sys.modules\n"
    )
    environment = {**os.environ, "MLFLOW_TRACKING_URI": registry.url}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.strip()) == (0, "1"), done.stderr


@pytest.mark.usefixtures("registry")
def test_artifacts_that_the_server_does_not_serve_go_through_the_sdk(tmp_path: Path) -> None:
    (tmp_path / "model" / "sub").mkdir(parents=True)
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "model" / "sub" / "a").write_text("a")
    (tmp_path / "target").mkdir()
    uri = (tmp_path / "model").as_uri()
    with opened() as models:
        assert models.artifacts.text(uri, "MLmodel") == "flavors: {}"
        models.artifacts.download(uri, tmp_path / "target")
        with pytest.raises(UnavailableError, match="cannot read"):
            models.artifacts.download("file:///no/such/folder", tmp_path / "target")
    assert sorted(p.name for p in (tmp_path / "target").rglob("*")) == ["MLmodel", "a", "sub"]
    assert not (tmp_path / "target.sdk").exists()


def test_the_server_under_test_is_a_real_one(registry: Any) -> None:
    assert httpx.get(f"{registry.url}/version").text.startswith("3.")
