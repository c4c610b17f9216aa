"""submit and schedule on Kubeflow, by the SDK itself against a server that speaks its protocol."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scheduling.kubeflow_server import Store, kubeflow_server
from tidegate.errors import ConflictError, RejectedError, UnavailableError, UsageError
from tidegate.orchestrators.kubeflow import Kubeflow
from tidegate.orchestrators.local_run import compiled_pipeline

RELEASE = compiled_pipeline()
GIVEN = {"policy": "configmap:ml/digits"}
CRON = "0 0 3 * * 0"


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Store]:
    monkeypatch.setenv("HOME", str(tmp_path))  # the SDK keeps a context there
    with kubeflow_server() as running:
        yield running


@pytest.fixture
def kubeflow(store: Store) -> Kubeflow:
    return Kubeflow(store.url, token="t0ken")


def test_a_run_is_of_an_uploaded_version_with_its_parameters_and_caching_as_compiled(
    store: Store, kubeflow: Kubeflow, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = kubeflow.submit(RELEASE, GIVEN, account="runner")
    (run,) = store.kept["runs"]
    assert run["run_id"] == run_id
    assert run["runtime_config"]["parameters"] == GIVEN
    assert run["service_account"] == "runner"
    assert run["pipeline_version_reference"]["pipeline_version_id"] == "pipeline_version-2"
    assert "pipeline_spec" not in run, "an inline copy would lose the version"
    assert set(store.tokens) == {"t0ken"} or set(store.tokens) == {"Bearer t0ken"}
    assert capsys.readouterr().out == "", "the SDK's words do not get into stdout"


def test_the_same_text_is_uploaded_once_and_another_becomes_a_version(
    store: Store, kubeflow: Kubeflow, tmp_path: Path
) -> None:
    kubeflow.submit(RELEASE, GIVEN)
    kubeflow.submit(RELEASE, GIVEN)
    assert len(store.kept["pipelines"]) == len(store.kept["versions"]) == 1
    changed = tmp_path / "release.yaml"
    changed.write_text(RELEASE.read_text() + "# changed\n")
    kubeflow.submit(changed, GIVEN)
    assert len(store.kept["pipelines"]) == 1
    assert len({one["display_name"] for one in store.kept["versions"]}) == 2


def test_the_same_schedule_again_changes_nothing_and_another_replaces_it(
    store: Store, kubeflow: Kubeflow
) -> None:
    assert kubeflow.schedule("weekly", CRON, RELEASE, GIVEN) == "created"
    (first,) = store.kept["recurringruns"]
    assert first["trigger"]["cron_schedule"]["cron"] == CRON
    assert (first["max_concurrency"], first["no_catchup"]) == (1, True)
    assert first["status"] == "ENABLED"
    assert kubeflow.schedule("weekly", CRON, RELEASE, GIVEN) == "unchanged"
    assert store.kept["recurringruns"] == [first]

    assert kubeflow.schedule("other", CRON, RELEASE, GIVEN) == "created"
    assert kubeflow.schedule("weekly", "0 30 4 * * 1", RELEASE, GIVEN) == "updated"
    crons = {
        one["display_name"]: one["trigger"]["cron_schedule"]["cron"]
        for one in store.kept["recurringruns"]
    }
    assert crons == {"other": CRON, "weekly": "0 30 4 * * 1"}
    assert {one["status"] for one in store.kept["recurringruns"]} == {"ENABLED"}


def test_two_never_fire_and_an_update_that_died_half_way_is_finished_by_the_same_again(
    store: Store, kubeflow: Kubeflow
) -> None:
    kubeflow.schedule("weekly", CRON, RELEASE, GIVEN)
    store.fail["POST recurringruns"] = (500, "database is away")
    with pytest.raises(UnavailableError, match="database is away; try again"):
        kubeflow.schedule("weekly", "0 30 4 * * 1", RELEASE, GIVEN)
    assert [one["status"] for one in store.kept["recurringruns"]] == ["DISABLED"]
    store.fail = {}
    assert kubeflow.schedule("weekly", "0 30 4 * * 1", RELEASE, GIVEN) == "updated"
    (left,) = store.kept["recurringruns"]
    assert left["status"] == "ENABLED"
    disabled = store.calls.index("POST recurringruns/recurring_run-4:disable")
    assert disabled < max(i for i, call in enumerate(store.calls) if call == "POST recurringruns")


def test_somebody_elses_recurring_run_is_left_alone(store: Store, kubeflow: Kubeflow) -> None:
    kubeflow.schedule("weekly", CRON, RELEASE, GIVEN)
    store.kept["recurringruns"][0]["description"] = "by hand"
    before = [dict(one) for one in store.kept["recurringruns"]]
    with pytest.raises(ConflictError, match="was not made by tidegate; choose another --name"):
        kubeflow.schedule("weekly", "0 30 4 * * 1", RELEASE, GIVEN)
    assert store.kept["recurringruns"] == before


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "pipeline tidegate-release needs parameter 'policy'; give -p policy="),
        (GIVEN | {"polciy": "x"}, "has no parameter 'polciy'; it has .*policy"),
    ],
)
def test_parameters_that_the_pipeline_would_refuse_are_refused_before_anything_is_uploaded(
    store: Store, kubeflow: Kubeflow, given: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        kubeflow.submit(RELEASE, given)
    assert "pipelines" not in store.kept


def test_a_number_is_sent_as_a_number(store: Store, kubeflow: Kubeflow, tmp_path: Path) -> None:
    package = tmp_path / "p.yaml"
    package.write_text(
        "pipelineInfo: {name: p}\nroot: {inputDefinitions: {parameters: "
        "{rows: {parameterType: NUMBER_INTEGER}}}}\n"
    )
    kubeflow.submit(package, {"rows": "120"})
    assert store.kept["runs"][0]["runtime_config"]["parameters"] == {"rows": 120}
    with pytest.raises(UsageError, match="rows is 'many'; it is a number_integer"):
        kubeflow.submit(package, {"rows": "many"})


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, RejectedError, "401: no.*set TIDEGATE_KFP_TOKEN"),
        (403, RejectedError, "--namespace of a profile"),
        (400, RejectedError, r"refused submit \(400\): no"),
        (503, UnavailableError, "503: no; try again"),
    ],
)
def test_what_the_server_refuses_has_its_class(
    store: Store, kubeflow: Kubeflow, status: int, kind: type[Exception], message: str
) -> None:
    store.fail["POST runs"] = (status, "no")
    with pytest.raises(kind, match=message):
        kubeflow.submit(RELEASE, GIVEN)


def test_a_server_that_is_away_and_an_url_that_is_none_are_told(
    store: Store, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"is no http\(s\) URL; set TIDEGATE_KFP_URL"):
        Kubeflow("ml-pipeline:8888")
    with pytest.raises(UsageError, match="is no compiled pipeline"):
        Kubeflow(store.url).submit(tmp_path / "absent.yaml", {})
    with pytest.raises(UnavailableError, match="cannot be asked"):
        Kubeflow("http://127.0.0.1:9").submit(RELEASE, GIVEN)
