"""Releases of a scikit-learn model on KServe's own server, without Triton: v1 in Standard mode, v2 in
Knative.

Each story's tests run in the order of the file.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from kubernetes import client, config

from tests.e2e.conftest import Home, empty
from tests.e2e.meanwhile import Meanwhile
from tests.e2e.test_release import alias, services

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(420)]
EXAMPLE = Path(__file__).parents[2] / "examples" / "sklearn-v1" / "policy.yaml"
REGISTER = Path(__file__).with_name("register_iris.py")
# One process answers some 80 requests a second here, and others share the machine.
JUDGED: dict[str, Any] = {
    "initial": "allow",
    "parity": {"accuracy_margin": 0.06},
    "load": {
        "rate_rps": 20, "arrivals": "constant", "pairs": 6, "block_requests": 30, "max_extensions": 4,
        "warmup_s": 0.5, "max_lag_ms": 200, "min_delivered_ratio": 0.9,
    },
    "slo": {
        "objectives": [
            {"kind": "latency", "quantile": 0.5, "limit_ms": 400, "min_samples": 50},
            {"kind": "errors", "limit": 0.05},
            {"kind": "relative_latency", "quantile": "p50", "floor_ms": 400, "min_pairs": 6},
        ]
    },
    "traffic": {"steps": [50, 100], "bake_s": 2, "max_bake_s": 60, "min_requests": 10},
}  # fmt: skip


@dataclass
class Story:
    """A cluster, what its policy says, and what scikit-learn itself answers by version."""

    home: Home
    policy: dict[str, Any]
    rows: list[list[float]] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return f"iris-predictor.{self.policy['namespace']}.example.com"

    def release(self, version: int) -> "subprocess.CompletedProcess[str]":
        self.home.policy.write_text(yaml.safe_dump(self.policy))
        uri = f"models:/iris/{version}"
        return self.home.tidegate("release", str(self.home.policy), "--model-uri", uri, timeout=380)

    def ask(self, session: httpx.Client, rows: list[list[float]]) -> list[int]:
        """Predictions through the ingress, as a client asks."""
        url = self.home.environment["TIDEGATE_INGRESS_URL"]
        if self.policy["serving"]["protocol"] == "v1":
            reply = session.post(f"{url}/v1/models/iris:predict", json={"instances": rows})
            return list(reply.raise_for_status().json()["predictions"])
        tensor = {"name": "X", "datatype": "FP32", "shape": [len(rows), 4], "data": rows}
        reply = session.post(f"{url}/v2/models/iris/infer", json={"inputs": [tensor]})
        return list(reply.raise_for_status().json()["outputs"][0]["data"])

    def all_answers(self) -> list[int]:
        with httpx.Client(headers={"host": self.host}, timeout=20) as session:
            return self.ask(session, self.rows)


class Production(Meanwhile):
    """One row after another through the ingress while something else happens; failures counted."""

    def __init__(self, story: Story) -> None:
        super().__init__()
        self.story, self.failures, self.sent = story, list[str](), 0

    def _run(self) -> None:
        with httpx.Client(headers={"host": self.story.host}, timeout=20) as session:
            while not self._stop.wait(0.1):
                row = self.sent % len(self.story.rows)
                known = {answers[row] for answers in self.story.answers.values()}
                try:
                    (found,) = self.story.ask(session, [self.story.rows[row]])
                    self.failures += [f"row {row}: {found}"] if found not in known else []
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.failures.append(repr(error))
                self.sent += 1


def told(folder: Path, policy: dict[str, Any], mode: Any) -> Iterator[Story]:
    with empty(folder, mode) as home:
        answers = folder / "answers.json"
        subprocess.run(
            [sys.executable, str(REGISTER), str(answers)],
            env=home.environment, check=True, timeout=200,
        )  # fmt: skip
        yield Story(home, policy, **json.loads(answers.read_text()))


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    policy = yaml.safe_load(EXAMPLE.read_text()) | JUDGED
    for story in told(tmp_path_factory.mktemp("standard"), policy, "Standard"):
        config.load_kube_config(story.home.environment["KUBECONFIG"])
        client.CoreV1Api().create_namespace({"metadata": {"name": policy["namespace"]}})
        yield story


@pytest.fixture(scope="module")
def knative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    policy = {
        "name": "iris",
        "namespace": "default",
        "model": {"uri": "models:/iris/1"},
        "serving": {"format": "sklearn", "protocol": "v2"},
    }
    yield from told(tmp_path_factory.mktemp("knative"), policy | JUDGED, "Knative")


def test_the_example_is_released_in_standard_mode_and_answers_v1_as_scikit_learn(
    standard: Story,
) -> None:
    done = standard.release(1)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert standard.all_answers() == standard.answers["1"]


def promoted_under_traffic(story: Story) -> None:
    """Version 2 takes production by steps, and nobody is left without an answer."""
    with Production(story) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        done = story.release(2)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert production.failures == []
    assert production.sent > 50
    assert story.all_answers() == story.answers["2"] != story.answers["1"]
    assert alias(story.home, "iris") == "2"


def test_its_second_version_is_promoted_by_steps_without_a_lost_request(standard: Story) -> None:
    promoted_under_traffic(standard)


def test_a_first_release_in_knative_mode_is_judged_as_a_preview_of_the_same_model_name(
    knative: Story,
) -> None:
    knative.policy["initial"] = "preview"
    done = knative.release(1)
    assert (done.returncode, done.stdout.strip()) == (0, "PROMOTED"), done.stderr
    assert services(knative.home) == ["iris"]
    assert knative.all_answers() == knative.answers["1"]


def test_its_second_version_is_promoted_over_v2_without_a_lost_request(knative: Story) -> None:
    promoted_under_traffic(knative)


def test_a_version_that_is_less_accurate_is_refused_and_production_stays_as_it_was(
    knative: Story,
) -> None:
    with Production(knative) as production:
        time.sleep(4)
        done = knative.release(3)
    assert (done.returncode, done.stdout.strip()) == (7, "ROLLED_BACK"), done.stderr
    assert "accuracy of label" in done.stderr
    assert production.failures == []
    assert knative.all_answers() == knative.answers["2"]
    assert alias(knative.home, "iris") == "2"
