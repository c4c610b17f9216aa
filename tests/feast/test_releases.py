"""The policies of transformer and transformer-component, released while clients send ids of customers.

Feast's own feature server has their features; the policies are told where it is, and that it may take long.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import config

from tests.e2e.conftest import Home, empty
from tests.e2e.test_autoscaled_releases import delete
from tests.e2e.test_examples import Run, promoting, released, values, written
from tests.e2e.test_release import Production, shares
from tests.feast.customers import IDS, NO_AMOUNT, UNKNOWN
from tests.feast.record import QUESTIONS, RECORD
from tests.feast.server import FeatureServer, needs_feast

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(500), needs_feast]
REGISTER = Path(__file__).with_name("register.py")
FEAST = "feast.feast:6566"
FORMS = {"transformer": "transformer-predictor", "transformer-component": "transformer-component"}
"""Example -> the service that clients ask."""


@pytest.fixture(scope="module")
def feast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureServer]:
    with FeatureServer(tmp_path_factory.mktemp("feast")) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with empty(tmp_path_factory.mktemp("customers"), "Knative") as one:
        subprocess.run(
            [sys.executable, "-m", "tests.feast.register", str(one.folder / "expected.json")],
            env=one.environment, check=True, timeout=110,
        )  # fmt: skip
        config.load_kube_config(one.environment["KUBECONFIG"])
        yield one


def policy_of(home: Home, feast: FeatureServer, example: str) -> Path:
    path = written(home, example)
    made = yaml.safe_load(path.read_text())
    transformer = made["serving"]["transformer"]
    assert f"--feast_serving_url={FEAST}" in transformer["args"]
    transformer["args"] = [one.replace(FEAST, feast.address) for one in transformer["args"]]
    transformer["env"] = {"FEAST_TIMEOUT_S": "8"}  # of a busy machine
    made["slo"]["objectives"][0]["min_samples"] = (
        30  # neighbours are alike where two more processes answer
    )
    path.write_text(yaml.safe_dump(made))
    return path


def asked(*ids: int) -> dict[str, Any]:
    tensor = {"name": "customer_id", "datatype": "INT64", "shape": [len(ids), 1], "data": [*ids]}
    return {"inputs": [tensor]}


class Customers(Production):
    """Production in which one customer after another comes."""

    def __init__(self, home: Home, name: str, row: dict[str, Any], service: str = "") -> None:
        super().__init__(home, name, row, service)
        self.answers: list[tuple[int, str, list[float]]] = []

    def _run(self) -> None:
        with httpx.Client(headers={"host": self.host}, timeout=10) as session:
            for one in itertools.cycle(IDS):
                if self._stop.wait(0.05):
                    return
                try:
                    answer = session.post(self.url, json=asked(one)).raise_for_status().json()
                    self.versions.append(answer["model_version"])
                    self.answers.append((one, self.versions[-1], values(answer, "probabilities")))
                except httpx.HTTPError as error:
                    self.failures.append(f"{error!r} {getattr(error, 'response', error)}")


def post(home: Home, example: str, *ids: int) -> httpx.Response:
    url = f"{home.environment['TIDEGATE_INGRESS_URL']}/v2/models/{example}/infer"
    host = {"host": f"{FORMS[example]}.default.example.com"}
    return httpx.post(url, json=asked(*ids), headers=host, timeout=30)


@pytest.mark.parametrize("example", FORMS)
def test_clients_send_ids_and_get_each_versions_own_answer_to_what_feast_has_of_them(
    home: Home, feast: FeatureServer, example: str
) -> None:
    policy = policy_of(home, feast, example)
    expected = json.loads((home.folder / "expected.json").read_text())
    released(home, "models:/fraud/1", policy)
    service = FORMS[example]
    with promoting(home, policy, "models:/fraud/2", service=service, by=Customers) as (weights, _):
        pass
    production = weights.production
    assert isinstance(production, Customers)
    assert {one for one, *_ in production.answers} == set(IDS)
    for one, version, found in production.answers:
        assert found == pytest.approx(expected[version][str(one)], abs=1e-5), (one, version)
    several = post(home, example, *IDS[:4]).json()
    wanted = [value for one in IDS[:4] for value in expected["2"][str(one)]]
    assert values(several, "probabilities") == pytest.approx(wanted, abs=1e-5)
    for one, status, said in (
        (UNKNOWN, 404, "customer_id 9: orders:amount_30d is not found in Feast"),
        (NO_AMOUNT, 422, "customer_id 2001: orders:amount_30d is null in Feast"),
    ):
        refused = post(home, example, one)
        assert (refused.status_code, refused.json()["error"]) == (status, said)


VERDICTS = {
    "transformer": "live requests answered 5xx",  # the candidate's own; the incumbent's fail as well
    "transformer-component": "INCONCLUSIVE at 30 %",  # no request gets past the transformer to either
}


@pytest.mark.parametrize("example", FORMS)
def test_a_feature_server_that_dies_during_a_canary_sends_production_back_and_promotes_nothing(
    home: Home, feast: FeatureServer, example: str
) -> None:
    policy = policy_of(home, feast, example)
    with Customers(home, example, {}, FORMS[example]) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        with Run(home, policy, "models:/fraud/3") as run:
            run.says("has 30 %")
            (candidate,) = (one for one, percent in shares(home, example).items() if percent == 30)
            lost = len(production.failures)
            feast.die()
            try:
                run.says("return traffic to")
                down = post(home, example, IDS[0])
                without(home, example, candidate)
            finally:
                feast.start()
            run.ends(7, "ROLLED_BACK")
        back = len(production.versions)
        time.sleep(2)
    assert VERDICTS[example] in run.told
    assert lost == 0
    assert (down.status_code, "Feast at" in down.json()["error"]) == (503, True)
    assert "customer_id 1001: orders:amount_30d" in down.json()["error"]
    assert set(production.versions[back:]) == {"2"}
    delete(home, example)


def without(home: Home, example: str, candidate: str) -> None:
    """Wait until it has no share of production."""
    deadline = time.monotonic() + 30
    while candidate in shares(home, example):
        assert time.monotonic() < deadline, shares(home, example)
        time.sleep(0.2)


def test_the_recorded_answers_are_what_the_feature_server_says(feast: FeatureServer) -> None:
    known = json.loads(RECORD.read_text())["answers"]
    assert {name: one["asked"] for name, one in known.items()} == QUESTIONS
    for name, question in QUESTIONS.items():
        answer = feast.ask(question)
        assert answer.status_code == known[name]["status"], name
        assert timeless(answer.json()) == timeless(known[name]["answer"]), name


def timeless(answer: Any) -> Any:
    """Columns by name, for their order is another whenever it is started; without the times of the data."""
    if not isinstance(answer, dict):
        return answer
    columns = [
        {k: v for k, v in one.items() if k != "event_timestamps"} for one in answer["results"]
    ]
    return dict(zip(answer["metadata"]["feature_names"], columns, strict=True))
