"""ModelConfig as protobuf and config.pbtxt, and back; Triton's own message definition is the judge."""

from typing import Any

from tidegate.core.model_config import (
    DynamicBatching,
    InstanceGroup,
    ModelConfig,
    ModelTensor,
    Warmup,
    WarmupInput,
)
from tidegate.errors import DocumentError, UsageError


def _pb() -> Any:
    try:
        from tritonclient.grpc import model_config_pb2
    except ImportError as error:
        raise UsageError("tritonclient is not installed; pip install 'tidegate[triton]'") from error
    return model_config_pb2


def to_message(config: ModelConfig) -> Any:
    """The `inference.ModelConfig` message."""
    pb = _pb()
    message = pb.ModelConfig(
        name=config.name,
        backend=config.backend,
        max_batch_size=config.max_batch_size,
        default_model_filename=config.default_model_filename,
    )
    for tensor in config.inputs:
        _add_tensor(pb, message.input, tensor)
    for tensor in config.outputs:
        _add_tensor(pb, message.output, tensor)
    for group in config.instance_groups:
        kind = pb.ModelInstanceGroup.Kind.Value(group.kind)
        message.instance_group.add(kind=kind, count=group.count)
    _set_batching(message, config.dynamic_batching)
    for key, value in config.parameters.items():
        message.parameters[key].string_value = value
    for request in config.warmup:
        _add_warmup(pb, message, request)
    if config.versions:
        message.version_policy.specific.versions.extend(config.versions)
    return message


def _add_tensor(pb: Any, field: Any, tensor: ModelTensor) -> None:
    added = field.add(
        name=tensor.name, data_type=pb.DataType.Value(f"TYPE_{tensor.data_type}"), dims=tensor.dims
    )
    if tensor.reshape is not None:
        added.reshape.SetInParent()  # an empty shape is a value here, not an absence
        added.reshape.shape.extend(tensor.reshape)


def _set_batching(message: Any, batching: DynamicBatching | None) -> None:
    if batching is None:
        return
    message.dynamic_batching.SetInParent()
    message.dynamic_batching.max_queue_delay_microseconds = batching.max_queue_delay_us
    message.dynamic_batching.preferred_batch_size.extend(batching.preferred_batch_size)
    if batching.max_queue_size:
        message.dynamic_batching.default_queue_policy.max_queue_size = batching.max_queue_size


def _add_warmup(pb: Any, message: Any, request: Warmup) -> None:
    added = message.model_warmup.add(name=request.name, batch_size=request.batch_size)
    for name, wanted in request.inputs.items():
        entry = added.inputs[name]
        entry.data_type = pb.DataType.Value(f"TYPE_{wanted.data_type}")
        entry.dims.extend(wanted.dims)
        if wanted.source == "file":
            entry.input_data_file = wanted.file
        else:
            setattr(entry, f"{wanted.source}_data", True)


def from_message(message: Any) -> ModelConfig:
    """The values of a message; fields that we never write are left out."""
    pb = _pb()
    batching = message.dynamic_batching if message.HasField("dynamic_batching") else None
    return ModelConfig(
        name=message.name,
        backend=message.backend,
        max_batch_size=message.max_batch_size,
        inputs=tuple(_tensor(pb, t) for t in message.input),
        outputs=tuple(_tensor(pb, t) for t in message.output),
        instance_groups=tuple(
            InstanceGroup(kind=pb.ModelInstanceGroup.Kind.Name(g.kind), count=g.count)
            for g in message.instance_group
        ),
        dynamic_batching=None if batching is None else _batching(batching),
        parameters={key: value.string_value for key, value in sorted(message.parameters.items())},
        warmup=tuple(_warmup(pb, w) for w in message.model_warmup),
        versions=tuple(message.version_policy.specific.versions),
        default_model_filename=message.default_model_filename,
    )


def _tensor(pb: Any, tensor: Any) -> ModelTensor:
    reshape = tuple(tensor.reshape.shape) if tensor.HasField("reshape") else None
    return ModelTensor(
        name=tensor.name,
        data_type=pb.DataType.Name(tensor.data_type).removeprefix("TYPE_"),
        dims=tuple(tensor.dims),
        reshape=reshape,
    )


def _batching(message: Any) -> DynamicBatching:
    return DynamicBatching(
        max_queue_delay_us=message.max_queue_delay_microseconds,
        max_queue_size=message.default_queue_policy.max_queue_size,
        preferred_batch_size=tuple(message.preferred_batch_size),
    )


def _warmup(pb: Any, message: Any) -> Warmup:
    inputs = {name: _warmup_input(pb, entry) for name, entry in sorted(message.inputs.items())}
    return Warmup(name=message.name, batch_size=message.batch_size, inputs=inputs)


def _warmup_input(pb: Any, entry: Any) -> WarmupInput:
    kind = entry.WhichOneof("input_data_type")
    return WarmupInput(
        data_type=pb.DataType.Name(entry.data_type).removeprefix("TYPE_"),
        dims=tuple(entry.dims),
        source={"random_data": "random", "input_data_file": "file"}.get(kind, "zero"),  # type: ignore[arg-type]
        file=entry.input_data_file,
    )


def to_text(config: ModelConfig) -> str:
    """config.pbtxt. Map entries come out sorted, so equal configs are equal bytes."""
    message = to_message(config)
    from google.protobuf import text_format

    return str(text_format.MessageToString(message, use_short_repeated_primitives=True))


def from_text(text: str, *, what: str) -> ModelConfig:
    """Parse config.pbtxt; the server would say only in its log which field it does not know."""
    pb = _pb()
    from google.protobuf import text_format

    try:
        return from_message(text_format.Parse(text, pb.ModelConfig()))
    except text_format.ParseError as error:
        raise DocumentError(f"{what}: {error}; correct the config") from error
