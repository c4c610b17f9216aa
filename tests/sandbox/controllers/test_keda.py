"""KEDA's word on a ScaledObject: Ready with its Deployment, and not without, whatever the object says."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.controllers.emulated_cluster import Cluster, running
from tidegate.sandbox.api.kinds import DEPLOYMENTS, SCALEDOBJECTS
from tidegate.sandbox.controllers.keda import MISSING, READY

KEDA = ("keda.sh", "v1alpha1", "default", "scaledobjects")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as one:
        yield one


def told(cluster: Cluster, spec: dict[str, Any]) -> tuple[str, str]:
    """Status and message of Ready, of an object with this spec."""
    body = {
        "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": "one"},
        "spec": spec,
    }  # fmt: skip
    cluster.objects.create_namespaced_custom_object(*KEDA, body)
    cluster.loop.settle()
    (ready,) = cluster.api.store.get(SCALEDOBJECTS, "default", "one")["status"]["conditions"]
    return ready["status"], ready["message"]


def test_it_is_ready_with_its_deployment(cluster: Cluster) -> None:
    made = {"metadata": {"name": "digits-predictor"}, "spec": {"replicas": 0, "template": {}}}
    cluster.api.store.create(DEPLOYMENTS, made, "default")
    assert told(cluster, {"scaleTargetRef": {"name": "digits-predictor"}}) == ("True", READY)


@pytest.mark.parametrize(
    "spec", [{"scaleTargetRef": {"name": "digits-predictor"}}, {"scaleTargetRef": {}}, {}]
)
def test_without_a_deployment_or_a_name_for_it_it_is_not_and_the_others_are_reconciled(
    cluster: Cluster, spec: dict[str, Any]
) -> None:
    assert told(cluster, spec) == ("False", MISSING)
