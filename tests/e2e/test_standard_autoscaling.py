"""HPA and KEDA end to end on real Tritons in Standard mode: released, more pods under load, fewer after it.

The policies of examples/hpa and examples/keda-queue-time are released, with targets that this machine can
reach, without the GPU, with evidence for a small machine, and with shorter windows than a test can wait for:
the controller manager's and metrics-server's own flags, for KServe hands on no `behavior` to an HPA.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from tests.e2e.conftest import POLICY, Home, running
from tests.e2e.test_autoscaled_releases import Pressing, delete, example, pods, until, written
from tests.e2e.test_release import Production
from tidegate.sandbox.controllers.hpa.rules import Flags

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(400)]
SOON = Flags(sync_period_s=2, downscale_stabilization_s=10)
GENTLE = {**POLICY["load"], "rate_rps": 40, "block_requests": 60}  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    folder = tmp_path_factory.mktemp("followed")
    with running(folder, "Standard", hpa=SOON, metric_resolution_s=3) as one:
        yield one


def hpa(home: Home, name: str) -> Any:
    config.load_kube_config(home.environment["KUBECONFIG"])
    return client.AutoscalingV2Api().read_namespaced_horizontal_pod_autoscaler(name, "default")


def told(home: Home, name: str) -> dict[str, tuple[str, str]]:
    listed = hpa(home, name).status.conditions or []
    return {one.type: (one.status, one.reason) for one in listed}


def bounds(home: Home, name: str) -> tuple[int, int]:
    spec = hpa(home, name).spec
    return spec.min_replicas, spec.max_replicas


def released_twice(home: Home, name: str, policy: Path) -> None:
    """A first version, and a second one in its place without a lost request."""
    first = home.release("models:/tiny/1", policy)
    assert (first.returncode, first.stdout.strip()) == (0, "PROMOTED"), first.stderr
    with Production(home, name, service=name) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        second = home.release("models:/tiny/2", policy)
        assert (second.returncode, second.stdout.strip()) == (0, "PROMOTED"), second.stderr
    assert (production.failures, production.versions[-1]) == ([], "2")


def pressed(home: Home, name: str, clients: int) -> None:
    """A crowd makes a pod more, and its end takes it back; nobody is refused."""
    until(lambda: len(pods(home, name)) == 1, 60)
    steady = Production(home, name, service=name)
    before = list(Pressing.failures)
    with steady:
        with ExitStack() as crowd:
            for _ in range(clients):
                crowd.enter_context(Pressing(home, name, service=name))
            until(lambda: len(pods(home, name)) >= 2, 60)
        until(lambda: len(pods(home, name)) == 1, 150)
    assert steady.failures == []
    assert len(steady.versions) > 50
    assert Pressing.failures == before


def test_a_release_of_an_hpas_service_is_promoted_and_its_pods_follow_the_cpu(home: Home) -> None:
    serving = example("hpa")["serving"] | {"min_replicas": 1, "max_replicas": 3}
    serving["resources"] = {"requests": {"cpu": "150m", "memory": "1Gi"}}
    policy = written(home, "fraud", serving, load=GENTLE)
    released_twice(home, "fraud", policy)
    own = "fraud-green-predictor"
    assert bounds(home, own) == (1, 3)
    until(lambda: told(home, own)["ScalingActive"] == ("True", "ValidMetricFound"), 30)
    assert told(home, "fraud-blue-predictor")["AbleToScale"] == ("False", "FailedGetScale")
    pressed(home, "fraud", clients=12)
    (metric,) = hpa(home, own).status.current_metrics
    assert metric.resource.current.average_utilization < 70
    delete(home, "fraud")


def test_a_release_of_kedas_service_is_promoted_and_its_pods_follow_tritons_queue(
    home: Home,
) -> None:
    serving = example("keda-queue-time")["serving"] | {"max_replicas": 3}
    del serving["gpu"], serving["placement"]
    queue, own_query = serving["scaling"]["triggers"]
    queue["threshold"] = 2  # ms
    own_query["query"] = own_query["query"].replace("shop", "default")
    serving["scaling"] |= {"polling_s": 2, "cooldown_s": 10}
    policy = written(home, "vision", serving, load=GENTLE)
    released_twice(home, "vision", policy)
    own = "keda-hpa-vision-green-predictor"
    assert bounds(home, own) == (1, 3)
    until(lambda: told(home, own)["ScalingActive"] == ("True", "ValidMetricFound"), 30)
    pressed(home, "vision", clients=32)
    values = [one.external.current.value for one in hpa(home, own).status.current_metrics]
    assert len(values) == 2
    delete(home, "vision")
