"""The part of Triton's ModelConfig that we write, and how a graph's tensors become it.

Values and rules only; protobuf and text are `tidegate.adapters.model_config_text`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tidegate.documents import Tensor
from tidegate.policy import Triton

DATA_TYPES = frozenset(
    [
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FP16",
        "FP32",
        "FP64",
        "STRING",
        "BF16",
    ]
)
InstanceKind = Literal["KIND_AUTO", "KIND_CPU", "KIND_GPU", "KIND_MODEL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTensor:
    """An input or output. dims leave the batch axis out; reshape is what the graph itself has."""

    name: str
    data_type: str  # FP32, INT64, STRING ...
    dims: tuple[int, ...]
    reshape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceGroup:
    """How many copies of the model run, and where."""

    kind: InstanceKind = "KIND_CPU"
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicBatching:
    """The batcher and its queue; 0 = the server's own default."""

    max_queue_delay_us: int = 0
    max_queue_size: int = 0
    preferred_batch_size: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupInput:
    """One input of a warm-up request: zeros, random bytes, or a file below `warmup/`."""

    data_type: str
    dims: tuple[int, ...]
    source: Literal["zero", "random", "file"] = "zero"
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmup:
    """One request that runs before the model is READY."""

    name: str
    batch_size: int
    inputs: Mapping[str, WarmupInput]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """One model's config.pbtxt."""

    name: str
    backend: str
    max_batch_size: int
    inputs: tuple[ModelTensor, ...]
    outputs: tuple[ModelTensor, ...]
    instance_groups: tuple[InstanceGroup, ...] = ()
    dynamic_batching: DynamicBatching | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    warmup: tuple[Warmup, ...] = ()
    versions: tuple[int, ...] = ()  # version_policy specific; () = the newest
    default_model_filename: str = ""


def is_batchable(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> bool:
    """Triton batches along axis 0, so it must be free in every input and every output."""
    return bool(inputs) and all(t.shape and t.shape[0] == -1 for t in (*inputs, *outputs))


def model_tensor(tensor: Tensor, *, batching: bool) -> ModelTensor:
    """Map one graph tensor; Triton knows no empty dims, so a scalar per row is `[1]` reshaped."""
    if batching:
        scalar = len(tensor.shape) == 1
        dims = (1,) if scalar else tensor.shape[1:]
        return ModelTensor(
            name=tensor.name, data_type=tensor.dtype, dims=dims, reshape=() if scalar else None
        )
    # ONNX Runtime takes [1] for a rank-0 tensor; the empty reshape would be refused here.
    return ModelTensor(name=tensor.name, data_type=tensor.dtype, dims=tensor.shape or (1,))


def warmup_requests(
    tensors: tuple[ModelTensor, ...], shapes: Mapping[str, tuple[int, ...]], max_batch_size: int
) -> tuple[Warmup, ...]:
    """A single and a full batch of zeros: valid for every graph, where random bytes may be NaN or
    an index out of range, and a warm-up that fails is a model that does not load.

    `shapes` are one row's concrete dims by input, for free axes; without them there is no warm-up.
    """
    dims = {t.name: _concrete(t, shapes.get(t.name)) for t in tensors}
    if any(-1 in known for known in dims.values()):
        return ()
    inputs = {t.name: WarmupInput(data_type=t.data_type, dims=dims[t.name]) for t in tensors}
    sizes = sorted({1, max_batch_size} - {0}) if max_batch_size else [1]
    return tuple(Warmup(name=f"zeros_{size}", batch_size=size, inputs=inputs) for size in sizes)


def _concrete(tensor: ModelTensor, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    if shape is not None and len(shape) == len(tensor.dims):
        return shape
    return tensor.dims


def build(
    *,
    name: str,
    backend: str,
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    wanted: Triton,
    shapes: Mapping[str, tuple[int, ...]],
) -> ModelConfig:
    """The config for a graph under a policy; a graph without a free batch axis is served unbatched."""
    size = wanted.max_batch_size if is_batchable(inputs, outputs) else 0
    declared = tuple(model_tensor(t, batching=size > 0) for t in inputs)
    return ModelConfig(
        name=name,
        backend=backend,
        max_batch_size=size,
        inputs=declared,
        outputs=tuple(model_tensor(t, batching=size > 0) for t in outputs),
        # Always said: the ONNX Runtime backend's own default is two instances on the CPU.
        instance_groups=(InstanceGroup(kind=wanted.instance_kind, count=wanted.instances),),
        dynamic_batching=_batching(wanted) if size else None,
        parameters={"intra_op_thread_count": str(wanted.threads), **wanted.parameters},
        warmup=warmup_requests(declared, shapes, size) if wanted.warmup else (),
    )


def _batching(wanted: Triton) -> DynamicBatching:
    return DynamicBatching(
        max_queue_delay_us=wanted.max_queue_delay_us, max_queue_size=wanted.max_queue_size
    )
