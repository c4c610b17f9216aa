"""KServe's HPAs on the emulated cluster: written for each predictor, and obeyed by its Deployment."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.controllers.standard_cluster import (
    AUTOSCALER,
    StandardCluster,
    entry,
    full,
    running,
)
from tidegate.sandbox.api.kinds import DEPLOYMENTS, HPAS

ONE_CORE = {"requests": {"cpu": "1", "memory": "1Gi"}}


@pytest.fixture
def cluster() -> Iterator[StandardCluster]:
    with running() as one:
        yield one


def model(uri: str = "s3://models/v1/", resources: Any = ONE_CORE) -> dict[str, Any]:
    return {"modelFormat": {"name": "triton"}, "storageUri": uri, "resources": resources}


def served(cluster: StandardCluster, low: int = 1, high: int = 8, **more: Any) -> None:
    """A ready service whose HPA aims at half a core of each pod, past its start."""
    given: dict[str, Any] = {"scaleMetric": "cpu", "scaleTarget": 50, "model": model()} | more
    cluster.create(autoscaler="hpa", minReplicas=low, maxReplicas=high, **given)
    cluster.ready("blue")
    cluster.wait(400)


def hpa(cluster: StandardCluster, name: str = "blue") -> dict[str, Any]:
    return cluster.base.api.store.get(HPAS, "default", full(name))


def conditions(cluster: StandardCluster, name: str = "blue") -> dict[str, tuple[str, str]]:
    listed = hpa(cluster, name)["status"]["conditions"]
    return {one["type"]: (one["status"], one["reason"]) for one in listed}


def pods(cluster: StandardCluster, name: str = "blue") -> int:
    return cluster.deployments()[name]


def wait(cluster: StandardCluster, seconds: float, step: float = 5) -> None:
    """Time passes as the loop sees it: a few seconds at a time."""
    for _ in range(round(seconds / step)):
        cluster.wait(step)


# -- the object


def test_kserve_writes_an_hpa_for_the_deployment_with_the_bounds_and_the_target(
    cluster: StandardCluster,
) -> None:
    served(cluster, 2, 8)
    found = hpa(cluster)
    assert found["spec"] == {
        "scaleTargetRef": {
            "apiVersion": "apps/v1", "kind": "Deployment", "name": "digits-blue-predictor",
        },
        "minReplicas": 2, "maxReplicas": 8, "behavior": {},
        "metrics": [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50},
                },
            }
        ],
    }  # fmt: skip
    assert found["metadata"]["ownerReferences"][0]["kind"] == "InferenceService"
    assert pods(cluster) == 2


def test_without_a_class_it_is_hpa_and_none_and_external_delete_it(
    cluster: StandardCluster,
) -> None:
    cluster.create(autoscaler="", minReplicas=0)
    assert hpa(cluster)["spec"]["minReplicas"] == hpa(cluster)["spec"]["maxReplicas"] == 1
    for other in ("none", "external"):
        cluster.patch({"metadata": {"annotations": {AUTOSCALER: other}}})
        assert cluster.base.api.store.items(HPAS) == []
        cluster.patch({"metadata": {"annotations": {AUTOSCALER: "hpa"}}})
        assert len(cluster.base.api.store.items(HPAS)) == 1


def test_a_canarys_has_one_possible_number_of_pods_and_outlives_its_deployment(
    cluster: StandardCluster,
) -> None:
    served(cluster, 2, 8)
    cluster.canary(entry("green", 0, minReplicas=2))
    spec = hpa(cluster, "green")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 2)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
    assert pods(cluster, "green") == 2
    cluster.canary()
    wait(cluster, 15)
    assert conditions(cluster, "green")["AbleToScale"] == ("False", "FailedGetScale")


def test_a_promoted_predictor_gets_the_bounds_of_the_service(cluster: StandardCluster) -> None:
    served(cluster, 2, 8)
    cluster.canary(entry("green", 0, minReplicas=2))
    cluster.ready("green")
    cluster.promote("green", minReplicas=3, maxReplicas=5)
    spec = hpa(cluster, "green")["spec"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 5)
    assert cluster.deployments() == {"green": 3}


def test_a_stopped_service_has_none(cluster: StandardCluster) -> None:
    served(cluster)
    cluster.patch({"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
    assert cluster.base.api.store.items(HPAS) == []


# -- what it decides


def test_load_adds_pods_and_a_reconcile_of_kserve_leaves_them(cluster: StandardCluster) -> None:
    served(cluster)
    cluster.base.meter.cores[full("blue")] = 1.0
    wait(cluster, 15)
    assert pods(cluster) == 2
    assert conditions(cluster) == {
        "AbleToScale": ("True", "SucceededRescale"),
        "ScalingActive": ("True", "ValidMetricFound"),
        "ScalingLimited": ("False", "DesiredWithinRange"),
    }
    (now,) = hpa(cluster)["status"]["currentMetrics"]
    assert now["resource"]["current"] == {"averageUtilization": 100, "averageValue": "1"}
    cluster.patch({"spec": {"predictor": {"timeout": 30}}})
    assert pods(cluster) == 2
    events = cluster.core.list_namespaced_event("default").items
    told = [e.message for e in events if e.reason == "SuccessfulRescale"]
    assert (
        "New size: 2; reason: cpu resource utilization (percentage of request) above target" in told
    )


def test_a_canary_its_share_and_its_end_leave_the_incumbent_the_pods_of_its_hpa(
    cluster: StandardCluster,
) -> None:
    served(cluster, 2, 8)
    cluster.base.meter.cores[full("blue")] = 0.9
    wait(cluster, 15)
    assert pods(cluster) == 4
    cluster.canary(entry("green", 0, minReplicas=1))
    cluster.ready("green")
    cluster.canary(entry("green", 10, minReplicas=1))
    assert cluster.deployments() == {"blue": 4, "green": 1}
    cluster.canary()
    assert cluster.deployments() == {"blue": 4}


def test_a_pod_that_starts_is_not_counted_until_a_window_after_it_is_ready(
    cluster: StandardCluster,
) -> None:
    served(cluster)
    cluster.base.meter.cores[full("blue")] = 1.0
    wait(cluster, 15)
    seen: list[int] = []
    while len(seen) < 20 and len(set(seen)) < 2:
        seen.append(pods(cluster))
        cluster.wait(5)
    assert (seen[0], seen[-1]) == (2, 4)  # 2 x 100 / 50, with both counted
    assert len(seen) > 3  # the first alone asks for no third: the young one counts as idle


def test_its_end_takes_them_back_after_the_five_minutes(cluster: StandardCluster) -> None:
    served(cluster)
    cluster.base.meter.cores[full("blue")] = 1.0
    wait(cluster, 15)
    cluster.base.meter.cores[full("blue")] = 0.05
    wait(cluster, 280, step=20)
    assert pods(cluster) == 2
    assert conditions(cluster)["AbleToScale"] == ("True", "ScaleDownStabilized")
    wait(cluster, 60)
    assert pods(cluster) == 1
    assert conditions(cluster)["ScalingLimited"] == ("False", "DesiredWithinRange")


def test_the_most_is_kept_and_said(cluster: StandardCluster) -> None:
    served(cluster, 1, 3)
    cluster.base.meter.cores[full("blue")] = 50.0
    wait(cluster, 60)
    assert pods(cluster) == 3
    assert conditions(cluster)["ScalingLimited"] == ("True", "TooManyReplicas")


def test_memory_is_a_metric_too(cluster: StandardCluster) -> None:
    served(cluster, scaleMetric="memory", scaleTarget=50)
    cluster.base.meter.cores[full("blue")] = 0.0
    cluster.base.meter.memory_bytes = 2**30
    wait(cluster, 15)
    assert pods(cluster) == 2
    (now,) = hpa(cluster)["status"]["currentMetrics"]
    assert now["resource"]["current"] == {
        "averageUtilization": 100, "averageValue": str(2**30),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("resources", "told"),
    [
        (None, "missing request for cpu in container kserve-container of Pod digits-blue"),
        ({"requests": {"memory": "1Gi"}}, "missing request for cpu in container"),
    ],
)
def test_without_a_request_it_says_so_and_scales_nothing(
    cluster: StandardCluster, resources: Any, told: str
) -> None:
    served(cluster, 2, 8, model=model(resources=resources))
    cluster.base.meter.cores[full("blue")] = 50.0
    wait(cluster, 60)
    assert pods(cluster) == 2
    assert conditions(cluster)["ScalingActive"] == ("False", "FailedGetResourceMetric")
    assert told in hpa(cluster)["status"]["conditions"][1]["message"]


def test_while_nothing_is_known_of_their_use_the_pods_stay(cluster: StandardCluster) -> None:
    served(cluster)
    cluster.base.meter.cores[full("blue")] = 1.0
    wait(cluster, 15)
    cluster.base.meter.cores.clear()
    wait(cluster, 900, step=30)
    assert pods(cluster) == 2
    assert conditions(cluster)["ScalingActive"] == ("False", "FailedGetResourceMetric")


def test_only_what_is_scaled_by_its_use_is_measured(cluster: StandardCluster) -> None:
    cluster.create(autoscaler="none")
    cluster.ready("blue")
    assert cluster.base.meter.followed == set()
    cluster.patch({"metadata": {"annotations": {AUTOSCALER: "hpa"}}})
    assert cluster.server("blue") in cluster.base.meter.followed


# -- one of a user's own


def by(resource: str, **aim: Any) -> dict[str, Any]:
    """A spec with one resource metric."""
    return {"metrics": [{"type": "Resource", "resource": {"name": resource, "target": aim}}]}


def own(cluster: StandardCluster, spec: dict[str, Any], name: str = "own") -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": full("blue")}
    body = {"metadata": {"name": name}, "spec": {"scaleTargetRef": target} | spec}
    cluster.base.api.store.create(HPAS, body, "default")
    cluster.settle()


def said(cluster: StandardCluster) -> dict[str, Any]:
    listed = cluster.base.api.store.get(HPAS, "default", "own")["status"]["conditions"]
    return {one["type"]: one for one in listed}


def test_with_class_external_its_behaviour_is_honoured(cluster: StandardCluster) -> None:
    cluster.create(autoscaler="external", model=model())
    cluster.ready("blue")
    slowly = {"type": "Pods", "value": 1, "periodSeconds": 60}
    down = {"stabilizationWindowSeconds": 0, "policies": [slowly]}
    own(cluster, {"minReplicas": 3, "maxReplicas": 8, "behavior": {"scaleDown": down}})
    assert pods(cluster) == 3
    cluster.wait(400)
    cluster.base.meter.cores[full("blue")] = 1.0
    wait(cluster, 15)
    assert pods(cluster) == 4  # 3 x 100 / 80
    cluster.base.meter.cores[full("blue")] = 0.01
    wait(cluster, 30)
    assert pods(cluster) == 3


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"metrics": [{"type": "Pods", "pods": {}}]}, "FailedGetPodsMetric"),
        (
            {
                "metrics": [
                    {
                        "type": "External",
                        "external": {"metric": {"name": "q"}, "target": {"value": "5"}},
                    }
                ]
            },
            "FailedGetExternalMetric",
        ),
        ({"metrics": [{"type": "Resource"}]}, "InvalidMetricSourceType"),
        ({"metrics": [7]}, "InvalidMetricSourceType"),
        ({"behavior": {"scaleUp": {"policies": [{}]}}}, "InvalidMetricSourceType"),
        (by("cpu", averageValue="0"), "InvalidMetricSourceType"),
        (by("cpu", averageValue="much"), "InvalidMetricSourceType"),
        (by("cpu", averageValue="-5"), "InvalidMetricSourceType"),
        (by("cpu", averageUtilization="70"), "InvalidMetricSourceType"),
        (by("cpu", averageUtilization=0), "InvalidMetricSourceType"),
        (by("cpu"), "InvalidMetricSourceType"),
        (by("ephemeral-storage", averageValue="1"), "InvalidMetricSourceType"),
    ],
)
def test_what_nothing_here_answers_is_said_and_scales_nothing(
    cluster: StandardCluster, spec: dict[str, Any], reason: str
) -> None:
    cluster.create(autoscaler="external", model=model())
    cluster.ready("blue")
    cluster.base.meter.cores[full("blue")] = 50.0
    cluster.base.meter.memory_bytes = 2**40
    own(cluster, {"maxReplicas": 8} | spec)
    wait(cluster, 400, step=50)
    assert (said(cluster)["ScalingActive"]["status"], pods(cluster)) == ("False", 1)
    assert said(cluster)["ScalingActive"]["reason"] == reason


def test_two_for_one_deployment_scale_nothing(cluster: StandardCluster) -> None:
    served(cluster)
    own(cluster, {"minReplicas": 1, "maxReplicas": 8})
    cluster.base.meter.cores[full("blue")] = 1.0
    wait(cluster, 30)
    assert pods(cluster) == 1
    assert conditions(cluster)["ScalingActive"] == ("False", "AmbiguousSelector")


@pytest.mark.parametrize("spec", [{}, {"scaleTargetRef": [full("blue")]}])
def test_one_without_a_deployment_says_so(cluster: StandardCluster, spec: dict[str, Any]) -> None:
    own(cluster, {"maxReplicas": 2} | spec)
    assert said(cluster)["AbleToScale"]["reason"] == "FailedGetScale"


def test_a_deployment_that_says_no_number_has_one_pod(cluster: StandardCluster) -> None:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {}, "spec": {}}}
    body = {"metadata": {"name": "web"}, "spec": spec}
    cluster.base.api.store.create(DEPLOYMENTS, body, "default")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    own(cluster, {"minReplicas": 2, "maxReplicas": 8, "scaleTargetRef": target})
    found = cluster.base.api.store.get(DEPLOYMENTS, "default", "web")
    assert found["spec"]["replicas"] == 2
