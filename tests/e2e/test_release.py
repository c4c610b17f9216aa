"""A release end to end: the compiled drawing on real Triton, Envoy, Prometheus and MLflow.

The tests are one story and run in the order of the file.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes import client, config

from tests.e2e.conftest import Home
from tests.e2e.meanwhile import Meanwhile

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(240)]
ROW = {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 13], "data": [0.5] * 13}]}


def predictor(home: Home, name: str = "tiny") -> dict[str, Any]:
    """The InferenceService's status of its predictor."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    found = client.CustomObjectsApi().get_namespaced_custom_object(
        "serving.kserve.io", "v1beta1", "default", "inferenceservices", name
    )
    part: dict[str, Any] = found["status"]["components"]["predictor"]
    return part


def shares(home: Home, name: str = "tiny") -> dict[str, int]:
    traffic = predictor(home, name)["traffic"]
    return {t["revisionName"]: t["percent"] for t in traffic if t["percent"]}


def source_of(revision: str) -> str:
    """The storage URI that a revision serves."""
    found = client.CustomObjectsApi().get_namespaced_custom_object(
        "serving.knative.dev", "v1", "default", "revisions", revision
    )
    return str(
        found["metadata"]["annotations"]["internal.serving.kserve.io/storage-initializer-sourceuri"]
    )


def alias(home: Home, model: str = "tiny") -> str:
    reply = httpx.get(
        f"{home.environment['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/alias",
        params={"name": model, "alias": "champion"},
    )
    return str(reply.raise_for_status().json()["model_version"]["version"])


class Production(Meanwhile):
    """Requests through the ingress while something else happens; every answer counted."""

    def __init__(
        self, home: Home, name: str = "tiny", row: dict[str, Any] = ROW, service: str = ""
    ) -> None:
        super().__init__()
        self.url = home.environment["TIDEGATE_INGRESS_URL"] + f"/v2/models/{name}/infer"
        self.host, self.row = f"{service or f'{name}-predictor'}.default.example.com", row
        self.versions: list[str] = []
        self.failures: list[str] = []

    def _run(self) -> None:
        with httpx.Client(headers={"host": self.host}, timeout=10) as session:
            while not self._stop.wait(0.05):
                try:
                    reply = session.post(self.url, json=self.row).raise_for_status()
                    self.versions.append(reply.json()["model_version"])
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))


def services(home: Home) -> list[str]:
    """The InferenceServices that there are."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    found = client.CustomObjectsApi().list_namespaced_custom_object(
        "serving.kserve.io", "v1beta1", "default", "inferenceservices"
    )
    return [item["metadata"]["name"] for item in found["items"]]


def journal(home: Home, name: str = "tiny") -> dict[str, Any]:
    config.load_kube_config(home.environment["KUBECONFIG"])
    held = client.CoreV1Api().read_namespaced_config_map(f"tidegate-{name}", "default")
    found: dict[str, Any] = json.loads(held.data["journal.json"])
    return found


def test_a_first_release_that_fails_its_gate_was_never_live(
    home: Home, variant: Callable[..., Path]
) -> None:
    tail = [{"kind": "latency", "quantile": 0.99, "limit_ms": 0.05, "min_samples": 100}]
    done = home.release("models:/tiny/1", variant(slo={"objectives": tail}))
    assert (done.returncode, done.stdout.strip()) == (7, "ROLLED_BACK"), done.stderr
    assert re.search(r"p99 .* 0\.05 ms", done.stderr), done.stderr
    assert [act["kind"] for act in journal(home)["acts"]] == ["PREVIEW", "DISCARD"]
    assert services(home) == []


def test_a_first_release_passes_as_a_preview_then_goes_live_and_the_alias_follows(
    home: Home,
) -> None:
    done = home.release("models:/tiny/1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "PROMOTED"
    assert [act["kind"] for act in journal(home)["acts"]] == ["PREVIEW", "CREATE", "DISCARD"]
    assert list(shares(home).values()) == [100]
    assert services(home) == ["tiny"]
    assert alias(home) == "1"


def test_the_same_version_again_changes_nothing(home: Home) -> None:
    before = predictor(home)["latestCreatedRevision"]
    done = home.release("models:/tiny/1")
    assert (done.returncode, done.stdout.strip()) == (0, "UNCHANGED"), done.stderr
    assert predictor(home)["latestCreatedRevision"] == before


@pytest.mark.parametrize("runner", ["kfp", "argo"])
def test_wrong_answers_stop_at_parity_before_the_cluster(home: Home, runner: str) -> None:
    before = predictor(home)
    done = home.tidegate(
        "release", str(home.policy), "--model-uri", "models:/tiny/3", "--runner", runner
    )
    assert (done.returncode, done.stdout.strip()) == (7, "REJECTED"), done.stderr
    assert "label" in done.stderr
    assert predictor(home) == before


@pytest.mark.parametrize(
    ("uri", "code", "named"),
    [
        ("models:/nothing/1", 5, "nothing"),
        ("models:/tiny/9", 5, "9"),
        ("models:/tiny@golden-one", 5, "golden-one"),
        ("tiny", 3, "models:/name@alias"),
    ],
)
def test_a_model_that_cannot_be_resolved_is_one_line(
    home: Home, uri: str, code: int, named: str
) -> None:
    done = home.tidegate(
        "resolve", "--policy", str(home.policy), "--release-id", "x", "--model-uri", uri,
        "--candidate", "candidate", "--policy-document", "effective",
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("tidegate: ")
    assert named in last
    assert "Traceback" not in done.stderr


def test_an_unreachable_mlflow_is_a_try_again_that_names_it(home: Home) -> None:
    environment = home.environment | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    done = Home(environment, home.folder, home.policy).release("models:/tiny/1")
    assert done.returncode == 75, done.stderr
    assert "resolve: " in done.stderr
    assert "127.0.0.1:9" in done.stderr


def interrupted(home: Home) -> tuple[int, str]:
    """Start a release, press Ctrl-C once the load test runs; exit code and what it said after."""
    command = [sys.executable, "-m", "tidegate", "release", str(home.policy)]
    with subprocess.Popen(
        [*command, "--model-uri", "models:/tiny/2"],
        env=home.environment,
        cwd=home.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "load-test" in line and "pair" in line:
                break
        child.send_signal(signal.SIGINT)
        rest = child.stderr.read()
    return child.returncode, rest


def test_an_interrupted_release_returns_production_to_the_incumbent(home: Home) -> None:
    code, said = interrupted(home)
    assert code == 130
    assert "the guard returns production" in said
    (serving,) = shares(home)
    assert shares(home) == {serving: 100}
    assert "/tiny/1-" in source_of(serving)
    assert alias(home) == "1"


def test_a_better_version_is_promoted_without_losing_a_request(home: Home) -> None:
    with Production(home) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        done = home.release("models:/tiny/2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "PROMOTED"
    assert production.failures == []
    assert set(production.versions) == {"1", "2"}
    assert production.versions[-1] == "2"
    assert alias(home) == "2"


def test_the_report_tells_the_whole_story(home: Home) -> None:
    newest = max((home.folder / ".tidegate/runs").iterdir())
    page = next(newest.glob("artifacts/*/report/outputs/page")).read_text()
    document = json.loads(
        next(newest.glob("artifacts/*/report/outputs/report_document")).read_text()
    )
    assert document["result"] == "PROMOTED"
    assert [step["percent"] for step in document["journal"]["outcome"]["steps"]] == [30, 100]
    for told in ("PROMOTED", "tiny", "p99", document["candidate"]["subject"]["digest"][:12]):
        assert told in page


def test_what_was_judged_is_judged_again_offline(home: Home) -> None:
    newest = max((home.folder / ".tidegate/runs").iterdir())
    for written in ("gate/outputs/evidence", "promote/outputs/live_evidence"):
        (path,) = newest.glob(f"artifacts/*/{written}")
        again = home.tidegate("gate", "--replay", str(path))
        assert (again.returncode, again.stdout.strip()) == (0, "PASS"), again.stderr


def test_the_incumbent_is_calibrated_against_itself(home: Home) -> None:
    newest = max((home.folder / ".tidegate/runs").iterdir())
    (golden,) = newest.glob("artifacts/*/optimize/outputs/optimized_model/golden.npz")
    before = predictor(home)
    time.sleep(20)  # until the client of the test before is out of Prometheus' window
    done = home.tidegate("calibrate", str(home.policy), "--on-cluster", "--golden", str(golden))
    assert (done.returncode, done.stdout.strip()) == (0, "PASS"), done.stderr
    assert "the incumbent's" in done.stderr
    assert predictor(home) == before


def test_a_slow_answer_by_the_policy_is_rolled_back(
    home: Home, variant: Callable[..., Path]
) -> None:
    impossible = [{"kind": "latency", "quantile": 0.5, "limit_ms": 0.05, "min_samples": 100}]
    with Production(home) as production:
        time.sleep(4)
        done = home.release("models:/tiny/1", variant(slo={"objectives": impossible}))
    assert (done.returncode, done.stdout.strip()) == (7, "ROLLED_BACK"), done.stderr
    assert "0.05 ms" in done.stderr
    assert production.failures == []
    assert set(production.versions) == {"2"}
    assert alias(home) == "2"


def test_a_plan_shows_what_would_be_done_and_does_nothing(home: Home) -> None:
    before = predictor(home)
    done = home.tidegate("plan", str(home.policy), "--model-uri", "models:/tiny/1")
    assert done.returncode == 0, done.stderr
    for told in (
        "1. STAGE 0 %",
        "3. SHIFT 100 %",
        "tiny/1-DIGEST/",
        "+    canaryTrafficPercent: 0",
    ):
        assert told in done.stdout
    assert predictor(home) == before


def test_an_earlier_version_is_back_in_one_command_without_losing_a_request(home: Home) -> None:
    with Production(home) as production:
        done = home.tidegate("rollback", "tiny", "--to", "previous")
        time.sleep(1)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert production.failures == []
    assert (production.versions[0], production.versions[-1]) == ("2", "1")
    assert alias(home) == "1"
    shown = home.tidegate("status", "tiny")
    assert "default/tiny: PROMOTED, release rollback-" in shown.stdout
    assert "earlier    version 2" in shown.stdout
