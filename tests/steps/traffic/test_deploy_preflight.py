"""deploy looks at what the nodes have left before its first write."""

from pathlib import Path
from typing import Any

import pytest

from tests.rbac.verbs import load as load_verbs
from tests.rbac.verbs import rules_for
from tests.steps.traffic.test_deploy import end, refused, stage
from tests.steps.traffic.traffic_cluster import NAME, Cluster, clustered, staged_at, uri
from tidegate.adapters.kubernetes import connect
from tidegate.adapters.release_lock import load_journal
from tidegate.documents import Word
from tidegate.sandbox.api.kinds import NAMESPACES, NODES, PODS
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rule

GPU = "nvidia.com/gpu"
ON_GPUS: dict[str, Any] = {"serving": {"gpu": {}, "ready_timeout_s": 5}}


def has_gpus(cluster: Cluster, count: int) -> None:
    ready = [{"type": "Ready", "status": "True"}]
    status = {"allocatable": {GPU: str(count)}, "conditions": ready}
    cluster.api.store.create(NODES, {"metadata": {"name": f"gpu-{count}"}, "status": status})


def serves_1(cluster: Cluster) -> None:
    staged_at(stage(cluster, 1, **ON_GPUS))
    end(cluster)


def test_a_candidate_that_finds_no_gpu_is_refused_before_the_first_write(cluster: Cluster) -> None:
    has_gpus(cluster, 1)
    serves_1(cluster)
    before = cluster.service.manifest()
    said = refused(
        stage(cluster, 2, **ON_GPUS), Word.INVALID,
        "room for 1 pods on 1 nodes, beside what other pods request; ",
    ).reason  # fmt: skip
    assert "incumbent and candidate take 2 at least; one pod asks nvidia.com/gpu 1" in said
    assert "the best node gpu-1 has nvidia.com/gpu 1 of 1" in said
    assert "lower serving.min_replicas, cut the GPUs smaller (MIG)" in said
    assert "or write serving.preflight: report where the cluster adds nodes" in said
    assert (cluster.service.manifest(), cluster.journal.release_id) == (before, "r1")


def test_a_first_release_without_a_gpu_leaves_not_even_a_journal(cluster: Cluster) -> None:
    refused(stage(cluster, 1, **ON_GPUS), Word.INVALID, "no ready node offers it; add a GPU node")
    assert cluster.service.look() is None
    assert load_journal(cluster.kube, "default", NAME) is None


def test_what_is_tight_is_in_the_document_and_the_journal(cluster: Cluster) -> None:
    has_gpus(cluster, 2)
    serves_1(cluster)
    deployment = staged_at(stage(cluster, 2, **ON_GPUS))
    (told,) = deployment.preflight
    assert told.startswith(f"GPUs {GPU}: WARN, room for 2 pods on 1 nodes")
    assert "repairing a roll-back takes 3; a roll-back returns the traffic at once" in told
    assert cluster.journal.preflight == deployment.preflight
    assert staged_at(stage(cluster, 2, **ON_GPUS)) == deployment  # a second run says the same


def test_where_nodes_are_added_the_policy_lets_the_scheduler_have_the_last_word(
    cluster: Cluster,
) -> None:
    has_gpus(cluster, 1)
    serves_1(cluster)
    growing: dict[str, Any] = {"serving": {"gpu": {}, "preflight": "report", "ready_timeout_s": 5}}
    (told,) = staged_at(stage(cluster, 2, **growing)).preflight
    assert "FAIL, room for 1 pods on 1 nodes" in told


def test_nodes_that_may_not_be_read_are_unknown_and_go_on_as_the_policy_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = {"robot": without("nodes")}
    with clustered(tmp_path, monkeypatch, rules) as cluster:
        has_gpus(cluster, 3)
        serves_1(cluster)
        path = write_kubeconfig(tmp_path / "robot", cluster.api.url, token="robot")
        monkeypatch.setenv("KUBECONFIG", str(path))
        with connect(retry_s=2) as cluster.kube:
            said = refused(stage(cluster, 2, **ON_GPUS), Word.INVALID, "may not be read").reason
            assert 'cannot list resource "nodes"' in said
            assert "let the account list nodes (ClusterRole tidegate-deploy" in said
            assert cluster.journal.release_id == "r1"
            reporting: dict[str, Any] = {
                "serving": {"gpu": {}, "preflight": "report", "ready_timeout_s": 5}
            }
            (told,) = staged_at(stage(cluster, 2, **reporting)).preflight
        assert told.startswith("room on the nodes: UNKNOWN, the nodes may not be read")
        assert cluster.serving == {uri(1)}


ON_CPUS: dict[str, Any] = {
    "serving": {
        "resources": {"requests": {"cpu": "200"}}, "preflight": "refuse", "ready_timeout_s": 5,
    }
}  # fmt: skip


def has_cpus(cluster: Cluster, count: int) -> None:
    ready = [{"type": "Ready", "status": "True"}]
    offers = {"cpu": str(count), "memory": "8Gi", "pods": "110"}
    status = {"allocatable": offers, "conditions": ready}
    cluster.api.store.create(NODES, {"metadata": {"name": f"cpu-{count}"}, "status": status})


def holds(cluster: Cluster, node: str, cpu: str) -> None:
    """Somebody else's pod, in a namespace of its own."""
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
    spec = {"nodeName": node, "containers": [container]}
    cluster.api.store.create(NAMESPACES, {"metadata": {"name": "elsewhere"}})
    cluster.api.store.create(PODS, {"metadata": {"name": "other"}, "spec": spec}, "elsewhere")


def test_a_policy_of_cpus_that_asks_for_it_is_refused_for_what_others_hold(
    cluster: Cluster,
) -> None:
    has_cpus(cluster, 600)
    staged_at(stage(cluster, 1, **ON_CPUS))
    end(cluster)
    holds(cluster, "cpu-600", "300")
    said = refused(stage(cluster, 2, **ON_CPUS), Word.INVALID, "room for 1 pods on 1 nodes").reason
    assert "one pod asks cpu 200, and the best node cpu-600 has cpu 300 of 600" in said
    assert cluster.serving == {uri(1)}


def test_a_policy_of_cpus_asks_nobody_for_nodes_or_pods_of_its_own_accord(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unasked: dict[str, Any] = {"resources": {"requests": {"cpu": "900"}}, "ready_timeout_s": 5}
    with clustered(
        tmp_path, monkeypatch, {"robot": without("nodes", everywhere="pods")}
    ) as cluster:
        path = write_kubeconfig(tmp_path / "robot", cluster.api.url, token="robot")
        monkeypatch.setenv("KUBECONFIG", str(path))
        with connect(retry_s=2) as cluster.kube:
            assert staged_at(stage(cluster, 1, serving=unasked)).preflight == ()


def test_pods_that_may_not_be_read_are_no_room_for_a_policy_that_says_refuse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clustered(tmp_path, monkeypatch, {"robot": without(everywhere="pods")}) as cluster:
        has_cpus(cluster, 800)
        has_gpus(cluster, 3)
        path = write_kubeconfig(tmp_path / "robot", cluster.api.url, token="robot")
        monkeypatch.setenv("KUBECONFIG", str(path))
        with connect(retry_s=2) as cluster.kube:
            said = refused(stage(cluster, 1, **ON_CPUS), Word.INVALID, "may not be read").reason
            assert "list the pods of all namespaces (deploy/components/room)" in said
            assert (
                staged_at(stage(cluster, 1, **ON_GPUS)).preflight == ()
            )  # as before: by allocatable


def without(*resources: str, everywhere: str = "") -> list[Rule]:
    """What deploy is recorded to ask for, but for these."""
    kept = [
        rule
        for rule in load_verbs()["deploy"]
        if rule.resource not in resources and (rule.resource, rule.namespace) != (everywhere, "*")
    ]
    return rules_for(kept, "default")
