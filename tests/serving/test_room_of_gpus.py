"""Before a release: do the nodes have its GPU, enough of it for blue and green, and the right one?"""

from typing import Any

import pytest

from tidegate.core.checkup import State
from tidegate.core.room.preflight import Cluster, preflight
from tidegate.policy import Policy

A100 = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB", "nvidia.com/gpu.compute.major": "8",
    "nvidia.com/gpu.compute.minor": "0", "nvidia.com/mig.strategy": "mixed",
}  # fmt: skip
T4 = {
    "nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.compute.major": "7",
    "nvidia.com/gpu.compute.minor": "5", "nvidia.com/mig.strategy": "single",
}  # fmt: skip
GPU, SLICE = "nvidia.com/gpu", "nvidia.com/mig-3g.40gb"


def node(offers: dict[str, str], labels: dict[str, str] = A100, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "gpu-1", "labels": labels},
        "spec": spec,
        "status": {"allocatable": offers, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def policy(gpu: dict[str, Any], **parts: Any) -> Policy:
    serving = {"gpu": gpu, **parts.pop("serving", {})}
    base = {"name": "vision", "model": {"uri": "models:/vision/5"}, "serving": serving}
    return Policy.model_validate(base | parts)


def found(asked: Policy, *nodes: dict[str, Any], mode: str = "Knative") -> list[tuple[State, str]]:
    checks = preflight(asked, Cluster(nodes=nodes), mode)
    return [(one.state, f"{one.found} -> {one.remedy}") for one in checks]


def test_a_policy_without_a_gpu_asks_nothing_of_the_nodes() -> None:
    plain = Policy.model_validate({"name": "a", "model": {"uri": "models:/a/1"}})
    assert list(preflight(plain, Cluster(nodes=[]), "Knative")) == []


def test_three_sets_are_room_for_everything_in_knative_mode() -> None:
    ((state, said),) = found(policy({}), node({GPU: "3"}))
    unsaid = "not counted, for the runtime says it: cpu, memory"
    assert said == f"room for 3 pods on 1 nodes, whoever holds it now; {unsaid} -> "
    assert state is State.OK


@pytest.mark.parametrize(
    ("offered", "mode", "parts", "state", "said"),
    [
        ("1", "Knative", {}, State.FAIL, "take 2 at least; one pod asks nvidia.com/gpu 1, and the best "),
        ("1", "Standard", {}, State.FAIL, "node gpu-1 has nvidia.com/gpu 1 of 1 -> add nodes"),
        ("2", "Knative", {}, State.WARN, "repairing a roll-back takes 3 -> a roll-back returns the traffic"),
        ("2", "Standard", {}, State.OK, "room for 2 pods"),
        ("2", "Standard", {"load": {"baseline": "dedicated"}}, State.FAIL, "dedicated baseline take 3"),
        (
            "3", "Standard", {"serving": {"min_replicas": 2, "max_replicas": 2}},
            State.WARN, "incumbent and candidate take 4 -> add nodes",
        ),
    ],
)  # fmt: skip
def test_too_little_room_is_told_with_what_to_do_without_it(
    offered: str, mode: str, parts: dict[str, Any], state: State, said: str
) -> None:
    ((got, text),) = found(policy({}, **parts), node({GPU: offered}), mode=mode)
    assert got is state
    assert said in text


def test_a_pods_gpus_are_all_of_one_node() -> None:
    ((state, said),) = found(policy({"count": 2}), node({GPU: "5"}), node({GPU: "3"}))
    assert (state, said.startswith("room for 3 pods on 2 nodes")) == (State.OK, True)
    ((state, said),) = found(policy({"count": 4}), node({GPU: "3"}), node({GPU: "3"}))
    assert state is State.FAIL
    assert "has nvidia.com/gpu 3, one pod takes nvidia.com/gpu 4" in said


@pytest.mark.parametrize(
    ("gpu", "offers", "labels", "said"),
    [
        ({"kind": "mig", "profile": "3g.40gb"}, {GPU: "2"}, T4, "(MIG strategy single) -> set mig.strategy"),
        ({"kind": "mig", "profile": "3g.40gb"}, {GPU: "2"}, A100, "-> cut a node into 3g.40gb"),
        ({"kind": "shared"}, {GPU: "2"}, A100, "-> share a node's GPUs"),
        ({}, {}, {}, "-> add a GPU node, or install the device plugin"),
        ({"product": "NVIDIA-H100"}, {GPU: "2"}, A100, "is NVIDIA-A100-SXM4-80GB, not NVIDIA-H100"),
        ({"min_compute_capability": "8.0"}, {GPU: "2"}, T4, "is 7.5, not 8.0 or newer"),
        ({"min_compute_capability": "8.0"}, {GPU: "2"}, {}, "is not told, not 8.0"),
    ],
)  # fmt: skip
def test_a_node_that_cannot_run_it_is_a_failure_that_names_the_label(
    gpu: dict[str, Any], offers: dict[str, str], labels: dict[str, str], said: str
) -> None:
    ((state, text),) = found(policy(gpu), node(offers, labels))
    assert state is State.FAIL
    assert said in text


def test_a_node_that_takes_no_pods_or_lacks_the_selectors_label_does_not_count() -> None:
    ((state, said),) = found(policy({}), node({GPU: "9"}, unschedulable=True))
    assert (state, "no ready node offers it" in said) == (State.FAIL, True)
    sick = node({GPU: "9"})
    sick["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    ((state, said),) = found(policy({}), sick)
    assert (state, "no ready node offers it" in said) == (State.FAIL, True)
    picky = policy({}, serving={"placement": {"node_selector": {"pool": "gpu"}}})
    ((state, said),) = found(picky, node({GPU: "9"}))
    assert (state, "label pool is not there, not gpu" in said) == (State.FAIL, True)


def test_a_shared_gpu_says_by_how_many_and_what_not_to_judge_on_it() -> None:
    shared = node({"nvidia.com/gpu.shared": "4"}, A100 | {"nvidia.com/gpu.replicas": "4"})
    (room, sharing) = found(policy({"kind": "shared"}), shared)
    assert room[0] is State.OK
    assert "used by 4 at once" in sharing[1]
    assert "latencies on whole GPUs or MIG slices" in sharing[1]


def test_a_plan_of_tensorrt_wants_one_product_and_its_name() -> None:
    asked = policy({}, optimize={"target": "tensorrt"})
    nodes = [node({GPU: "3"}), node({GPU: "3"}, T4)]
    (_, plan_class) = found(asked, *nodes)
    assert plan_class[0] is State.FAIL
    assert "nodes with NVIDIA-A100-SXM4-80GB, Tesla-T4 fit" in plan_class[1]
    assert len(found(asked, nodes[0])) == 1
