"""Replicas and the autoscaler on the emulated cluster: pods by load, none without it, and a cold start."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.controllers.emulated_cluster import Cluster, revision, running
from tests.sandbox.controllers.fake_data_plane import LOADING, READY
from tidegate.sandbox.api.kinds import PODS, REVISIONS
from tidegate.sandbox.controllers.replica_pods import replica_of
from tidegate.sandbox.interfaces import RevisionStatus

R1 = revision(1)
CRASHED = RevisionStatus(
    phase="Failed", reason="CrashLoop", message="boom", exit_code=1, restarts=2
)
NO_ROOM = RevisionStatus(phase="Pending", reason="Unschedulable", message="1 Too many pods")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running() as one:
        yield one


def status(cluster: Cluster, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = cluster.api.store.get(REVISIONS, "default", revision(number))["status"]
    return found


def is_ready(cluster: Cluster) -> str:
    listed = {c["type"]: c["status"] for c in status(cluster)["conditions"]}
    return str(listed["Ready"])


def servers(cluster: Cluster) -> list[str]:
    return sorted(cluster.runtime.specs)


def wait(cluster: Cluster, seconds: float, step: float = 2.0) -> None:
    """Time passes as the loop sees it: two seconds at a time."""
    end = cluster.now + seconds
    while cluster.now < end:
        cluster.now = min(end, cluster.now + step)
        cluster.loop.settle()


def scaled(cluster: Cluster, low: int = 1, high: int = 3, **more: Any) -> None:
    """A ready service whose pods take 10 requests at a time."""
    cluster.create(
        minReplicas=low, maxReplicas=high, scaleMetric="concurrency", scaleTarget=10,
        annotations={"autoscaling.knative.dev/target-utilization-percentage": "100"}, **more,
    )  # fmt: skip
    cluster.ready(1)


# -- several replicas


def test_a_revision_is_ready_when_all_its_first_pods_are(cluster: Cluster) -> None:
    cluster.create(minReplicas=2)
    cluster.runtime.seen |= {R1: READY, f"{R1}.1": LOADING}
    cluster.loop.settle()
    assert (is_ready(cluster), status(cluster)["actualReplicas"]) == ("Unknown", 1)
    cluster.runtime.seen[f"{R1}.1"] = READY
    cluster.loop.settle()
    assert (is_ready(cluster), status(cluster)["actualReplicas"]) == ("True", 2)


def test_a_ready_revision_stays_so_while_one_of_its_pods_serves(cluster: Cluster) -> None:
    cluster.create(minReplicas=2)
    cluster.ready(1)
    cluster.runtime.seen[f"{R1}.1"] = CRASHED
    cluster.loop.settle()
    assert (is_ready(cluster), status(cluster)["actualReplicas"]) == ("True", 1)
    cluster.runtime.seen[R1] = CRASHED
    cluster.loop.settle()
    assert is_ready(cluster) == "False"


def test_each_pod_tells_of_its_own_server(cluster: Cluster) -> None:
    cluster.create(minReplicas=2)
    cluster.ready(1)
    cluster.runtime.seen[f"{R1}.1"] = CRASHED
    cluster.loop.settle()
    told = {
        "-r1-" in pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]
        for pod in cluster.api.store.items(PODS)
    }
    assert (told[False]["ready"], told[False]["restartCount"]) == (True, 0)
    assert (told[True]["ready"], told[True]["restartCount"]) == (False, 2)


def test_a_replica_without_room_is_a_pending_pod_that_says_why(cluster: Cluster) -> None:
    cluster.create(minReplicas=2)
    cluster.runtime.seen |= {R1: READY, f"{R1}.1": NO_ROOM}
    cluster.loop.settle()
    assert is_ready(cluster) == "Unknown"
    (pending,) = [p for p in cluster.api.store.items(PODS) if p["status"]["phase"] == "Pending"]
    assert pending["status"]["conditions"][0]["message"] == "1 Too many pods"


def test_fewer_replicas_are_a_new_revision_and_the_old_one_keeps_its_own(cluster: Cluster) -> None:
    cluster.create(minReplicas=3, maxReplicas=3)
    cluster.ready(1)
    cluster.patch({"spec": {"predictor": {"minReplicas": 1, "maxReplicas": 1}}})
    assert servers(cluster) == [R1, f"{R1}.1", f"{R1}.2", revision(2)]


@pytest.mark.parametrize(
    ("pod", "replica"),
    [
        ("digits-predictor-00001-deployment-x7k2p", 0),
        ("digits-predictor-00001-deployment-r1-x7k2p", 1),
        ("digits-blue-predictor-6c9d8f7b5x-r12-abcde", 12),
    ],
)
def test_the_name_of_a_pod_says_whose_log_it_has(pod: str, replica: int) -> None:
    assert replica_of(pod) == replica


# -- pods by load


def test_load_adds_replicas_and_takes_them_back(cluster: Cluster) -> None:
    scaled(cluster)
    cluster.demand.load[R1] = 15.0
    wait(cluster, 2)
    assert servers(cluster) == [R1, f"{R1}.1"]
    assert status(cluster)["desiredReplicas"] == 2
    cluster.demand.load[R1] = 1.0
    wait(cluster, 58)
    assert servers(cluster) == [R1, f"{R1}.1"]  # 2 for 1 was a panic: nothing goes before a window
    wait(cluster, 8)
    assert servers(cluster) == [R1]
    assert cluster.runtime.stopped == [f"{R1}.1"]


def test_no_more_replicas_than_the_most_and_no_fewer_than_the_least(cluster: Cluster) -> None:
    scaled(cluster, 2, 3)
    cluster.demand.load[R1] = 500.0
    wait(cluster, 4)
    assert len(servers(cluster)) == 3
    cluster.demand.load[R1] = 0.0
    wait(cluster, 200)
    assert len(servers(cluster)) == 2


def test_nobody_counts_the_requests_of_a_service_with_one_possible_number_of_pods(
    cluster: Cluster,
) -> None:
    scaled(cluster, 1, 1)
    cluster.demand.load[R1] = 500.0
    wait(cluster, 10)
    assert (servers(cluster), cluster.demand.counted) == ([R1], set())


def test_another_class_of_autoscaler_is_left_its_least_number(cluster: Cluster) -> None:
    hpa = {"autoscaling.knative.dev/class": "hpa.autoscaling.knative.dev"}
    cluster.create(minReplicas=2, maxReplicas=5, annotations=hpa)
    cluster.ready(1)
    cluster.demand.load[R1] = 5000.0
    wait(cluster, 10)
    assert len(servers(cluster)) == 2


def test_while_nothing_is_known_of_its_requests_a_revision_keeps_its_pods(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaled(cluster, 0)
    monkeypatch.setattr(cluster.demand, "seconds", lambda *_: [])
    wait(cluster, 300)
    assert servers(cluster) == [R1]


def test_the_initial_scale_is_for_the_first_time_only(cluster: Cluster) -> None:
    scaled(cluster, 1, 5)
    assert servers(cluster) == [R1]
    first = {"autoscaling.knative.dev/initial-scale": "3"}
    cluster.patch({"spec": {"predictor": {"annotations": first}}})
    assert len([s for s in servers(cluster) if s.startswith(revision(2))]) == 3
    cluster.ready(2)
    wait(cluster, 100)
    assert [s for s in servers(cluster) if s.startswith(revision(2))] == [revision(2)]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("target", "lots", "invalid value: lots"),
        ("target", "nan", "invalid value: nan"),
        ("target", "-4", "expected 0.01 <= -4 <= inf"),
        ("target-utilization-percentage", "101", "expected 1 <= 101 <= 100"),
        ("panic-window-percentage", "inf", "expected 1 <= inf <= 100"),
        ("max-scale", "2.5", "invalid value: 2.5"),
        ("initial-scale", "0", "expected 1 <= 0"),
        ("window", "soon", "invalid value: soon"),
        ("window", "60s later", "invalid value: 60s later"),
        ("window", "2s", "expected 6 <= 2s <= 3600"),
        ("metric", "cpu", "invalid value: cpu"),
    ],
)
def test_an_annotation_that_knatives_webhook_refuses_makes_no_revision_and_what_serves_goes_on(
    cluster: Cluster, name: str, value: str, told: str
) -> None:
    cluster.create()
    cluster.ready(1)
    key = f"autoscaling.knative.dev/{name}"
    cluster.patch({"spec": {"predictor": {"annotations": {key: value}}}})
    shown = cluster.condition("PredictorReady")
    assert (shown["status"], shown["reason"]) == ("False", "ReconcileFailed")
    assert told in shown["message"]
    assert shown["message"].endswith(f": spec.template.metadata.annotations.{key}")
    assert (servers(cluster), cluster.shares()) == ([R1], {1: 100})


# -- none, and a cold start


def test_without_requests_the_last_pod_ends_and_the_service_stays_ready(cluster: Cluster) -> None:
    scaled(cluster, 0)
    wait(cluster, 58)
    assert (servers(cluster), cluster.demand.held) == ([R1], {})
    wait(cluster, 6)
    assert (servers(cluster), cluster.demand.held) == ([R1], {R1: 300.0})  # before it ends
    wait(cluster, 16)
    assert (servers(cluster), cluster.api.store.items(PODS)) == ([], [])
    assert (status(cluster)["actualReplicas"], is_ready(cluster)) == (0, "True")
    assert cluster.condition("Ready")["status"] == "True"
    assert cluster.shares() == {1: 100}


def test_a_request_that_waits_starts_a_pod_at_once(cluster: Cluster) -> None:
    scaled(cluster, 0, timeout=20)
    wait(cluster, 90)
    cluster.demand.queued[R1] = 1
    cluster.loop.settle()
    assert (servers(cluster), is_ready(cluster)) == ([R1], "True")
    assert cluster.demand.held == {R1: 20.0}  # until it is ready
    cluster.demand.queued[R1] = 0
    cluster.ready(1)
    assert (cluster.demand.held, status(cluster)["actualReplicas"]) == ({}, 1)
    wait(cluster, 58)
    assert servers(cluster) == [R1]
    wait(cluster, 30)
    assert servers(cluster) == []


def test_a_request_in_the_grace_is_answered_by_the_pod_that_is_still_there(
    cluster: Cluster,
) -> None:
    scaled(cluster, 0)
    wait(cluster, 66)
    assert cluster.demand.held
    cluster.demand.load[R1] = 0.1
    wait(cluster, 2)
    assert (servers(cluster), cluster.demand.held) == ([R1], {})
    assert cluster.runtime.stopped == []


def test_the_retention_of_the_last_pod_is_kept(cluster: Cluster) -> None:
    kept = {"autoscaling.knative.dev/scale-to-zero-pod-retention-period": "600s"}
    cluster.create(minReplicas=0, maxReplicas=2, annotations=kept)
    cluster.ready(1)
    wait(cluster, 640, step=20)
    assert servers(cluster) == [R1]
    wait(cluster, 60, step=20)
    assert servers(cluster) == []


def test_a_new_version_starts_though_the_one_before_sleeps_and_takes_its_place(
    cluster: Cluster,
) -> None:
    scaled(cluster, 0)
    wait(cluster, 90)
    cluster.stage("s3://models/v2/", canary=0)
    assert servers(cluster) == [revision(2)]
    cluster.ready(2)
    cluster.percent(100)
    assert cluster.shares() == {2: 100}


def test_a_way_back_to_a_sleeping_version_is_in_force_at_once_and_wakes_it(
    cluster: Cluster,
) -> None:
    scaled(cluster, 0)
    cluster.stage("s3://models/v2/", canary=0)
    cluster.ready(2)
    cluster.percent(100)
    wait(cluster, 120)
    assert servers(cluster) == []
    cluster.percent(0)
    assert cluster.shares() == {1: 100}
    assert set(cluster.demand.held) == {R1, revision(2)}
    cluster.demand.queued[R1] = 3
    cluster.loop.settle()
    assert servers(cluster) == [R1]
