"""How a graph's tensors and a policy become a ModelConfig."""

from collections.abc import Mapping

from tidegate.core.aoti.serving import PLATFORM as AOTI
from tidegate.core.model_config.backends import DEFAULT_FILES, backend_parameters
from tidegate.core.model_config.from_policy import batching, groups, labelled
from tidegate.core.model_config.merging import merged, settled
from tidegate.core.model_config.on_gpu import OnGpu, on_gpus, optimization
from tidegate.core.model_config.sequences import sequenced, version_policy
from tidegate.core.model_config.tensors import ModelInput, ModelOutput, ModelTensorReshape
from tidegate.core.model_config.whole import (
    ModelConfig,
    ModelMetrics,
    ModelParameter,
    ModelResponseCache,
    ModelWarmup,
    WarmupInput,
)
from tidegate.documents import Tensor
from tidegate.policy import Triton


def is_batchable(inputs: tuple[Tensor, ...], outputs: tuple[Tensor, ...]) -> bool:
    """Triton batches along axis 0, so it must be free in every input and every output."""
    return bool(inputs) and all(t.shape and t.shape[0] == -1 for t in (*inputs, *outputs))


def _dims(tensor: Tensor, *, batching: bool) -> tuple[tuple[int, ...], ModelTensorReshape | None]:
    """Triton knows no empty dims, so a scalar per row is `[1]` reshaped to nothing.

    ONNX Runtime takes [1] for a rank-0 tensor without batches; the empty reshape would be refused there.
    """
    if not batching:
        return tensor.shape or (1,), None
    if len(tensor.shape) == 1:
        return (1,), ModelTensorReshape()
    return tensor.shape[1:], None


def model_input(tensor: Tensor, *, batching: bool) -> ModelInput:
    """The input of a graph's tensor."""
    dims, reshape = _dims(tensor, batching=batching)
    data_type = f"TYPE_{tensor.dtype}"
    return ModelInput(name=tensor.name, data_type=data_type, dims=dims, reshape=reshape)


def model_output(tensor: Tensor, *, batching: bool) -> ModelOutput:
    """The output of a graph's tensor."""
    dims, reshape = _dims(tensor, batching=batching)
    data_type = f"TYPE_{tensor.dtype}"
    return ModelOutput(name=tensor.name, data_type=data_type, dims=dims, reshape=reshape)


def warmup_requests(
    tensors: tuple[ModelInput, ...], shapes: Mapping[str, tuple[int, ...]], max_batch_size: int
) -> tuple[ModelWarmup, ...]:
    """A single and a full batch of zeros: valid for every graph, where random bytes may be NaN or
    an index out of range, and a warm-up that fails is a model that does not load.

    `shapes` are one row's concrete dims by input, for free axes; without them there is no warm-up.
    """
    dims = {t.name: _concrete(t, shapes.get(t.name)) for t in tensors}
    if any(-1 in known for known in dims.values()):
        return ()
    inputs = {
        t.name: WarmupInput(data_type=t.data_type, dims=dims[t.name], zero_data=True)
        for t in tensors
    }
    sizes = sorted({1, max_batch_size} - {0}) if max_batch_size else [1]
    return tuple(
        ModelWarmup(name=f"zeros_{size}", batch_size=size, inputs=inputs) for size in sizes
    )


def _concrete(tensor: ModelInput, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Of a model that takes rows and is not batched, one row."""
    if shape is not None and len(shape) == len(tensor.dims):
        return shape
    if shape is not None and tensor.dims[0] == -1 and len(shape) == len(tensor.dims) - 1:
        return (1, *shape)
    return tensor.dims


def _warmed(
    wanted: Triton,
    declared: tuple[ModelInput, ...],
    shapes: Mapping[str, tuple[int, ...]],
    size: int,
) -> tuple[ModelWarmup, ...]:
    """A warm-up passes the batcher by, so it would lack the signals of a sequence."""
    is_wanted = wanted.warmup and wanted.sequence_batching is None
    return warmup_requests(declared, shapes, size) if is_wanted else ()


def build(
    *,
    name: str,
    backend: str,
    platform: str = "",
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    wanted: Triton,
    shapes: Mapping[str, tuple[int, ...]],
    parameters: Mapping[str, str] | None = None,
    model_file: str = "",
    labels: tuple[str, ...] = (),
    metrics: ModelMetrics | None = None,
    written: ModelConfig | None = None,
    on_gpu: OnGpu | None = None,
) -> ModelConfig:
    """The config for a model under a policy, with what was written by hand merged into it.

    `platform` is said where a backend has several; torch_aoti is served without batching, whatever its axes.
    `parameters` are what the backend must be told of this model; `model_file` is said where it is another
    than the backend looks for; `labels` name the classes; `on_gpu` is said where a GPU serves it.

    A graph without a free batch axis is served unbatched. Raises DocumentError for a contradiction.
    """
    if written is not None and written.max_batch_size and "max_batch_size" not in settled(wanted):
        wanted = wanted.model_copy(update={"max_batch_size": written.max_batch_size})
    batches = platform != AOTI and is_batchable(inputs, outputs)
    size = wanted.max_batch_size if batches else 0
    every = tuple(model_input(t, batching=size > 0) for t in inputs)
    made = tuple(model_output(t, batching=size > 0) for t in outputs)
    sequence = wanted.sequence_batching
    declared = tuple(t for t in every if sequence is None or t.name not in sequence.inputs)
    given = tuple(t for t in made if sequence is None or t.name not in sequence.outputs)
    said = {
        **backend_parameters(backend, wanted.threads, platform),
        **(parameters or {}),
        **wanted.parameters,
    }
    generated = ModelConfig(
        name=name,
        backend=backend,
        platform=platform,
        max_batch_size=size,
        input=declared,
        output=labelled(given, labels, wanted),
        instance_group=on_gpus(groups(wanted), wanted, on_gpu),
        dynamic_batching=batching(wanted) if size and sequence is None else None,
        sequence_batching=sequenced(sequence, every, made, size) if sequence else None,
        version_policy=version_policy(wanted.version_policy) if wanted.version_policy else None,
        default_model_filename="" if model_file == DEFAULT_FILES.get(backend) else model_file,
        parameters={key: ModelParameter(string_value=value) for key, value in said.items()},
        model_warmup=_warmed(wanted, declared, shapes, size),
        metric_tags=wanted.metric_tags,
        response_cache=ModelResponseCache(enable=True) if wanted.response_cache else None,
        model_metrics=metrics,
        optimization=optimization(on_gpu),
    )
    return generated if written is None else merged(generated, written, wanted)
