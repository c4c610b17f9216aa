"""A revision in trouble looks as on a real cluster: pod, Events, Revision, KServe's modelStatus."""

from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.sandbox.api.kinds import EVENTS, PODS, REVISIONS
from tidegate.sandbox.controllers import troubles
from tidegate.sandbox.interfaces import RevisionStatus

from .emulated_cluster import Cluster, revision, running

NO_NODE = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
OVER = 'pods "x" is forbidden: exceeded quota: gpus, requested: nvidia.com/gpu=1'


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as held:
        yield held


def fated(cluster: Cluster, **status: Any) -> None:
    cluster.create()
    cluster.runtime.seen[revision(1)] = RevisionStatus(**status)
    cluster.loop.settle()


def the_pod(cluster: Cluster) -> dict[str, Any]:
    (pod,) = cluster.api.store.items(PODS)
    return pod


def main_container(cluster: Cluster) -> dict[str, Any]:
    (status,) = the_pod(cluster)["status"]["containerStatuses"]
    return dict(status)


def told(cluster: Cluster) -> dict[tuple[str, str], str]:
    """(kind, reason) -> message of the newest Event."""
    events = cluster.api.store.items(EVENTS)
    return {(e["involvedObject"]["kind"], e["reason"]): e["message"] for e in events}


def condition(cluster: Cluster, name: str) -> tuple[str, str]:
    found = cluster.api.store.get(REVISIONS, "default", revision(1))["status"]["conditions"]
    entry = next(c for c in found if c["type"] == name)
    return entry["status"], entry.get("reason", "")


def model_state(cluster: Cluster) -> str:
    return str(cluster.isvc()["status"]["modelStatus"]["states"]["targetModelState"])


def test_a_pod_without_a_node_has_no_containers_yet_and_the_revision_says_unschedulable(
    cluster: Cluster,
) -> None:
    fated(cluster, phase="Pending", reason=troubles.UNSCHEDULABLE, message=NO_NODE)
    status = the_pod(cluster)["status"]
    (said,) = status["conditions"]
    assert (said["type"], said["status"], said["reason"], said["message"]) == (
        "PodScheduled", "False", "Unschedulable", NO_NODE,
    )  # fmt: skip
    assert "containerStatuses" not in status
    assert told(cluster)["Pod", "FailedScheduling"] == NO_NODE
    assert condition(cluster, "ResourcesAvailable") == ("False", "Unschedulable")
    assert model_state(cluster) == "Pending"  # KServe sees no failure here


def test_an_image_that_cannot_be_pulled_waits_and_only_the_kubelet_says_why(
    cluster: Cluster,
) -> None:
    fated(cluster, phase="Pending", reason=troubles.IMAGE_PULL, message="code = NotFound")
    assert main_container(cluster)["state"]["waiting"]["reason"] == "ImagePullBackOff"
    (init,) = the_pod(cluster)["status"]["initContainerStatuses"]
    assert init["state"]["terminated"]["exitCode"] == 0
    events = cluster.api.store.items(EVENTS)
    assert any("code = NotFound" in e["message"] for e in events if e["reason"] == "Failed")
    assert condition(cluster, "Ready") == ("Unknown", "Deploying")
    assert model_state(cluster) == "Pending"


def test_a_quota_leaves_no_pod_and_the_words_are_an_event_of_the_replica_set(
    cluster: Cluster,
) -> None:
    fated(cluster, phase="Pending", reason=troubles.QUOTA, message=OVER)
    assert cluster.api.store.items(PODS) == []
    assert told(cluster)["ReplicaSet", "FailedCreate"] == f"Error creating: {OVER}"
    assert condition(cluster, "ResourcesAvailable") == ("False", "FailedCreate")


def test_a_secret_that_is_missing_keeps_the_container_from_being_made(cluster: Cluster) -> None:
    fated(cluster, phase="Pending", reason=troubles.CONFIG_ERROR, message='secret "hf" not found')
    waiting = main_container(cluster)["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'secret "hf" not found'}


def test_a_server_killed_for_its_memory_was_oomkilled_with_137(cluster: Cluster) -> None:
    fated(
        cluster, phase="Failed", reason=troubles.OUT_OF_MEMORY, message="loading", exit_code=-9,
        restarts=1,
    )  # fmt: skip
    ended = main_container(cluster)["lastState"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    assert condition(cluster, "ContainerHealthy") == ("False", "ExitCode137")
    assert model_state(cluster) == "FailedToLoad"


def test_kserve_does_not_take_the_first_oom_for_a_failed_load(cluster: Cluster) -> None:
    fated(cluster, phase="Failed", reason=troubles.OUT_OF_MEMORY, exit_code=137)
    assert model_state(cluster) == "Pending"


def test_an_image_that_knative_cannot_resolve_has_no_pod(cluster: Cluster) -> None:
    fated(cluster, phase="Failed", reason=troubles.IMAGE_MISSING, message="Unable to fetch image")
    assert cluster.api.store.items(PODS) == []
    assert condition(cluster, "ContainerHealthy") == ("False", "ContainerMissing")


def test_after_the_deadline_all_that_is_left_is_that_it_passed(cluster: Cluster) -> None:
    fated(cluster, phase="Pending", reason=troubles.UNSCHEDULABLE, message=NO_NODE)
    cluster.now += 601
    cluster.loop.settle()
    assert condition(cluster, "ResourcesAvailable") == ("False", "ProgressDeadlineExceeded")
    assert cluster.api.store.items(PODS) == []


def test_knatives_webhook_refuses_an_account_that_is_no_name(cluster: Cluster) -> None:
    cluster.promoted()
    cluster.patch({"spec": {"predictor": {"serviceAccountName": "Model_Reader"}}})
    found = cluster.condition("PredictorReady")
    assert (found["status"], found["reason"]) == ("False", "ReconcileFailed")
    assert "denied the request" in found["message"]
    assert "Model_Reader" in told(cluster)["InferenceService", "InternalError"]
    assert cluster.shares() == {2: 100}
