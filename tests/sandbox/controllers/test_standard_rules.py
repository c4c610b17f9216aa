"""Standard mode beyond the table of scenarios: modes, status, rollouts, hosts, and its traps."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from tidegate.sandbox.api.kinds import KSERVICES, PODS, REPLICASETS
from tidegate.sandbox.interfaces import RevisionStatus

from .emulated_cluster import ISVC
from .standard_cluster import (
    AUTOSCALER,
    HOSTS,
    LOADING,
    MODE,
    ROUTES,
    STOP,
    StandardCluster,
    entry,
    model,
    running,
)

GREEN_HOST = "digits-green-predictor.default.svc.cluster.local"


@pytest.fixture
def cluster() -> Iterator[StandardCluster]:
    with running() as started:
        yield started


@pytest.fixture
def knative() -> Iterator[StandardCluster]:
    with running(mode="Knative") as started:
        yield started


def staged(cluster: StandardCluster, percent: int = 0) -> None:
    """Blue serves, green is ready beside it."""
    cluster.create()
    cluster.ready("blue")
    cluster.canary(entry("green", percent, minReplicas=1))
    cluster.ready("green")


# -- which mode


def create_plain(cluster: StandardCluster, **annotations: str) -> dict[str, Any]:
    meta = {"name": "digits", "annotations": annotations}
    body = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": meta}
    body["spec"] = {"predictor": {"model": model("s3://models/v1/")}}
    created: dict[str, Any] = cluster.base.objects.create_namespaced_custom_object(*ISVC, body)
    cluster.settle()
    return created


def test_a_cluster_of_standard_mode_writes_the_mode_onto_the_object(
    cluster: StandardCluster,
) -> None:
    created = create_plain(cluster)
    assert created["metadata"]["annotations"][MODE] == "Standard"
    assert cluster.status()["deploymentMode"] == "Standard"


def test_a_cluster_of_knative_mode_does_not(knative: StandardCluster) -> None:
    created = create_plain(knative)
    assert MODE not in created["metadata"]["annotations"]
    assert knative.status()["deploymentMode"] == "Knative"
    assert knative.deployments() == {}


@pytest.mark.parametrize("asked", ["Standard", "RawDeployment"])
def test_the_annotation_beats_the_clusters_default(knative: StandardCluster, asked: str) -> None:
    created = create_plain(knative, **{MODE: asked})
    assert created["metadata"]["annotations"][MODE] == "Standard"
    assert knative.status()["deploymentMode"] == "Standard"
    assert knative.base.api.store.items(KSERVICES) == []


def test_an_annotation_that_names_no_mode_is_as_good_as_none(knative: StandardCluster) -> None:
    create_plain(knative, **{MODE: "Serverful"})
    assert knative.status()["deploymentMode"] == "Knative"


def test_the_mode_is_immutable_once_recorded(cluster: StandardCluster) -> None:
    cluster.create()
    with pytest.raises(ApiException) as refused:
        cluster.patch({"metadata": {"annotations": {MODE: "Knative"}}})
    assert refused.value.status == 403
    assert "cannot be changed from 'Standard' to 'Knative'" in refused.value.body


def test_a_new_default_refuses_every_update_of_what_was_made_under_the_old_one(
    knative: StandardCluster,
) -> None:
    create_plain(knative)
    knative.configure("deploy", json.dumps({"defaultDeploymentMode": "Standard"}))
    with pytest.raises(ApiException) as refused:
        knative.patch({"spec": {"predictor": {"minReplicas": 2}}})
    assert "cannot be changed from 'Knative' to 'Standard'" in refused.value.body


def test_a_configuration_that_is_no_json_admits_nothing(cluster: StandardCluster) -> None:
    cluster.configure("deploy", "{")
    with pytest.raises(ApiException) as refused:
        create_plain(cluster)
    assert refused.value.status == 403


# -- what the webhook refuses


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([entry("", 0)], "canary[0] predictor.name is required"),
        ([entry("green", 0), entry("green", 0)], 'canary predictor.name "green" is duplicated'),
        ([entry("blue", 0)], 'canary predictor.name "blue" conflicts with stable predictor name'),
        ([entry("green", -1)], 'canary "green" trafficPercent must be between 0 and 100, got -1'),
        ([entry("green", 101)], "must be between 0 and 100, got 101"),
        ([entry("green", 60), entry("red", 41)], "trafficPercent values (101) must be <= 100"),
        ([entry("green", 0, workerSpec={})], 'canary "green" must not set workerSpec'),
        ([entry("green", 0, maxReplicas=2)], 'canary "green" must not set maxReplicas'),
        ([entry("green", 0, scaleTarget=2)], 'canary "green" must not set scaleTarget'),
        ([entry("green", 0, scaleMetric="cpu")], 'canary "green" must not set scaleMetric'),
        ([entry("green", 0, autoScaling={})], 'canary "green" must not set autoScaling'),
        (
            [entry("green", 0, minReplicas=3)],
            'canary "green" minReplicas (3) must not exceed stable predictor minReplicas (2)',
        ),
        (
            [{"trafficPercent": 0, "predictor": {"name": "green"}}],
            'canary "green" predictor: exactly one of',
        ),
        (
            [entry("green", 0, containers=[{"name": "kserve-container", "image": "own:1"}])],
            "found ['model', 'containers']",
        ),
    ],
)
def test_the_webhook_refuses_a_canary(
    cluster: StandardCluster, entries: list[dict[str, Any]], said: str
) -> None:
    cluster.create(minReplicas=2)
    with pytest.raises(ApiException) as refused:
        cluster.canary(*entries)
    assert refused.value.status == 403
    message = json.loads(refused.value.body)["message"]
    assert said in message
    assert "inferenceservice.kserve-webhook-server.validator" in message


@pytest.mark.parametrize(
    ("canary", "said"),
    [
        ([entry("Green", 0)], "spec.canary[0].predictor.name"),
        ([{"predictor": entry("green", 0)["predictor"]}], "trafficPercent: Required"),
        (
            [{"trafficPercent": 0, "predictor": {"name": "green", "model": model("s3://m/")}}],
            "spec.canary[0].predictor.model.name: Required",
        ),
        ([{"trafficPercent": 0}], "spec.canary[0].predictor: Required"),
        ({"green": 10}, "spec.canary in body must be of type array"),
        ([entry("green", 0) | {"trafficPercent": "10"}], "must be of type integer"),
    ],
)
def test_the_schema_refuses_a_canary(cluster: StandardCluster, canary: Any, said: str) -> None:
    cluster.create()
    with pytest.raises(ApiException) as refused:
        cluster.patch({"spec": {"canary": canary}})
    assert refused.value.status == 422
    assert said in json.loads(refused.value.body)["message"]


def test_a_canary_may_have_a_transformer_beside_its_model_as_the_stable_predictor_may(
    cluster: StandardCluster,
) -> None:
    beside = [{"name": "transformer-container", "image": "own:1", "command": ["python3", "own.py"]}]
    cluster.create(containers=beside)
    cluster.ready("blue")
    cluster.canary(entry("green", 10, minReplicas=1, containers=beside))
    cluster.ready("green")
    assert cluster.shares() == {"blue": 90, "green": 10}
    program = cluster.base.runtime.specs[cluster.server("green")].program
    assert program is not None
    assert (program.container, program.is_alone) == ("transformer-container", False)


def test_a_canary_needs_the_annotation_on_the_object(knative: StandardCluster) -> None:
    with pytest.raises(ApiException) as refused:
        knative.create(annotations={MODE: ""}, canary=[entry("green", 0)])
    assert "canary is only supported in Standard deployment mode" in refused.value.body


def test_a_new_name_needs_a_new_model(cluster: StandardCluster) -> None:
    cluster.create()
    with pytest.raises(ApiException) as refused:
        cluster.patch({"spec": {"predictor": {"name": "green"}}})
    assert "predictor.name change requires a model change" in refused.value.body


# -- status


def test_the_status_of_a_first_deployment(cluster: StandardCluster) -> None:
    cluster.create()
    assert "url" not in cluster.status()
    assert cluster.condition("IngressReady") == ("False", "Predictor Deployment NotReady")
    cluster.ready("blue")
    status = cluster.status()
    for found in status["conditions"]:
        found.pop("lastTransitionTime")
    assert status == {
        "deploymentMode": "Standard",
        "observedGeneration": 1,
        "url": "http://digits.default.example.com",
        "address": {"url": "http://digits-blue-predictor.default.svc.cluster.local"},
        "clusterServingRuntimeName": "kserve-tritonserver",
        "components": {
            "predictor": {"url": "http://digits-blue-predictor.default.example.com"}
        },
        "modelStatus": {
            "copies": {"failedCopies": 0, "totalCopies": 1},
            "states": {"activeModelState": "Loaded", "targetModelState": "Loaded"},
            "transitionStatus": "UpToDate",
        },
        "conditions": [
            {"type": "IngressReady", "status": "True"},
            {
                "type": "PredictorReady", "status": "True", "reason": "NewReplicaSetAvailable",
                "message": f'ReplicaSet "{cluster.server("blue")}" has successfully progressed.',
            },
            {"type": "Ready", "status": "True"},
            {"type": "Stopped", "status": "False", "severity": "Info"},
        ],
    }  # fmt: skip


def test_the_url_of_the_component_has_a_host_that_no_route_serves(
    cluster: StandardCluster,
) -> None:
    cluster.create()
    cluster.ready("blue")
    url = cluster.status()["components"]["predictor"]["url"]
    assert url.removeprefix("http://") not in cluster.base.ingress.table


def test_the_observed_generation_is_the_stable_deployments(cluster: StandardCluster) -> None:
    staged(cluster)
    isvc = cluster.base.isvc()
    assert isvc["metadata"]["generation"] == 2
    assert isvc["status"]["observedGeneration"] == 1


def test_a_model_that_cannot_be_loaded_is_told_by_the_model_status(
    cluster: StandardCluster,
) -> None:
    cluster.create()
    cluster.crash("blue")
    found = cluster.status()["modelStatus"]
    assert found["transitionStatus"] == "BlockedByFailedLoad"
    assert found["lastFailureInfo"] == {
        "reason": "ModelLoadFailed", "message": "boom", "exitCode": 1,
    }  # fmt: skip
    assert cluster.condition("PredictorReady") == ("False", "MinimumReplicasUnavailable")


def test_a_canarys_failed_load_shows_in_its_pods_alone(cluster: StandardCluster) -> None:
    staged(cluster)
    cluster.crash("green")
    assert cluster.status()["modelStatus"]["transitionStatus"] == "UpToDate"
    assert cluster.condition("Ready") == ("True", "")
    pods = cluster.core.list_namespaced_pod(
        "default", label_selector="app=isvc.digits-green-predictor"
    )
    (container,) = pods.items[0].status.container_statuses
    assert container.last_state.terminated.message == "boom"


def test_a_stopped_service_keeps_its_mode_and_lists_its_canaries(cluster: StandardCluster) -> None:
    staged(cluster, 10)
    cluster.patch({"metadata": {"annotations": {STOP: "true"}}})
    assert cluster.deployments() == {}
    assert cluster.base.ingress.table == {}
    assert cluster.services() == set()
    assert cluster.backends() == {}
    assert cluster.canaries() == {"green": (False, 10)}
    assert cluster.condition("CanaryPredictorReady") == ("False", "Stopped")
    assert cluster.condition("Stopped") == ("True", "")
    for name in ("Ready", "PredictorReady", "IngressReady"):
        assert cluster.condition(name) == ("False", "Stopped")
    assert set(cluster.status()) == {"deploymentMode", "conditions", "canaryStatuses"}
    cluster.patch({"metadata": {"annotations": {STOP: None}}})
    cluster.ready("blue", "green")
    assert cluster.backends() == {"blue": 90, "green": 10}


# -- pods, hosts, templates


def test_a_canary_inherits_what_it_does_not_say(cluster: StandardCluster) -> None:
    stable = model("s3://models/v1/", args=["--log-verbose=1"], env=[{"name": "A", "value": "b"}])
    cluster.create(model=stable, labels={"team": "vision"}, maxReplicas=3)
    own = {"name": "green", "labels": {"release.example.com/model-version": "7"}}
    cluster.canary(
        {
            "trafficPercent": 0,
            "predictor": own | {"model": model("s3://m/v2/", name=""), "minReplicas": 1},
        }
    )
    spec = cluster.base.runtime.specs[cluster.server("green")]
    assert (spec.storage_uri, spec.args, spec.env) == (
        "s3://m/v2/",
        ("--log-verbose=1",),
        {"A": "b"},
    )
    assert (spec.service, spec.inferenceservice) == ("digits-green-predictor", "digits")
    assert spec.workload == "Deployment"
    wanted = {
        "app": "isvc.digits-green-predictor", "component": "predictor", "team": "vision",
        "serving.kserve.io/inferenceservice": "digits", "release.example.com/model-version": "7",
    }  # fmt: skip
    pods = [
        p
        for p in cluster.base.api.store.items(PODS)
        if wanted.items() <= p["metadata"]["labels"].items()
    ]
    assert len(pods) == 1


def test_a_shorthand_in_a_canary_is_not_rewritten_and_runs_the_stable_model(
    cluster: StandardCluster,
) -> None:
    cluster.create()
    shorthand = {
        "name": "green",
        "triton": {"name": "", "storageUri": "s3://models/v2/"},
        "minReplicas": 1,
    }
    cluster.canary({"trafficPercent": 0, "predictor": shorthand})
    spec = cluster.base.runtime.specs[cluster.server("green")]
    assert spec.storage_uri == "s3://models/v1/"


def test_the_old_percent_field_is_ignored(cluster: StandardCluster) -> None:
    cluster.create()
    cluster.ready("blue")
    cluster.patch({"spec": {"predictor": {"canaryTrafficPercent": 10}}})
    assert cluster.deployments() == {"blue": 1}
    assert cluster.backends() == {"blue": 1}


def test_a_dark_canary_is_reached_by_its_service_and_by_nothing_else(
    cluster: StandardCluster,
) -> None:
    staged(cluster)
    assert cluster.shares(GREEN_HOST) == {"green": 100}
    reaching = [host for host in cluster.base.ingress.table if "green" in cluster.shares(host)]
    assert reaching == [GREEN_HOST]


def test_a_promotion_restarts_no_server(cluster: StandardCluster) -> None:
    staged(cluster, 10)
    server, pods = cluster.server("green"), pod_names(cluster, "green")
    blue = cluster.server("blue")
    cluster.promote("green")
    assert cluster.server("green") == server
    assert pod_names(cluster, "green") == pods
    assert cluster.base.runtime.stopped == [blue]
    assert cluster.status()["address"]["url"] == f"http://{GREEN_HOST}"


def test_a_promotion_that_forgets_a_label_of_the_canary_rolls_its_pods(
    cluster: StandardCluster,
) -> None:
    cluster.create()
    cluster.ready("blue")
    cluster.canary(entry("green", 10, minReplicas=1, labels={"version": "2"}))
    cluster.ready("green")
    server = cluster.server("green")
    cluster.promote("green")
    assert cluster.server("green") != server
    assert cluster.base.ingress.table[HOSTS[0]] == {server: 100}


def pod_names(cluster: StandardCluster, name: str) -> list[str]:
    selector = f"app=isvc.digits-{name}-predictor"
    listed = cluster.core.list_namespaced_pod("default", label_selector=selector)
    return [pod.metadata.name for pod in listed.items]


def test_routes_leave_a_server_before_it_is_stopped(cluster: StandardCluster) -> None:
    staged(cluster, 10)
    blue, order = cluster.server("blue"), []
    stop = cluster.base.runtime.stop

    def watched(namespace: str, name: str, replica: int = 0) -> None:
        order.append(any(blue in table for table in cluster.base.ingress.table.values()))
        stop(namespace, name, replica)

    cluster.base.runtime.stop = watched  # type: ignore[method-assign]
    cluster.promote("green")
    assert order == [False]


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}},
        {"spec": {"predictor": {"labels": {"version": "9"}}}},
        {"metadata": {"annotations": {"example.com/note": "x"}}},
        {"metadata": {"labels": {"team": "vision"}}},
    ],
)
def test_a_changed_template_rolls_and_the_old_pods_serve_until_the_new_ones_do(
    cluster: StandardCluster, change: dict[str, Any]
) -> None:
    cluster.create()
    cluster.ready("blue")
    old = cluster.server("blue")
    cluster.patch(change)
    new = cluster.server("blue")
    assert new != old
    assert cluster.base.ingress.table[HOSTS[0]] == {old: 100}
    assert cluster.condition("PredictorReady") == ("True", "MinimumReplicasAvailable")
    cluster.ready("blue")
    assert cluster.base.ingress.table[HOSTS[0]] == {new: 100}
    assert cluster.base.runtime.stopped == [old]
    assert [s["metadata"]["name"] for s in cluster.base.api.store.items(REPLICASETS)] == [new]


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"predictor": {"minReplicas": 3}}},
        {"spec": {"predictor": {"maxReplicas": 5}}},
        {"spec": {"predictor": {"canaryTrafficPercent": 50}}},
    ],
)
def test_what_is_not_in_the_template_rolls_nothing(
    cluster: StandardCluster, change: dict[str, Any]
) -> None:
    cluster.create()
    cluster.ready("blue")
    server = cluster.server("blue")
    cluster.patch(change)
    assert cluster.server("blue") == server


def test_each_rollout_is_numbered_and_a_promotion_is_none(cluster: StandardCluster) -> None:
    staged(cluster)
    assert number(cluster, "green") == "1"
    cluster.promote("green")
    assert number(cluster, "green") == "1"
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}})
    assert number(cluster, "green") == "2"
    assert cluster.deployment("green").metadata.generation == 2


def number(cluster: StandardCluster, name: str) -> str:
    found: str = cluster.deployment(name).metadata.annotations["deployment.kubernetes.io/revision"]
    return found


def test_the_counts_of_a_rollout(cluster: StandardCluster) -> None:
    cluster.create(minReplicas=4)
    cluster.ready("blue")
    before = cluster.deployment("blue")
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}})
    during = cluster.deployment("blue")
    assert during.metadata.generation == before.metadata.generation + 1
    assert during.status.observed_generation == during.metadata.generation
    # 25 % of 4 may be missing and 25 % may be more: 3 old ones, 2 new ones
    assert counts(during) == (5, 2, 3, 3, 2)
    cluster.ready("blue")
    assert counts(cluster.deployment("blue")) == (4, 4, 4, 4, None)


def counts(deployment: Any) -> tuple[int | None, ...]:
    status = deployment.status
    return (
        status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas,
        status.unavailable_replicas,
    )  # fmt: skip


def test_a_canary_whose_template_changes_is_ready_on_its_old_pods(
    cluster: StandardCluster,
) -> None:
    staged(cluster, 10)
    old = cluster.server("green")
    cluster.canary(entry("green", 10, "s3://models/v3/", minReplicas=1))
    assert cluster.canaries() == {"green": (True, 10)}
    assert cluster.base.ingress.table[HOSTS[0]][old] == 10
    deployment = cluster.deployment("green")
    assert deployment.status.updated_replicas == 1
    assert deployment.status.unavailable_replicas == 1


def test_a_rollout_that_never_ends_passes_its_deadline(cluster: StandardCluster) -> None:
    cluster.create()
    cluster.ready("blue")
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}})
    cluster.wait(601)
    assert cluster.condition("PredictorReady") == ("False", "ProgressDeadlineExceeded")
    found = {c.type: (c.status, c.reason) for c in cluster.deployment("blue").status.conditions}
    assert found == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("False", "ProgressDeadlineExceeded"),
    }
    assert cluster.shares() == {"blue": 100}


def test_old_pods_that_do_not_serve_are_not_waited_for(cluster: StandardCluster) -> None:
    cluster.create()
    old = cluster.server("blue")
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}})
    assert cluster.base.runtime.stopped == [old]


def test_a_template_that_comes_back_gets_its_old_name_and_new_pods(
    cluster: StandardCluster,
) -> None:
    cluster.create()
    cluster.ready("blue")
    first, pods = cluster.server("blue"), pod_names(cluster, "blue")
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}})
    cluster.ready("blue")
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v1/"}}}})
    assert cluster.server("blue") == first
    cluster.ready("blue")
    assert set(pod_names(cluster, "blue")).isdisjoint(pods)


def test_recreate_takes_the_old_pods_away_first(cluster: StandardCluster) -> None:
    cluster.create(deploymentStrategy={"type": "Recreate"})
    cluster.ready("blue")
    old = cluster.server("blue")
    cluster.patch({"spec": {"predictor": {"model": {"storageUri": "s3://models/v9/"}}}})
    assert cluster.base.runtime.stopped == [old]
    assert cluster.condition("PredictorReady") == ("False", "MinimumReplicasUnavailable")


def test_a_storage_that_fails_is_seen_in_the_init_container(cluster: StandardCluster) -> None:
    cluster.create()
    failed = RevisionStatus(
        phase="Failed", reason="StorageInitializerFailed", message="no such key", exit_code=1
    )
    cluster.seen("blue", failed)
    assert cluster.status()["modelStatus"]["lastFailureInfo"]["message"] == "no such key"


# -- what holds a reconcile up


def test_a_canary_with_a_storage_that_kserve_refuses_holds_up_the_stable_one_too(
    cluster: StandardCluster,
) -> None:
    staged(cluster)
    bad = entry("green", 0, "ftp://models/", minReplicas=1)
    cluster.patch({"spec": {"predictor": {"minReplicas": 3}, "canary": [bad]}})
    assert cluster.deployments() == {"blue": 1, "green": 1}
    assert cluster.condition("Ready") == ("True", "")
    assert "fails to build resources for canary green" in cluster.warnings()
    assert "[ftp://models/] is not supported" in cluster.warnings()


def test_a_canary_without_a_runtime_is_an_event_alone(cluster: StandardCluster) -> None:
    cluster.create()
    cluster.ready("blue")
    predictor = {"name": "green", "model": model("s3://m/v2/", runtime="nope", name="")}
    cluster.canary({"trafficPercent": 0, "predictor": predictor})
    assert "with the name: nope" in cluster.warnings()
    assert cluster.canaries() == {}
    assert cluster.condition("Ready") == ("True", "")


def test_another_services_objects_are_not_taken_over(cluster: StandardCluster) -> None:
    cluster.create("blue")
    body = cluster.base.isvc()
    other = {
        "apiVersion": body["apiVersion"], "kind": body["kind"],
        "metadata": {"name": "digits-blue"}, "spec": {"predictor": {"model": model("s3://o/")}},
    }  # fmt: skip
    cluster.base.objects.create_namespaced_custom_object(*ISVC, other)
    cluster.settle()
    assert "digits-blue-predictor is already owned by InferenceService digits" in cluster.warnings()
    assert cluster.base.runtime.specs[cluster.server("blue")].storage_uri == "s3://models/v1/"


def test_keda_scales_elsewhere(cluster: StandardCluster) -> None:
    cluster.create(autoscaler="keda", minReplicas=3)
    assert cluster.deployments() == {"blue": 1}


def test_hpa_never_goes_below_one(cluster: StandardCluster) -> None:
    cluster.create(autoscaler="hpa", minReplicas=0)
    assert cluster.deployments() == {"blue": 1}
    cluster.patch({"metadata": {"annotations": {AUTOSCALER: "none"}}})
    assert cluster.deployments() == {"blue": 0}


# -- the routes


def test_without_the_gateway_api_a_canary_is_up_and_gets_no_production_traffic(
    cluster: StandardCluster,
) -> None:
    cluster.configure("ingress", json.dumps({"enableGatewayApi": False}))
    staged(cluster, 50)
    assert cluster.canaries() == {"green": (True, 50)}
    assert cluster.condition("CanaryPredictorReady") == ("True", "AllCanariesReady")
    assert cluster.backends() == {}
    stable = "digits-blue-predictor.default.example.com"
    assert cluster.shares(HOSTS[0]) == cluster.shares(stable) == {"blue": 100}
    assert cluster.shares(HOSTS[1]) == {}
    assert cluster.shares(GREEN_HOST) == {"green": 100}
    assert cluster.condition("Ready") == ("True", "")
    assert cluster.status()["url"] == f"http://{HOSTS[0]}"


def test_a_deleted_service_fails_its_share_and_the_route_says_so(cluster: StandardCluster) -> None:
    cluster.create()
    cluster.ready("blue")
    cluster.promote("green")  # there is no green to take over
    assert cluster.base.ingress.table[HOSTS[0]] == {"digits-blue-predictor": 100}
    found = {c["type"]: c for c in cluster.route()["status"]["parents"][0]["conditions"]}
    assert (found["ResolvedRefs"]["status"], found["ResolvedRefs"]["reason"]) == (
        "False", "BackendNotFound",
    )  # fmt: skip
    assert cluster.condition("IngressReady") == ("False", "BackendNotFound")


def test_the_route_says_which_generation_is_in_force(cluster: StandardCluster) -> None:
    staged(cluster, 10)
    route = cluster.route()
    for found in route["status"]["parents"][0]["conditions"]:
        assert found["status"] == "True"
        assert found["observedGeneration"] == route["metadata"]["generation"]


def test_a_weight_that_somebody_else_writes_is_put_right(cluster: StandardCluster) -> None:
    staged(cluster, 10)
    rules = cluster.route()["spec"]["rules"]
    rules[0]["backendRefs"][1]["weight"] = 90
    change = {"spec": {"rules": rules}}
    cluster.base.objects.patch_namespaced_custom_object(*ROUTES, "digits", change)
    cluster.settle()
    assert cluster.backends() == {"blue": 90, "green": 10}


@pytest.mark.parametrize("spec", [{}, {"rules": []}, {"hostnames": [HOSTS[0]], "rules": [{}]}])
def test_a_route_of_somebody_elses_leads_nowhere(
    cluster: StandardCluster, spec: dict[str, Any]
) -> None:
    staged(cluster)
    body = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
    body |= {"metadata": {"name": "other"}, "spec": spec}  # type: ignore[dict-item]
    cluster.base.objects.create_namespaced_custom_object(*ROUTES, body)
    cluster.settle()
    assert "status" not in cluster.route("other")
    assert cluster.shares() == {"blue": 100}


def test_a_gateway_that_refuses_is_said_and_tried_again(cluster: StandardCluster) -> None:
    staged(cluster)
    cluster.base.ingress.trouble = OSError("no space left")
    cluster.canary(entry("green", 10, minReplicas=1))
    assert cluster.shares() == {"blue": 100}
    assert "no space left" in cluster.base.condition("IngressReady")["message"]
    cluster.base.ingress.trouble = None
    cluster.settle()
    assert cluster.shares() == {"blue": 90, "green": 10}
    assert cluster.condition("Ready") == ("True", "")


def test_deleting_the_service_tears_everything_down(cluster: StandardCluster) -> None:
    staged(cluster, 10)
    servers = {cluster.server("blue"), cluster.server("green")}
    cluster.base.objects.delete_namespaced_custom_object(*ISVC, "digits")
    cluster.settle()
    assert cluster.base.ingress.table == {}
    assert set(cluster.base.runtime.stopped) == servers
    store = cluster.base.api.store
    assert store.items(REPLICASETS) == store.items(PODS) == []


def test_an_answer_names_the_service_whatever_replica_set_it_comes_from(
    cluster: StandardCluster,
) -> None:
    staged(cluster, 10)
    named = {route.host: set(route.answers.values()) for route in cluster.base.ingress.routes}
    assert named[HOSTS[0]] == {"digits-blue-predictor", "digits-green-predictor"}
    assert named[GREEN_HOST] == {"digits-green-predictor"}


def test_both_modes_share_the_ingress(knative: StandardCluster) -> None:
    staged(knative, 10)
    body = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "letters"}, "spec": {"predictor": {"model": model("s3://l/")}},
    }  # fmt: skip
    knative.base.objects.create_namespaced_custom_object(*ISVC, body)
    knative.settle()
    knative.base.runtime.seen["letters-predictor-00001"] = LOADING.__class__(phase="Ready")
    knative.settle()
    table = knative.base.ingress.table
    assert table["letters-predictor.default.example.com"] == {"letters-predictor-00001": 100}
    assert knative.shares() == {"blue": 90, "green": 10}


# -- what ails pods


def test_a_quota_leaves_no_pod_and_says_so_in_deployment_and_event(
    cluster: StandardCluster,
) -> None:
    cluster.create()
    quota = 'pods "x" is forbidden: exceeded quota: gpus'
    cluster.seen("blue", RevisionStatus(phase="Pending", reason="Quota", message=quota))
    assert pod_names(cluster, "blue") == []
    found = {c.type: (c.status, c.reason) for c in cluster.deployment("blue").status.conditions}
    assert found["ReplicaFailure"] == ("True", "FailedCreate")
    assert cluster.condition("PredictorReady") == ("False", "FailedCreate")
    assert quota in cluster.warnings()
    cluster.ready("blue")
    assert cluster.condition("Ready") == ("True", "")


def test_pods_without_a_node_are_pending_with_an_event_each(cluster: StandardCluster) -> None:
    staged(cluster)
    lacking = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    cluster.seen("green", RevisionStatus(phase="Pending", reason="Unschedulable", message=lacking))
    (pod,) = cluster.core.list_namespaced_pod(
        "default", label_selector="app=isvc.digits-green-predictor"
    ).items
    assert (pod.status.phase, pod.status.conditions[0].reason) == ("Pending", "Unschedulable")
    assert lacking in cluster.warnings()
    assert cluster.canaries() == {"green": (False, 0)}
