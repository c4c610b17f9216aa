"""KServe's canary rules and traps, so that a clone without the oracle is covered too."""

import time
from collections.abc import Callable, Iterator

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from tidegate.sandbox.api.kinds import PODS, REVISIONS, Json
from tidegate.sandbox.controllers import loop
from tidegate.sandbox.interfaces import RevisionStatus

from .emulated_cluster import ISVC, Cluster, revision, running
from .fake_data_plane import READY

CRASHED = RevisionStatus(
    phase="Failed", reason="CrashLoop", message="boom", exit_code=1, restarts=3
)
LATEST = "latest-digits-predictor.default.example.com"
PREV = "prev-digits-predictor.default.example.com"


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as started:
        yield started


def test_before_the_candidate_is_ready_both_tags_are_the_old_revision(cluster: Cluster) -> None:
    cluster.create()
    cluster.ready(1)
    cluster.stage("s3://models/v2/")
    assert (cluster.shares(LATEST), cluster.shares(PREV)) == ({1: 100}, {1: 100})
    cluster.ready(2)
    assert (cluster.shares(LATEST), cluster.shares(PREV)) == ({2: 100}, {1: 100})


def test_a_percent_changes_weights_and_makes_no_revision(cluster: Cluster) -> None:
    cluster.create()
    cluster.ready(1)
    cluster.stage("s3://models/v2/")
    cluster.ready(2)
    cluster.percent(10)
    assert cluster.shares() == {2: 10, 1: 90}
    assert len(cluster.api.store.items(REVISIONS)) == 2


def test_f_a_low_percent_on_a_promoted_model_is_a_roll_back(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.percent(0)
    assert cluster.predictor()["latestRolledoutRevision"] == revision(1)
    assert cluster.shares() == {1: 100}


def test_g_the_next_release_in_one_patch_keeps_the_promoted_revision(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.stage("s3://models/v3/")
    cluster.ready(3)
    assert cluster.previous() == 2
    assert cluster.shares() == {2: 100}


def test_f3_the_next_release_in_two_patches_moves_production_two_back(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.percent(0)
    cluster.stage("s3://models/v3/")
    cluster.ready(3)
    assert cluster.previous() == 1


def test_h_a_crashed_canary_blocks_its_own_roll_back(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.stage("s3://models/v3/")
    cluster.ready(3)
    cluster.percent(10)
    cluster.runtime.seen[revision(3)] = CRASHED
    cluster.loop.settle()
    cluster.percent(0)
    assert cluster.shares() == {3: 10, 2: 90}
    routes = cluster.condition("RoutesReady")
    assert (routes["status"], routes["reason"]) == ("False", "RevisionMissing")
    assert cluster.predictor()["traffic"][0]["percent"] == 10


def test_h_the_old_template_at_0_percent_frees_a_blocked_route(cluster: Cluster) -> None:
    test_h_a_crashed_canary_blocks_its_own_roll_back(cluster)
    cluster.stage("s3://models/v2/")
    cluster.ready(4)
    assert cluster.shares() == {2: 100}


def test_h_a_deleted_revision_frees_a_blocked_route_and_is_made_again(cluster: Cluster) -> None:
    test_h_a_crashed_canary_blocks_its_own_roll_back(cluster)
    cluster.api.store.delete(REVISIONS, "default", revision(3))
    cluster.loop.settle()
    assert cluster.shares() == {2: 100}
    assert cluster.api.store.find(REVISIONS, "default", revision(3))


def test_k_a_candidate_that_fails_gets_no_traffic_at_any_percent(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.stage("s3://models/v3/")
    cluster.runtime.seen[revision(3)] = CRASHED
    cluster.percent(50)
    assert cluster.shares() == {2: 100}
    status = cluster.isvc()["status"]
    assert status["modelStatus"]["transitionStatus"] == "BlockedByFailedLoad"
    assert status["modelStatus"]["lastFailureInfo"]["message"] == "boom"
    assert cluster.condition("PredictorReady")["reason"] == "RevisionFailed"
    assert cluster.condition("RoutesReady")["status"] == "True"
    assert cluster.condition("IngressReady")["status"] == "True"
    found = cluster.api.store.get(REVISIONS, "default", revision(3))["status"]["conditions"]
    assert next(c for c in found if c["type"] == "Ready")["reason"] == "ExitCode1"


def test_a_cold_revision_gets_traffic_only_when_it_serves(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.now += 60
    cluster.loop.settle()
    cluster.loop.settle()
    assert cluster.runtime.stopped == [revision(1)]
    cluster.percent(0)
    assert cluster.shares() == {2: 100}
    assert cluster.condition("RoutesReady")["status"] == "Unknown"
    cluster.ready(1)
    assert cluster.shares() == {1: 100}
    assert cluster.condition("RoutesReady")["status"] == "True"


def test_a_revision_is_kept_for_a_grace_period_after_its_last_reference(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.now += 14
    cluster.loop.settle()
    assert cluster.runtime.stopped == []


def test_storage_that_fails_is_seen_by_the_model_status_before_knative(cluster: Cluster) -> None:
    cluster.create()
    failed = RevisionStatus(
        phase="Failed", reason="StorageInitializerFailed", message="no such key", exit_code=1
    )
    cluster.runtime.seen[revision(1)] = failed
    cluster.loop.settle()
    status = cluster.isvc()["status"]
    assert status["modelStatus"]["lastFailureInfo"]["message"] == "no such key"
    assert cluster.condition("PredictorReady")["status"] == "Unknown"
    cluster.now += 601
    cluster.loop.settle()
    found = cluster.api.store.get(REVISIONS, "default", revision(1))["status"]["conditions"]
    assert next(c for c in found if c["type"] == "Ready")["reason"] == "ProgressDeadlineExceeded"


def test_the_progress_deadline_is_read_from_the_annotation(cluster: Cluster) -> None:
    cluster.create(annotations={"serving.knative.dev/progress-deadline": "1m30s"})
    cluster.now += 91
    cluster.loop.settle()
    assert cluster.condition("PredictorReady")["reason"] == "RevisionFailed"


def test_a_percent_out_of_range_is_refused_by_knative_alone(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.percent(150)
    found = cluster.condition("PredictorReady")
    assert (found["status"], found["reason"]) == ("False", "ReconcileFailed")
    assert cluster.shares() == {2: 100}


@pytest.mark.parametrize("uri", ["ftp://models/v3/", "models://m/1"])
def test_an_unknown_storage_scheme_is_only_an_event(cluster: Cluster, uri: str) -> None:
    cluster.promoted()
    cluster.stage(uri)
    assert cluster.condition("Ready")["status"] == "True"
    assert "not supported" in messages(cluster)
    assert cluster.predictor()["latestCreatedRevision"] == revision(2)


def test_an_unknown_runtime_is_an_event_and_an_invalid_spec(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.patch({"spec": {"predictor": {"model": {"runtime": "nope"}}}})
    assert cluster.isvc()["status"]["modelStatus"]["transitionStatus"] == "InvalidSpec"
    assert "nope" in messages(cluster)


def test_modelmesh_is_refused_and_says_so(cluster: Cluster) -> None:
    mesh = {"serving.kserve.io/deploymentMode": "ModelMesh"}
    model = {"modelFormat": {"name": "triton"}, "storageUri": "gs://b/"}
    body = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "digits", "annotations": mesh}, "spec": {"predictor": {"model": model}},
    }  # fmt: skip
    cluster.objects.create_namespaced_custom_object(*ISVC, body)
    cluster.loop.settle()
    assert cluster.condition("PredictorReady")["reason"] == "NotEmulated"
    assert "ModelMesh is not emulated" in messages(cluster)


def test_the_deployment_mode_is_immutable_once_recorded(cluster: Cluster) -> None:
    cluster.create()
    change = {"metadata": {"annotations": {"serving.kserve.io/deploymentMode": "Standard"}}}
    with pytest.raises(ApiException) as refused:
        cluster.patch(change)
    assert refused.value.status == 403
    assert "cannot be changed from 'Knative' to 'Standard'" in refused.value.body


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"annotations": {"a": "b"}}},
        {"spec": {"predictor": {"minReplicas": 2}}},
        {"spec": {"predictor": {"labels": {"version": "7"}}}},
        {"spec": {"predictor": {"model": {"args": ["--log-verbose=1"]}}}},
    ],
)
def test_what_is_in_the_template_makes_a_revision(cluster: Cluster, change: Json) -> None:
    cluster.create()
    cluster.ready(1)
    cluster.patch(change)
    assert cluster.predictor()["latestCreatedRevision"] == revision(2)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"predictor": {"canaryTrafficPercent": 50}}},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}},
        {"metadata": {"annotations": {"autoscaling.knative.dev/min-scale": "3"}}},
        {"metadata": {"annotations": {"serving.knative.dev/rollout-duration": "380s"}}},
    ],
)
def test_what_is_not_in_the_template_makes_none(cluster: Cluster, change: Json) -> None:
    cluster.create()
    cluster.ready(1)
    cluster.patch(change)
    assert cluster.predictor()["latestCreatedRevision"] == revision(1)


def test_a_new_tag_routing_annotation_is_a_revision(cluster: Cluster) -> None:
    cluster.create()
    cluster.ready(1)
    cluster.patch({"metadata": {"annotations": {"serving.kserve.io/enable-tag-routing": None}}})
    assert cluster.predictor()["latestCreatedRevision"] == revision(2)
    assert all("tag" not in entry for entry in cluster.predictor()["traffic"])


def test_the_observed_generation_is_the_knative_services(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.percent(None)
    isvc = cluster.isvc()
    assert isvc["metadata"]["generation"] != isvc["status"]["observedGeneration"]


def test_the_revision_carries_its_storage_uri_and_the_predictors_labels(cluster: Cluster) -> None:
    cluster.create(labels={"release.example.com/model-version": "7"})
    spec = cluster.runtime.specs[revision(1)]
    assert spec.storage_uri == "s3://models/v1/"
    assert (spec.service, spec.inferenceservice) == ("digits-predictor", "digits")
    assert spec.labels["release.example.com/model-version"] == "7"
    assert spec.labels["serving.knative.dev/revision"] == revision(1)
    assert spec.labels["component"] == "predictor"
    assert spec.args == ()
    found = cluster.api.store.get(REVISIONS, "default", revision(1))["metadata"]["annotations"]
    assert found["internal.serving.kserve.io/storage-initializer-sourceuri"] == spec.storage_uri


def test_arguments_and_environment_of_the_model_reach_the_runtime(cluster: Cluster) -> None:
    model = {
        "modelFormat": {"name": "triton"}, "storageUri": "s3://m/1/",
        "args": ["--log-verbose=1"], "env": [{"name": "A", "value": "b"}],
    }  # fmt: skip
    cluster.create(model=model)
    spec = cluster.runtime.specs[revision(1)]
    assert (spec.args, spec.env) == (("--log-verbose=1",), {"A": "b"})


def test_two_replicas_are_two_servers_and_two_pods(cluster: Cluster) -> None:
    cluster.create(minReplicas=2)
    cluster.ready(1)
    assert set(cluster.runtime.specs) == {revision(1), f"{revision(1)}.1"}
    pods = cluster.api.store.items(PODS)
    assert len(pods) == 2
    assert cluster.api.store.get(REVISIONS, "default", revision(1))["status"]["actualReplicas"] == 2
    assert cluster.isvc()["status"]["modelStatus"]["copies"]["totalCopies"] == 2


def test_urls_are_known_when_the_predictor_is_up_and_kept(cluster: Cluster) -> None:
    cluster.create()
    assert "url" not in cluster.isvc()["status"]
    cluster.ready(1)
    status = cluster.isvc()["status"]
    assert status["url"] == "http://digits.default.example.com"
    assert cluster.shares("digits.default.example.com") == {1: 100}
    assert cluster.predictor()["url"] == "http://digits-predictor.default.example.com"
    assert cluster.predictor()["traffic"][0]["url"] == f"http://{LATEST}"
    cluster.stage("s3://models/v2/")
    assert cluster.isvc()["status"]["url"] == status["url"]


def test_deleting_the_service_tears_everything_down(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.objects.delete_namespaced_custom_object(*ISVC, "digits")
    cluster.loop.settle()
    assert cluster.ingress.table == {}
    assert sorted(cluster.runtime.stopped) == [revision(1), revision(2)]
    assert cluster.api.store.items(REVISIONS) == cluster.api.store.items(PODS) == []


def test_an_ingress_that_refuses_is_said_and_tried_again(cluster: Cluster) -> None:
    cluster.create()
    cluster.ingress.trouble = OSError("no space left")
    cluster.ready(1)
    assert "no space left" in cluster.condition("RoutesReady")["message"]
    cluster.ingress.trouble = None
    cluster.loop.settle()
    assert cluster.condition("Ready")["status"] == "True"


def test_the_stop_annotation_removes_the_knative_service(cluster: Cluster) -> None:
    cluster.create()
    cluster.ready(1)
    cluster.patch({"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
    assert cluster.condition("Stopped")["status"] == "True"
    assert cluster.ingress.table == {}


def test_the_thread_notices_a_change_of_the_store_and_one_of_the_runtime(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_RESYNC_S", 3600.0)  # or it would look at everything by and by
    cluster.loop.start()
    try:
        body = {
            "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "digits"},
            "spec": {"predictor": {"model": {"modelFormat": {"name": "triton"}, "storageUri": "s3://m/1/"}}},
        }  # fmt: skip
        cluster.objects.create_namespaced_custom_object(*ISVC, body)
        assert within(60, lambda: revision(1) in cluster.runtime.specs)
        cluster.runtime.seen[revision(1)] = READY
        assert within(60, lambda: cluster.shares() == {1: 100})
    finally:
        cluster.loop.stop()


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.005)
    return False


def messages(cluster: Cluster) -> str:
    found = client.CoreV1Api(cluster.client).list_namespaced_event("default")
    return " ".join(event.message for event in found.items if event.type == "Warning")


BESIDE = {
    "name": "transformer-container", "image": "t:1", "command": ["python3", "transformer.py"],
    "args": ["--http_port=8081"], "ports": [{"containerPort": 8081}],
}  # fmt: skip


def test_a_transformer_beside_the_model_becomes_a_program_of_the_revision(cluster: Cluster) -> None:
    cluster.create(containers=[BESIDE])
    asked = cluster.runtime.specs[revision(1)].program
    assert asked is not None
    assert asked.argv == ("python3", "transformer.py", "--http_port=8081")
    assert asked.port == 8081


def test_a_crashed_transformer_is_the_container_that_the_pod_and_kserve_name(
    cluster: Cluster,
) -> None:
    cluster.create(containers=[BESIDE])
    cluster.runtime.seen[revision(1)] = RevisionStatus(
        phase="Failed", reason="CrashLoop", message="no feature store", exit_code=1, restarts=1,
        container="transformer-container",
    )  # fmt: skip
    cluster.loop.settle()
    pod = client.CoreV1Api(cluster.client).list_namespaced_pod("default").items[0]
    ready = {one.name: one.ready for one in pod.status.container_statuses}
    assert ready == {"kserve-container": True, "transformer-container": False}
    told = cluster.isvc()["status"]["modelStatus"]
    assert told["lastFailureInfo"]["message"] == "no feature store"
    assert cluster.condition("PredictorReady")["status"] == "False"


def test_a_transformer_without_a_program_of_this_machine_is_refused_and_says_so(
    cluster: Cluster,
) -> None:
    cluster.create(containers=[BESIDE | {"command": ["/nowhere/serve"]}])
    assert cluster.condition("PredictorReady")["reason"] == "NotEmulated"
    assert "names no program of this machine" in messages(cluster)
