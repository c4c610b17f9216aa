"""What the backends may do to run faster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Graph optimisation: ONNX Runtime 0 all, 1 extended, -1 basic, 2 none."""

    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphShape:
    """Dims of one input of a CUDA graph."""

    dim: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphLowerBound:
    """The smallest request that a larger CUDA graph may serve."""

    batch_size: int = 0
    input: Mapping[str, GraphShape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSpec:
    """One CUDA graph to capture."""

    batch_size: int = 0
    input: Mapping[str, GraphShape] = field(default_factory=dict)
    graph_lower_bound: GraphLowerBound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuda:
    """TensorRT's CUDA options."""

    graphs: bool = False
    busy_wait_events: bool = False
    graph_spec: tuple[GraphSpec, ...] = ()
    output_copy_stream: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """An execution provider of the backend, and its own options."""

    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionAccelerators:
    """Execution providers for instances on GPUs, and on the CPU."""

    gpu_execution_accelerator: tuple[Accelerator, ...] = ()
    cpu_execution_accelerator: tuple[Accelerator, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedMemoryBuffer:
    """Whether tensors pass through pinned memory; absent = as the server does, which is yes."""

    enable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptimizationPolicy:
    """Everything about speed; priority, cuda, gather and eager are TensorRT's alone."""

    graph: Graph | None = None
    priority: Literal["PRIORITY_DEFAULT", "PRIORITY_MAX", "PRIORITY_MIN"] = "PRIORITY_DEFAULT"
    cuda: Cuda | None = None
    execution_accelerators: ExecutionAccelerators | None = None
    input_pinned_memory: PinnedMemoryBuffer | None = None
    output_pinned_memory: PinnedMemoryBuffer | None = None
    gather_kernel_buffer_threshold: int = 0
    eager_batching: bool = False
