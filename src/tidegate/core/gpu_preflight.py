"""Whether the cluster's nodes have the GPUs that a release needs, before one is staged. Pure.

A release holds more than production does (`core.gpu_room`). What a node offers is its `allocatable`; how it
is cut and shared is in the labels of NVIDIA's GPU feature discovery (k8s-device-plugin
docs/gpu-feature-discovery: gpu.product, gpu.compute.*, gpu.replicas, mig.strategy).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.core.checkup import Check, fail, ok, warn
from tidegate.core.gpu_room import Demand, Slots
from tidegate.policy import Policy
from tidegate.policy.serving import Gpu

Json = Mapping[str, Any]
PRODUCT = "nvidia.com/gpu.product"
MAJOR, MINOR = "nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor"
STRATEGY, REPLICAS = "nvidia.com/mig.strategy", "nvidia.com/gpu.replicas"
SURGE = (
    "add nodes, lower serving.min_replicas, cut the GPUs smaller (MIG), or share them for the time of the "
    "release"
)
TIGHT = (
    f"{SURGE}; a candidate that finds no room stays Pending, and the release ends with production as it "
    "was"
)
REPAIR = (
    "a roll-back returns the traffic at once all the same; its spec stays unrepaired until there is room, "
    "and sweep tries again"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What counts of one node that takes pods."""

    name: str
    labels: Mapping[str, str]
    allocatable: int  # of the resource that is asked for

    @property
    def capability(self) -> tuple[int, int] | None:
        """Of its GPUs; None when the node does not say."""
        parts = [self.labels.get(MAJOR, ""), self.labels.get(MINOR, "")]
        return (int(parts[0]), int(parts[1])) if all(p.isdecimal() for p in parts) else None


def preflight(
    policy: Policy, nodes: Iterable[Json], mode: str, demand: Demand | None = None
) -> Iterator[Check]:
    """What is wrong with the nodes for this policy's GPU, and what to do; nothing when it asks for none.

    FAIL: the new revision cannot be scheduled on these nodes, whoever else is on them. `demand`: what the
    release holds at once; None = a release over an incumbent like the policy's own predictor.
    """
    gpu = policy.serving.gpu
    if gpu is None:
        return
    title = f"GPUs {gpu.resource}"
    known = [_node(one, gpu.resource) for one in nodes if _takes_pods(one)]
    offering = [one for one in known if one.allocatable]
    fitting = [one for one in offering if not _misfit(one, gpu, policy)]
    if not offering:
        yield fail(title, *_nowhere(known, gpu))
        return
    if not fitting:
        why = "; ".join(f"{one.name}: {_misfit(one, gpu, policy)}" for one in offering)
        yield fail(
            title, f"no node fits ({why})", "correct serving.gpu or serving.placement, or label one"
        )
        return
    wanted = demand or Demand.over(policy, None, mode)
    yield _room(title, fitting, offering, gpu, wanted)
    yield from _sharing(title, fitting, gpu)
    yield from _plan_class(title, fitting, policy)


def _node(item: Json, resource: str) -> Node:
    text = str(item.get("status", {}).get("allocatable", {}).get(resource, "0"))
    return Node(
        name=str(item["metadata"].get("name", "")),
        labels=item["metadata"].get("labels") or {},
        allocatable=int(text) if text.isdecimal() else 0,
    )


def _takes_pods(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
    return ready and not node.get("spec", {}).get("unschedulable")


def _nowhere(known: Sequence[Node], gpu: Gpu) -> tuple[str, str]:
    """No node offers it: what the labels say of why."""
    strategies = {one.labels[STRATEGY] for one in known if STRATEGY in one.labels}
    if gpu.kind.startswith("mig") and strategies and "mixed" not in strategies:
        held = ", ".join(sorted(strategies))
        return f"no node offers it (MIG strategy {held})", "set mig.strategy: mixed (docs/gpu.md)"
    if gpu.kind.startswith("mig"):
        remedy = f"cut a node into {gpu.profile} (label nvidia.com/mig.config, docs/gpu.md)"
        return "no ready node offers it", remedy
    if gpu.kind == "shared":
        remedy = "share a node's GPUs (label nvidia.com/device-plugin.config, docs/gpu.md)"
        return "no ready node offers it", remedy
    return "no ready node offers it", "add a GPU node, or install the device plugin"


def _misfit(node: Node, gpu: Gpu, policy: Policy) -> str:
    """Why a pod of this policy cannot run there; '' when it can."""
    if node.allocatable < gpu.count:
        return f"has {node.allocatable}, one pod takes {gpu.count}"
    held = node.labels.get(PRODUCT, "")
    if gpu.product and held != gpu.product:
        return f"{PRODUCT} is {held or 'not there'}, not {gpu.product}"
    if gpu.min_compute_capability:
        major, minor = map(int, gpu.min_compute_capability.split("."))
        found = node.capability
        if found is None or found < (major, minor):
            shown = f"{found[0]}.{found[1]}" if found else "not told"
            return f"compute capability is {shown}, not {gpu.min_compute_capability} or newer"
    for key, value in policy.serving.placement.node_selector.items():
        if node.labels.get(key) != value:
            return f"label {key} is {node.labels.get(key, 'not there')}, not {value}"
    return ""


def _room(
    title: str, fitting: Sequence[Node], offering: Sequence[Node], gpu: Gpu, wanted: Demand
) -> Check:
    """A pod's GPUs are all of one node, so pods are counted by node."""
    elsewhere = [node.allocatable for node in offering if node not in fitting]
    slots = Slots(here=[node.allocatable for node in fitting], elsewhere=elsewhere, each=gpu.count)
    found = f"room for {slots.pods} pods on {len(fitting)} nodes, whoever holds it now"
    if (least := slots.needed(wanted, wanted.least)) > slots.pods:
        return fail(title, f"{found}; {wanted.together} take {least} at least", SURGE)
    if (usual := slots.needed(wanted, wanted.usual)) > slots.pods:
        return warn(title, f"{found}; {wanted.together} take {usual}", TIGHT)
    if (whole := slots.needed(wanted, wanted.repair)) > slots.pods:
        return warn(title, f"{found}; repairing a roll-back takes {whole}", REPAIR)
    return ok(title, found)


def _sharing(title: str, fitting: Sequence[Node], gpu: Gpu) -> Iterator[Check]:
    if not gpu.kind.endswith("shared"):
        return
    told = {one.labels[REPLICAS] for one in fitting if REPLICAS in one.labels}
    each = f"by {', '.join(sorted(told))}" if told else "by nobody knows how many"
    yield warn(
        f"{title}, shared",
        f"one GPU is used {each} at once; nothing is isolated, memory neither",
        "judge errors here and latencies on whole GPUs or MIG slices: a neighbour's load is in every one",
    )


def _plan_class(title: str, fitting: Sequence[Node], policy: Policy) -> Iterator[Check]:
    """A TensorRT plan runs on the GPU that built it (docs.nvidia.com/deeplearning/tensorrt, "Engine
    portability"): nodes of several products would load it on some of them alone."""
    gpu = policy.serving.gpu
    products = sorted({one.labels.get(PRODUCT, "unknown") for one in fitting})
    if policy.optimize.target != "tensorrt" or (gpu and gpu.product) or len(products) == 1:
        return
    yield fail(
        f"{title}, the plan's class",
        f"nodes with {', '.join(products)} fit, and a TensorRT plan loads on the product that built it",
        "name it as serving.gpu.product",
    )
