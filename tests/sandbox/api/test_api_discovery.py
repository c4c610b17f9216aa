"""What clients ask before they do anything: discovery, OpenAPI, tables, health, kubeconfig."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tidegate.sandbox.api import kinds
from tidegate.sandbox.api.server import ApiServer

from .running_api import ISVCS, Api, isvc, running

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
)
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with running() as started:
        yield started


@pytest.mark.parametrize("path", ["/readyz", "/livez", "/healthz"])
def test_the_server_says_that_it_is_up(api: Api, path: str) -> None:
    assert api.http.get(path).text == "ok"


def test_every_kind_is_discovered_in_the_old_form(api: Api) -> None:
    found = {("", r["kind"]) for r in api.get("/api/v1")["resources"]}
    for group in api.get("/apis")["groups"]:
        for version in group["versions"]:
            listed = api.get(f"/apis/{version['groupVersion']}")["resources"]
            found |= {(group["name"], resource["kind"]) for resource in listed}
    assert found == {(kind.group, kind.kind) for kind in kinds.ALL}


def test_every_kind_is_discovered_in_the_aggregated_form(api: Api) -> None:
    found = set()
    for path in ("/api", "/apis"):
        response = api.http.get(path, headers={"Accept": AGGREGATED})
        assert "as=APIGroupDiscoveryList" in response.headers["content-type"]
        for group in response.json()["items"]:
            for version in group["versions"]:
                found |= {(group["metadata"]["name"], r["resource"]) for r in version["resources"]}
    assert found == {(kind.group, kind.plural) for kind in kinds.ALL}


def test_openapi_says_that_patches_take_field_validation(api: Api) -> None:
    paths = api.get("/openapi/v3")["paths"]
    for entry in paths.values():
        document = api.get(entry["serverRelativeURL"])
        for operations in document["paths"].values():
            names = {parameter["name"] for parameter in operations["patch"]["parameters"]}
            assert "fieldValidation" in names
            assert operations["patch"]["x-kubernetes-group-version-kind"]["kind"]


def test_an_old_client_gets_an_empty_openapi_v2(api: Api) -> None:
    media = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    assert api.http.get("/openapi/v2", headers={"Accept": media}).content == b"\x0a\x032.0"
    assert api.get("/openapi/v2")["swagger"] == "2.0"


def test_a_table_has_the_printer_columns_of_kserve(api: Api) -> None:
    api.post(ISVCS, isvc())
    traffic = [
        {"latestRevision": True, "percent": 10, "revisionName": "r2", "tag": "latest"},
        {"latestRevision": False, "percent": 90, "revisionName": "r1", "tag": "prev"},
    ]
    status = {
        "url": "http://x", "conditions": [{"type": "Ready", "status": "True"}],
        "components": {"predictor": {"traffic": traffic}},
    }  # fmt: skip
    api.merge(f"{ISVCS}/digits/status", {"status": status})
    table = api.http.get(ISVCS, headers={"Accept": TABLE}).json()
    names = [column["name"] for column in table["columnDefinitions"]]
    cells = dict(zip(names, table["rows"][0]["cells"], strict=True))
    assert cells.pop("Age").endswith("s")
    assert cells == {
        "Name": "digits", "URL": "http://x", "Ready": "True", "Prev": 90, "Latest": 10,
        "PrevRolledoutRevision": "r1", "LatestReadyRevision": "r2",
    }  # fmt: skip
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_the_kubeconfig_names_the_server(tmp_path: Path) -> None:
    with running(state_dir=tmp_path) as api:
        document = yaml.safe_load((tmp_path / "kubeconfig").read_text())
        assert document["clusters"][0]["cluster"]["server"] == api.server.url


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        ApiServer(port=taken.getsockname()[1])


def test_a_stopped_server_answers_no_more_and_may_be_stopped_again() -> None:
    server = ApiServer()
    server.start()
    port = int(server.url.rpartition(":")[2])
    server.stop()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_the_log_of_a_pod_is_asked_of_whoever_runs_it() -> None:
    def said(namespace: str, name: str, container: str) -> str:
        return f"loading\n{namespace}/{name}/{container} says hello\n"

    with running(pod_logs=said) as api:
        api.post("/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": {}})
        log = api.http.get("/api/v1/namespaces/default/pods/p/log?container=c")
        assert log.text == "loading\ndefault/p/c says hello\n"
        last = api.http.get("/api/v1/namespaces/default/pods/p/log?container=c&tailLines=1")
        assert last.text == "default/p/c says hello\n"
        api.get("/api/v1/namespaces/default/pods/q/log", 404)
