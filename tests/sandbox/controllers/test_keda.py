"""KEDA on the emulated cluster: Ready with its Deployment, an HPA for its triggers, pods by their answers."""

import math
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.controllers.standard_cluster import StandardCluster, full, running
from tidegate.errors import UnavailableError
from tidegate.sandbox.api.kinds import HPAS, SCALEDOBJECTS
from tidegate.sandbox.controllers.keda.controller import MISSING, READY

KEDA = ("keda.sh", "v1alpha1", "default", "scaledobjects")
QUEUE, RATE = "queue_time", "rate"
BLUE = full("blue")
AT_ONCE = {"scaleDown": {"stabilizationWindowSeconds": 0}}


@pytest.fixture
def cluster() -> Iterator[StandardCluster]:
    with running() as one:
        yield one


def trigger(query: str = QUEUE, threshold: str = "20", **more: Any) -> dict[str, Any]:
    """One that compares the query's answer as it is."""
    metadata = {"serverAddress": "http://prometheus.monitoring:9090", "query": query}
    metadata |= {"threshold": threshold} | more
    return {"type": "prometheus", "metricType": "Value", "metadata": metadata}


def followed(
    cluster: StandardCluster, *triggers: dict[str, Any], low: int = 1, high: int = 5, **more: Any
) -> None:
    """A ready service of class external, and its ScaledObject."""
    cluster.create(autoscaler="external", minReplicas=1, maxReplicas=5)
    cluster.ready("blue")
    spec = {
        "scaleTargetRef": {"name": BLUE}, "pollingInterval": 15, "minReplicaCount": low,
        "maxReplicaCount": high, "triggers": list(triggers or (trigger(),)),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": AT_ONCE}},
    }  # fmt: skip
    write(cluster, spec | more)


def write(cluster: StandardCluster, spec: dict[str, Any]) -> None:
    body = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": {"name": BLUE}}
    cluster.base.objects.create_namespaced_custom_object(*KEDA, body | {"spec": spec})
    cluster.settle()


def changed(cluster: StandardCluster, **more: Any) -> None:
    """Its spec is now another, and its HPA has looked again."""
    spec = cluster.base.api.store.get(SCALEDOBJECTS, "default", BLUE)["spec"]
    cluster.base.objects.patch_namespaced_custom_object(*KEDA, BLUE, {"spec": spec | more})
    cluster.settle()
    wait(cluster, 30)


def condition(cluster: StandardCluster, name: str = "Ready") -> tuple[str, str, str]:
    """Status, reason and message."""
    listed = cluster.base.api.store.get(SCALEDOBJECTS, "default", BLUE)["status"]["conditions"]
    found = next(one for one in listed if one["type"] == name)
    return found["status"], found["reason"], found["message"]


def hpa(cluster: StandardCluster, name: str = f"keda-hpa-{BLUE}") -> dict[str, Any]:
    return cluster.base.api.store.get(HPAS, "default", name)


def pods(cluster: StandardCluster) -> int:
    return cluster.deployments()["blue"]


def wait(cluster: StandardCluster, seconds: float, step: float = 5) -> None:
    for _ in range(round(seconds / step)):
        cluster.wait(step)


# -- Ready


@pytest.mark.parametrize("spec", [{"scaleTargetRef": {"name": BLUE}}, {"scaleTargetRef": {}}, {}])
def test_without_a_deployment_or_a_name_for_it_it_is_not_ready(
    cluster: StandardCluster, spec: dict[str, Any]
) -> None:
    write(cluster, spec)
    assert condition(cluster) == ("False", "ScaledObjectCheckFailed", MISSING)


@pytest.mark.parametrize(
    ("triggers", "told"),
    [
        ([{"type": "cron"}], "no scaler found for type: cron"),
        ([{"type": "prometheus"}], "missing required parameter 'serverAddress'"),
        ([trigger(threshold="much")], "unable to set param 'threshold' value 'much'"),
        ([trigger(threshold="0.0001")], "unable to set param 'threshold' value '0.0001'"),
        ([trigger(activationThreshold="nan")], "unable to set param 'activationThreshold'"),
        ([7], "'int' object"),
        (7, "'int' object"),
        ([], "no triggers defined"),
    ],
)
def test_what_is_no_trigger_is_told_and_no_pass_of_the_others_ends(
    cluster: StandardCluster, triggers: Any, told: str
) -> None:
    followed(cluster)
    changed(cluster, triggers=triggers)
    status, reason, message = condition(cluster)
    assert (status, reason) == ("False", "ScaledObjectCheckFailed")
    assert told in message
    listed = {one["type"]: one for one in hpa(cluster)["status"]["conditions"]}
    assert listed["ScalingActive"]["reason"] == "FailedGetExternalMetric"


@pytest.mark.parametrize(
    ("field", "told"),
    [("pollingInterval", "'often'"), ("cooldownPeriod", "'often'"), ("minReplicaCount", "'str'")],
)
def test_a_number_that_cannot_be_read_is_told_and_no_pass_of_the_others_ends(
    cluster: StandardCluster, field: str, told: str
) -> None:
    followed(cluster)
    changed(cluster, **{field: "often"})
    status, reason, message = condition(cluster)
    assert (status, reason) == ("False", "ScaledObjectCheckFailed")
    assert told in message


# -- its HPA


def test_its_hpa_has_a_metric_for_each_trigger(cluster: StandardCluster) -> None:
    followed(cluster, trigger(), trigger(RATE, "0.5") | {"metricType": "AverageValue"})
    found = hpa(cluster)
    assert (found["spec"]["minReplicas"], found["spec"]["maxReplicas"]) == (1, 5)
    assert found["spec"]["behavior"] == AT_ONCE
    named = {"matchLabels": {"scaledobject.keda.sh/name": BLUE}}
    assert [one["external"] for one in found["spec"]["metrics"]] == [
        {
            "metric": {"name": "s0-prometheus", "selector": named},
            "target": {"type": "Value", "value": "20"},
        },
        {
            "metric": {"name": "s1-prometheus", "selector": named},
            "target": {"type": "AverageValue", "averageValue": "500m"},
        },
    ]
    status = cluster.base.api.store.get(SCALEDOBJECTS, "default", BLUE)["status"]
    assert status["externalMetricNames"] == ["s0-prometheus", "s1-prometheus"]
    assert status["hpaName"] == f"keda-hpa-{BLUE}"


def test_it_goes_with_its_scaled_object_and_may_have_a_name_of_its_own(
    cluster: StandardCluster,
) -> None:
    config = {"horizontalPodAutoscalerConfig": {"name": "mine"}}
    followed(cluster, advanced=config)
    assert hpa(cluster, "mine")["metadata"]["ownerReferences"][0]["name"] == BLUE
    cluster.base.objects.delete_namespaced_custom_object(*KEDA, BLUE)
    cluster.settle()
    assert cluster.base.api.store.items(HPAS) == []
    assert pods(cluster) == 1


# -- what Prometheus says


def test_the_answer_makes_pods_and_takes_them_back(cluster: StandardCluster) -> None:
    cluster.base.queries.said[QUEUE] = [70.0]
    followed(cluster)
    assert pods(cluster) == 4  # 70 / 20 of one pod
    assert condition(cluster) == ("True", "ScaledObjectReady", READY)
    assert condition(cluster, "Active")[:2] == ("True", "ScalerActive")
    (now,) = hpa(cluster)["status"]["currentMetrics"]
    assert now["external"]["current"] == {"value": "70"}
    cluster.base.queries.said[QUEUE] = [1.0]
    wait(cluster, 15)
    assert pods(cluster) == 1


def test_the_trigger_that_asks_for_most_wins(cluster: StandardCluster) -> None:
    cluster.base.queries.said |= {QUEUE: [10.0], RATE: [1.4]}
    followed(cluster, trigger(), trigger(RATE, "0.5") | {"metricType": "AverageValue"})
    assert pods(cluster) == 3


def test_bounds_are_kept(cluster: StandardCluster) -> None:
    cluster.base.queries.said[QUEUE] = [1e9]
    followed(cluster, low=2, high=3)
    wait(cluster, 60)
    assert pods(cluster) == 3
    cluster.base.queries.said[QUEUE] = [0.0]
    wait(cluster, 60)
    assert pods(cluster) == 2


@pytest.mark.parametrize("said", [[], [math.nan], [math.inf]])
def test_no_data_is_0_as_in_keda_which_is_the_least_and_never_none(
    cluster: StandardCluster, said: list[float]
) -> None:
    cluster.base.queries.said[QUEUE] = [90.0]
    followed(cluster, low=2)
    wait(cluster, 15)
    assert pods(cluster) == 5
    cluster.base.queries.said[QUEUE] = said
    wait(cluster, 60)
    assert pods(cluster) == 2
    assert condition(cluster) == ("True", "ScaledObjectReady", READY)
    status, _, message = condition(cluster, "Active")
    assert status == "False"
    assert message.endswith("triggers are not active; no data, taken for 0: s0-prometheus")


def test_no_data_is_an_error_where_the_trigger_does_not_ignore_it(cluster: StandardCluster) -> None:
    cluster.base.queries.said[QUEUE] = [90.0]
    followed(cluster, trigger(ignoreNullValues="false"))
    cluster.base.queries.said[QUEUE] = []
    wait(cluster, 60)
    assert pods(cluster) == 5
    assert condition(cluster)[:2] == ("False", "TriggerError")
    listed = {one["type"]: one for one in hpa(cluster)["status"]["conditions"]}
    assert listed["ScalingActive"]["reason"] == "FailedGetExternalMetric"
    assert "the result is empty" in listed["ScalingActive"]["message"]


@pytest.mark.parametrize("said", [UnavailableError("Prometheus is away"), [1.0, 2.0]])
def test_without_an_answer_the_pods_stay(cluster: StandardCluster, said: Any) -> None:
    cluster.base.queries.said[QUEUE] = [90.0]
    followed(cluster, low=0, cooldownPeriod=10)
    cluster.base.queries.said[QUEUE] = said
    wait(cluster, 900, step=30)
    assert pods(cluster) == 5
    assert condition(cluster)[:2] == ("False", "TriggerError")


def test_one_trigger_in_error_beside_an_active_one_leaves_it_unknown_and_forbids_fewer(
    cluster: StandardCluster,
) -> None:
    cluster.base.queries.said |= {QUEUE: [90.0], RATE: [0.6]}
    followed(cluster, trigger(), trigger(RATE, "0.5"))
    assert pods(cluster) == 5
    cluster.base.queries.said[QUEUE] = UnavailableError("Prometheus is away")
    cluster.base.queries.said[RATE] = [0.01]
    wait(cluster, 60)
    assert pods(cluster) == 5
    assert condition(cluster)[:2] == ("Unknown", "PartialTriggerError")


def test_utilisation_of_a_gpu_has_no_series_here_so_the_least_stays(
    cluster: StandardCluster,
) -> None:
    dcgm = 'avg(DCGM_FI_DEV_GPU_UTIL{namespace="shop",pod=~"vision-blue-predictor-.*"})'
    cluster.base.queries.said[dcgm] = []
    followed(cluster, trigger(dcgm, "80"))
    wait(cluster, 60)
    assert (pods(cluster), condition(cluster)[0]) == (1, "True")
    assert "no data, taken for 0: s0-prometheus" in condition(cluster, "Active")[2]


# -- to none and back


def test_without_an_active_trigger_the_last_pod_goes_after_the_cooldown(
    cluster: StandardCluster,
) -> None:
    cluster.base.queries.said[QUEUE] = [5.0]
    followed(cluster, trigger(activationThreshold="2"), low=0, cooldownPeriod=60)
    cluster.base.queries.said[QUEUE] = [1.5]  # not above the activation threshold
    wait(cluster, 60)
    assert pods(cluster) == 1
    wait(cluster, 20)
    assert pods(cluster) == 0
    wait(cluster, 15)
    listed = {one["type"]: one for one in hpa(cluster)["status"]["conditions"]}
    assert listed["ScalingActive"]["reason"] == "ScalingDisabled"
    cluster.base.queries.said[QUEUE] = [3.0]
    wait(cluster, 20)
    assert pods(cluster) == 1


def test_with_a_least_number_there_is_no_way_to_none(cluster: StandardCluster) -> None:
    cluster.base.queries.said[QUEUE] = []
    followed(cluster, low=1, cooldownPeriod=0)
    wait(cluster, 120)
    assert pods(cluster) == 1


def test_it_is_asked_once_in_a_polling_interval_and_by_its_hpa(cluster: StandardCluster) -> None:
    cluster.base.queries.said[QUEUE] = [5.0]
    followed(cluster, pollingInterval=60)
    cluster.base.queries.asked.clear()
    wait(cluster, 60)
    assert len(cluster.base.queries.asked) == 4 + 1  # of the HPA each 15 s, of KEDA itself once
