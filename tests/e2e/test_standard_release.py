"""Two releases end to end in Standard mode, one by each drawing, on real Triton, Envoy and Prometheus."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config

from tests.e2e.conftest import Home, running
from tests.e2e.test_release import Production, alias

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
BLUE, GREEN = "tiny-blue-predictor", "tiny-green-predictor"


@pytest.fixture(scope="module")
def standard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with running(tmp_path_factory.mktemp("standard"), "Standard") as home:
        yield home


def spec_of(home: Home) -> dict[str, Any]:
    config.load_kube_config(home.environment["KUBECONFIG"])
    found = client.CustomObjectsApi().get_namespaced_custom_object(
        "serving.kserve.io", "v1beta1", "default", "inferenceservices", "tiny"
    )
    spec: dict[str, Any] = found["spec"]
    return spec


def deployments(home: Home) -> dict[str, str]:
    """Name -> the rollout its pods are of."""
    config.load_kube_config(home.environment["KUBECONFIG"])
    items = client.AppsV1Api().list_namespaced_deployment("default").items
    return {
        d.metadata.name: d.metadata.annotations["deployment.kubernetes.io/revision"] for d in items
    }


def test_a_first_release_goes_live_as_argos_drawing_says(standard: Home) -> None:
    given = ("--model-uri", "models:/tiny/1", "--runner", "argo")
    done = standard.tidegate("release", str(standard.policy), *given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "PROMOTED"
    assert set(deployments(standard)) == {BLUE}


def test_a_second_one_takes_its_place_by_steps_without_a_restart_or_a_lost_request(
    standard: Home,
) -> None:
    with Production(standard) as production:
        time.sleep(4)  # Prometheus must have seen the rate that the load is matched to
        done = standard.release("models:/tiny/2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "PROMOTED"
    assert production.failures == []
    assert set(production.versions) == {"1", "2"}
    assert production.versions[-1] == "2"
    assert deployments(standard) == {GREEN: "1"}
    spec = spec_of(standard)
    assert (spec["predictor"]["name"], spec.get("canary")) == ("green", None)
    assert alias(standard) == "2"
