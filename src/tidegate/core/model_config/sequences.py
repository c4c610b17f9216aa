"""A policy's sequence batching and version policy, in the words of ModelConfig; types are the graph's own.

Source: core's sequence_batch_scheduler.cc and model_config_utils.cc (GetBooleanSequenceControlProperties,
GetTypedSequenceControlProperties): which types a signal may have.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

from tidegate.core.model_config.scheduling import (
    Control,
    ControlInput,
    InitialState,
    ModelSequenceBatching,
    State,
    StrategyDirect,
    StrategyOldest,
)
from tidegate.core.model_config.tensors import ModelInput, ModelOutput
from tidegate.core.model_config.whole import All, Latest, ModelVersionPolicy, Specific
from tidegate.errors import DocumentError
from tidegate.policy import SequenceBatching, VersionPolicy

T = TypeVar("T", ModelInput, ModelOutput)
FIELD = "triton.sequence_batching"
Kind = Literal["CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_READY", "CONTROL_SEQUENCE_END"]
KINDS: Mapping[str, Kind] = {
    "start": "CONTROL_SEQUENCE_START",
    "ready": "CONTROL_SEQUENCE_READY",
    "end": "CONTROL_SEQUENCE_END",
}
CORRELATED = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")


def version_policy(wanted: VersionPolicy) -> ModelVersionPolicy:
    """As it is said."""
    return ModelVersionPolicy(
        latest=Latest(num_versions=wanted.latest) if wanted.latest else None,
        all_=All() if wanted.all else None,
        specific=Specific(versions=wanted.specific) if wanted.specific else None,
    )


def sequenced(
    wanted: SequenceBatching,
    inputs: Iterable[ModelInput],
    outputs: Iterable[ModelOutput],
    max_batch_size: int,
) -> ModelSequenceBatching:
    """`inputs`, `outputs`: all of the graph's. Raises DocumentError for a signal or a state that does not fit
    it."""
    known, made = {t.name: t for t in inputs}, {t.name: t for t in outputs}
    oldest = StrategyOldest(
        max_candidate_sequences=wanted.max_candidates or max(1, max_batch_size),
        preferred_batch_size=wanted.preferred_batch_sizes,
        max_queue_delay_microseconds=wanted.max_queue_delay_us,
    )
    direct = StrategyDirect(max_queue_delay_microseconds=wanted.max_queue_delay_us)
    return ModelSequenceBatching(
        direct=direct if wanted.strategy == "direct" else None,
        oldest=oldest if wanted.strategy == "oldest" else None,
        max_sequence_idle_microseconds=wanted.max_idle_us,
        control_input=tuple(
            ControlInput(name=name, control=(_control(signal, _named(known, name, "input")),))
            for signal, name in wanted.signals.items()
        ),
        state=tuple(
            _state(_named(known, one, "input"), _named(made, other, "output"))
            for one, other in wanted.states.items()
        ),
    )


def _named(known: dict[str, T], name: str, what: str) -> T:
    if name not in known:
        raise DocumentError(
            f"{FIELD}: {name!r} is no {what} of the graph; it has {', '.join(known)}"
        )
    return known[name]


def _control(signal: str, tensor: ModelInput) -> Control:
    """One value for each request."""
    if tensor.dims != (1,) or tensor.reshape is not None:
        raise DocumentError(
            f"{FIELD}: signals.{signal} {tensor.name!r} has dims {list(tensor.dims)}; Triton sends [1]"
        )
    if signal == "correlation_id":
        if tensor.data_type not in CORRELATED:
            raise _unfit(signal, tensor, "a 32 or 64 bit integer or a string")
        return Control(kind="CONTROL_SEQUENCE_CORRID", data_type=tensor.data_type)
    kind: Kind = KINDS[signal]
    if tensor.data_type == "TYPE_INT32":
        return Control(kind=kind, int32_false_true=(0, 1))
    if tensor.data_type == "TYPE_FP32":
        return Control(kind=kind, fp32_false_true=(0.0, 1.0))
    if tensor.data_type == "TYPE_BOOL":
        return Control(kind=kind, bool_false_true=(False, True))
    raise _unfit(signal, tensor, "INT32, FP32 or BOOL")


def _unfit(signal: str, tensor: ModelInput, wanted: str) -> DocumentError:
    return DocumentError(
        f"{FIELD}: signals.{signal} {tensor.name!r} is {tensor.data_type}; Triton sends {wanted}"
    )


def _state(before: ModelInput, after: ModelOutput) -> State:
    """Zeros at first: without a word of it the first request finds what lay in memory."""
    if (before.data_type, before.dims) != (after.data_type, after.dims) or -1 in before.dims:
        raise DocumentError(
            f"{FIELD}: state {before.name!r} is {before.data_type} {list(before.dims)}, {after.name!r} is "
            f"{after.data_type} {list(after.dims)}; they must be alike, with no free dims"
        )
    initial = InitialState(
        name="zeros", data_type=before.data_type, dims=before.dims, zero_data=True
    )
    return State(
        input_name=before.name,
        output_name=after.name,
        data_type=before.data_type,
        dims=before.dims,
        initial_state=(initial,),
    )
