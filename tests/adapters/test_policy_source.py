import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tidegate.adapters import policy_source
from tidegate.errors import DocumentError, RejectedError, UnavailableError, UsageError
from tidegate.policy import Policy

TEXT = "name: digits\nmodel:\n  uri: models:/digits@challenger\n"


def no_artifact(uri: str, path: str) -> str:
    raise AssertionError((uri, path))


def load(reference: str, **given: str) -> Policy:
    return policy_source.load(reference, artifact=no_artifact, **given)


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(TEXT)
    assert load(str(tmp_path / "policy.yaml")).name == "digits"


def test_the_runs_own_parameters_win(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(TEXT)
    path = str(tmp_path / "policy.yaml")
    policy = load(path, model_uri="models:/digits/7", namespace="prod")
    assert (policy.model.uri, policy.namespace) == ("models:/digits/7", "prod")


def test_a_policy_may_leave_the_model_to_the_parameter(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("name: digits\n")
    assert load(str(tmp_path / "policy.yaml"), model_uri="models:/d/7").model.uri == "models:/d/7"


def test_text_comes_encoded() -> None:
    text = base64.b64encode(TEXT.encode()).decode()
    assert load(f"base64:{text}").model.uri == "models:/digits@challenger"


def test_a_policy_stored_with_the_model_is_asked_for_by_its_path() -> None:
    def artifact(uri: str, path: str) -> str:
        return {("models:/digits/7", "release/policy.yaml"): TEXT}[uri, path]

    policy = policy_source.load(
        "model:release/policy.yaml", model_uri="models:/digits/7", artifact=artifact
    )
    assert policy.model.uri == "models:/digits/7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name: d\nmodel: {uri: models:/d/1}\nslos: {}",
            "slos: no such field; remove it or correct",
        ),
        ("name: digits", "model: is required; add it"),
        ("- a list", "is not a mapping"),
        ("name: [", "is not YAML"),
        ("name: d\nmodel: {uri: s3://x}", "write models:/name@alias, models:/name/version"),
        ("name: d\nmodel: {uri: models:/d/1}\ntraffic: {steps: [10, 50]}", "must end in 100"),
        (
            "name: d\nmodel: {uri: models:/d/1}\nparity: {default: {atol: -1}}",
            "greater than or equal",
        ),
    ],
)
def test_a_wrong_policy_is_refused_by_field(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(DocumentError, match=message):
        load(str(tmp_path / "policy.yaml"))


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("absent.yaml", "no such file; give a path, configmap:"),
        ("", "no such file"),
        ("base64:%%%", "cannot be decoded"),
        ("configmap:one", "write configmap:<namespace>/<name>"),
        ("configmap:a/b/c/d", "write configmap:<namespace>/<name>"),
    ],
)
def test_a_wrong_reference_says_what_to_give(reference: str, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        load(reference)


def test_a_policy_of_the_model_needs_the_models_uri() -> None:
    with pytest.raises(UsageError, match="also give model_uri"):
        load("model:policy.yaml")


class Api(BaseHTTPRequestHandler):
    """One ConfigMap, one that is forbidden, and a server that is down."""

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2].partition("?")[0]
        status = {"release": 200, "secret": 403, "broken": 503}.get(name, 404)
        body = {"message": f'configmaps "{name}" says {status}', "metadata": {"name": name}}
        if status == 200:
            body = {"metadata": {"name": name}, "data": {"policy.yaml": TEXT, "other": "x: 1"}}
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {}}],
    }  # fmt: skip
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("cluster")
def test_a_config_map_is_read_through_the_official_client() -> None:
    assert load("configmap:prod/release").name == "digits"


@pytest.mark.usefixtures("cluster")
def test_a_config_map_that_cannot_be_read_is_named() -> None:
    with pytest.raises(RejectedError, match=r"prod/absent cannot be read .*create it"):
        load("configmap:prod/absent")
    with pytest.raises(RejectedError, match=r"prod/secret cannot be read .*allow this account"):
        load("configmap:prod/secret")
    with pytest.raises(UnavailableError, match="try again"):
        load("configmap:prod/broken")
    with pytest.raises(RejectedError, match=r"has no key 'no.yaml'; its keys: other, policy.yaml"):
        load("configmap:prod/release/no.yaml")
