"""What somebody wrote by hand, merged into what is generated; a contradiction is an error, never a choice.

A hand-written field wins over a default of the policy. It may repeat, but not contradict, what the graph
needs and what the policy itself says.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from tidegate.core.model_config.backends import threads_key
from tidegate.core.model_config.whole import ModelConfig
from tidegate.errors import DocumentError
from tidegate.policy import Triton

WHAT = "triton.config"
GRAPH = "the graph"
# Field of the policy -> the field of the config that it decides.
DECIDES = {
    "max_batch_size": "max_batch_size",
    "max_queue_delay_us": "dynamic_batching.max_queue_delay_microseconds",
    "max_queue_size": "dynamic_batching.default_queue_policy.max_queue_size",
    "queue": "dynamic_batching.default_queue_policy",
    "preferred_batch_sizes": "dynamic_batching.preferred_batch_size",
    "preserve_ordering": "dynamic_batching.preserve_ordering",
    "priority_levels": "dynamic_batching.priority_levels",
    "default_priority": "dynamic_batching.default_priority_level",
    "priority_queues": "dynamic_batching.priority_queue_policy",
    "instances": "instance_group",
    "instance_kind": "instance_group",
    "instance_groups": "instance_group",
    "sequence_batching": "sequence_batching",
    "version_policy": "version_policy",
    "response_cache": "response_cache",
    "histogram_buckets_ms": "model_metrics",
    "warmup": "model_warmup",
}
T = TypeVar("T")


def settled(wanted: Triton, backend: str = "onnxruntime", platform: str = "") -> Mapping[str, str]:
    """Which fields of the config are decided, and by whom: the model, or a field that the policy sets."""
    decides = {**DECIDES, "threads": f"parameters.{threads_key(backend, platform)}"}
    names = [n for n in decides if n in wanted.model_fields_set and getattr(wanted, n) is not None]
    said = {decides[name]: f"triton.{name}" for name in names}
    named = {f"parameters.{key}": "triton.parameters" for key in wanted.parameters}
    named |= {f"metric_tags.{key}": "triton.metric_tags" for key in wanted.metric_tags}
    return {"name": "the policy", "backend": "the model", "platform": "the model"} | said | named


def merged(generated: ModelConfig, written: ModelConfig, wanted: Triton) -> ModelConfig:
    """The generated config with the hand-written one in it. Raises DocumentError for a contradiction."""
    decided = settled(wanted, generated.backend, generated.platform)
    other = written.sequence_batching or written.ensemble_scheduling
    if generated.sequence_batching is not None and written.dynamic_batching is not None:
        raise DocumentError(
            f"{WHAT}: has the dynamic batcher, in whose place triton.sequence_batching is; drop one"
        )
    if other is not None and generated.dynamic_batching is not None:
        said = [who for path, who in decided.items() if path.startswith("dynamic_batching.")]
        if said:
            raise DocumentError(
                f"{WHAT}: has another scheduler than the dynamic batcher of {said[0]}; drop one"
            )
        generated = dataclasses.replace(generated, dynamic_batching=None)
    return _merged(generated, written, decided, "")


def _merged(generated: T, written: T, decided: Mapping[str, str], path: str) -> T:
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(written):  # type: ignore[arg-type]
        theirs = getattr(written, field.name)
        factory = field.default_factory
        zero = field.default if factory is dataclasses.MISSING else factory()
        if theirs != zero:
            where = f"{path}{field.name}"
            changes[field.name] = _one(getattr(generated, field.name), theirs, decided, where)
    return dataclasses.replace(generated, **changes)  # type: ignore[type-var]


def _one(ours: Any, theirs: Any, decided: Mapping[str, str], where: str) -> Any:
    if where in {"input", "output"}:
        return _tensors(ours, theirs, where)
    if where in decided and ours != theirs:
        raise DocumentError(
            f"{WHAT}: {where} is {theirs!r}, and {decided[where]} makes it {ours!r}; drop one of them"
        )
    if isinstance(theirs, Mapping):
        entries = {key: _entry(ours, key, one, decided, where) for key, one in theirs.items()}
        return {**ours, **entries}
    if dataclasses.is_dataclass(theirs) and ours is not None:
        return _merged(ours, theirs, decided, f"{where}.")
    return theirs


def _entry(ours: Any, key: Any, one: Any, decided: Mapping[str, str], where: str) -> Any:
    return _one(ours.get(key), one, decided, f"{where}.{key}")


def _tensors(ours: tuple[Any, ...], theirs: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    """By name: what the graph has stays, and what it does not say (labels, a format) is added."""
    known = {tensor.name: tensor for tensor in ours}
    for tensor in theirs:
        if tensor.name not in known:
            raise DocumentError(
                f"{WHAT}: {where} {tensor.name!r} is not in the graph; it has {', '.join(known)}"
            )
        at = f"{where} {tensor.name} "
        decided = {f"{at}{name}": GRAPH for name in ("data_type", "dims", "reshape")}
        known[tensor.name] = _merged(known[tensor.name], tensor, decided, at)
    return tuple(known.values())
