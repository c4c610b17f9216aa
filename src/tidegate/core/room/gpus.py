"""What the labels of NVIDIA's GPU feature discovery say of a node's GPUs. Pure.

k8s-device-plugin docs/gpu-feature-discovery: gpu.product, gpu.compute.*, gpu.replicas, mig.strategy.
"""

from collections.abc import Iterator, Sequence

from tidegate.core.checkup import Check, fail, warn
from tidegate.core.room.node import Node
from tidegate.policy import Policy
from tidegate.policy.serving import Gpu

PRODUCT = "nvidia.com/gpu.product"
MAJOR, MINOR = "nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor"
STRATEGY, REPLICAS = "nvidia.com/mig.strategy", "nvidia.com/gpu.replicas"


def too_old(node: Node, gpu: Gpu | None) -> str:
    """The policy's wish that is in no manifest: a compute capability. '' when the node has it."""
    if gpu is None or not gpu.min_compute_capability:
        return ""
    least = tuple(map(int, gpu.min_compute_capability.split(".")))
    parts = [node.labels.get(MAJOR, ""), node.labels.get(MINOR, "")]
    is_told = all(part.isdecimal() for part in parts)
    if is_told and tuple(map(int, parts)) >= least:
        return ""
    shown = ".".join(parts) if is_told else "not told"
    return f"compute capability is {shown}, not {gpu.min_compute_capability} or newer"


def nowhere(device: str, known: Sequence[Node]) -> tuple[str, str]:
    """No node offers the device: what the labels say of why, and the remedy."""
    strategies = {one.labels[STRATEGY] for one in known if STRATEGY in one.labels}
    if device.startswith("nvidia.com/mig-"):
        profile = device.removeprefix("nvidia.com/mig-").removesuffix(".shared")
        if strategies and "mixed" not in strategies:
            held = ", ".join(sorted(strategies))
            return (
                f"no node offers it (MIG strategy {held})",
                "set mig.strategy: mixed (docs/gpu.md)",
            )
        remedy = f"cut a node into {profile} (label nvidia.com/mig.config, docs/gpu.md)"
        return "no ready node offers it", remedy
    if device == "nvidia.com/gpu.shared":
        remedy = "share a node's GPUs (label nvidia.com/device-plugin.config, docs/gpu.md)"
        return "no ready node offers it", remedy
    return "no ready node offers it", "add a GPU node, or install the device plugin"


def sharing(title: str, fitting: Sequence[Node], gpu: Gpu) -> Iterator[Check]:
    """What not to judge on a GPU that others use."""
    if not gpu.kind.endswith("shared"):
        return
    told = {one.labels[REPLICAS] for one in fitting if REPLICAS in one.labels}
    each = f"by {', '.join(sorted(told))}" if told else "by nobody knows how many"
    yield warn(
        f"{title}, shared",
        f"one GPU is used {each} at once; nothing is isolated, memory neither",
        "judge errors here and latencies on whole GPUs or MIG slices: a neighbour's load is in every one",
    )


def plan_class(title: str, fitting: Sequence[Node], policy: Policy) -> Iterator[Check]:
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
