"""submit and schedule on Argo, through the Kubernetes API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tidegate.adapters.argo import Argo
from tidegate.adapters.kubernetes import Kubernetes, connect
from tidegate.cli import app
from tidegate.errors import ConflictError, RejectedError, UsageError
from tidegate.sandbox.api.server import ApiServer

ROOT = Path(__file__).parents[2]
GROUP = "/apis/argoproj.io/v1alpha1"
CRONS = f"{GROUP}/namespaces/argo/cronworkflows"
GIVEN = {"policy": "configmap:ml/digits"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, Path]]:
    folder = tmp_path_factory.mktemp("api")
    server = ApiServer(state_dir=folder)
    server.start()
    yield server, folder / "kubeconfig"
    server.stop()


@pytest.fixture
def kube(api: tuple[ApiServer, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    """With the committed template of the release, and nothing else of Argo's."""
    monkeypatch.setenv("KUBECONFIG", str(api[1]))
    with connect(retry_s=2) as connection:
        if connection.find("/api/v1/namespaces/argo") is None:
            connection.request("POST", "/api/v1/namespaces", {"metadata": {"name": "argo"}})
        for kind in ("workflows", "workflowtemplates", "cronworkflows"):
            path = f"{GROUP}/namespaces/argo/{kind}"
            for one in connection.request("GET", path)["items"]:
                connection.request("DELETE", f"{path}/{one['metadata']['name']}")
        text = (ROOT / "workflows" / "release.yaml").read_text(encoding="utf-8")
        path = f"{GROUP}/namespaces/argo/workflowtemplates"
        connection.request("POST", path, yaml.safe_load(text))
        yield connection


@pytest.fixture
def argo(kube: Kubernetes) -> Argo:
    return Argo(kube, "argo", "tidegate-release")


def cron(kube: Kubernetes, name: str = "weekly") -> dict[str, Any]:
    found = kube.find(f"{CRONS}/{name}")
    assert found
    return found


def test_a_run_refers_to_the_template_and_carries_the_parameters(
    kube: Kubernetes, argo: Argo
) -> None:
    name = argo.submit(GIVEN, account="runner")
    made = kube.find(f"{GROUP}/namespaces/argo/workflows/{name}")
    assert made
    assert name.startswith("tidegate-release-")
    assert made["spec"] == {
        "workflowTemplateRef": {"name": "tidegate-release"},
        "arguments": {"parameters": [{"name": "policy", "value": "configmap:ml/digits"}]},
        "serviceAccountName": "runner",
    }


def test_a_schedule_forbids_two_at_once_and_is_written_as_argo_4_reads_it(
    kube: Kubernetes, argo: Argo
) -> None:
    assert argo.schedule("weekly", "0 3 * * 0", GIVEN, timezone="Europe/Berlin") == "created"
    spec = cron(kube)["spec"]
    assert spec["schedules"] == ["0 3 * * 0"]
    assert (spec["concurrencyPolicy"], spec["timezone"]) == ("Forbid", "Europe/Berlin")
    assert spec["workflowSpec"]["workflowTemplateRef"] == {"name": "tidegate-release"}


def test_the_same_schedule_again_changes_nothing_and_another_updates_it(
    kube: Kubernetes, argo: Argo
) -> None:
    argo.schedule("weekly", "0 3 * * 0", GIVEN, timezone="UTC")
    version = cron(kube)["metadata"]["resourceVersion"]
    assert argo.schedule("weekly", "0 3 * * 0", GIVEN, timezone="UTC") == "unchanged"
    assert cron(kube)["metadata"]["resourceVersion"] == version
    assert argo.schedule("weekly", "30 4 * * 1", GIVEN, timezone="UTC") == "updated"
    assert cron(kube)["spec"]["schedules"] == ["30 4 * * 1"]
    assert len(kube.request("GET", CRONS)["items"]) == 1


def test_a_schedule_that_somebody_suspended_stays_suspended(kube: Kubernetes, argo: Argo) -> None:
    argo.schedule("weekly", "0 3 * * 0", GIVEN, timezone="UTC")
    kube.request("PATCH", f"{CRONS}/weekly", {"spec": {"suspend": True}})
    assert argo.schedule("weekly", "0 3 * * 0", GIVEN, timezone="UTC") == "unchanged"
    assert argo.schedule("weekly", "30 4 * * 1", GIVEN, timezone="UTC") == "updated"
    assert cron(kube)["spec"]["suspend"] is True


def test_somebody_elses_cron_workflow_is_left_alone(kube: Kubernetes, argo: Argo) -> None:
    theirs = {"metadata": {"name": "weekly"}, "spec": {"schedules": ["* * * * *"]}}
    kube.request("POST", CRONS, theirs)
    with pytest.raises(ConflictError, match="argo/weekly was not made by tidegate"):
        argo.schedule("weekly", "0 3 * * 0", GIVEN, timezone="UTC")
    assert cron(kube)["spec"] == theirs["spec"]


def test_what_the_template_would_refuse_is_refused_before_anything_is_written(
    kube: Kubernetes, argo: Argo
) -> None:
    with pytest.raises(UsageError, match=r"has no parameter 'polciy'; it has .*policy"):
        argo.submit(GIVEN | {"polciy": "x"})
    with pytest.raises(UsageError, match="argo/tidegate-release needs parameter 'policy'"):
        argo.schedule("weekly", "0 3 * * 0", {}, timezone="UTC")
    with pytest.raises(RejectedError, match="argo/absent does not exist; apply it first"):
        Argo(kube, "argo", "absent").submit(GIVEN)
    with pytest.raises(RejectedError, match="ClusterWorkflowTemplate tidegate-release does not"):
        Argo(kube, "argo", "tidegate-release", cluster_scope=True).submit(GIVEN)
    assert not kube.request("GET", CRONS)["items"]


@pytest.mark.usefixtures("kube")
def test_the_commands_say_the_word_on_stdout_and_the_next_moments_on_stderr() -> None:
    command = ["schedule", "argo", "--cron", "0 3 * * 0", "--name", "weekly", "-p", "policy=x=y"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.exception
    assert done.stdout == "created\n"
    assert done.stderr.startswith("weekly: next Sun 2")
    submitted = CliRunner().invoke(app, ["submit", "argo", "-p", "policy=x"])
    assert submitted.stdout.startswith("tidegate-release-")
    refused = CliRunner().invoke(app, ["submit", "argo", "-p", "policy"])
    assert isinstance(refused.exception, UsageError)
