"""Whether a server holds the config that it was given. Pure.

Triton fills in what a config leaves open (core's `NormalizeModelConfig` and `SetDefaultInstanceCount`): those
fields may differ where nothing was written. Anything else that differs is drift, such as a batch size or a
batcher that auto-completion added.
"""

import dataclasses
from typing import Any

from tidegate.core.aoti.serving import PACKAGE, PLATFORM, too_old
from tidegate.core.model_config import ModelConfig

# Where nothing was written the server's own word stands; [] is any entry of a list.
FILLED_IN = frozenset(
    {
        "platform",
        "runtime",
        "default_model_filename",
        "version_policy",
        "optimization",
        "cc_model_filenames",
        "model_transaction_policy",  # of an ensemble: decoupled where one of its steps is
        "instance_group[].name",
        "instance_group[].kind",
        "instance_group[].gpus",
        "instance_group[].count",
        "dynamic_batching.preferred_batch_size",
    }
)


def drifted(
    written: ModelConfig, served: ModelConfig, triton: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """What is served otherwise than written, one line each: field, written and served value."""
    return tuple(_differences(readable(written, triton) if triton else written, served, ""))


def readable(config: ModelConfig, triton: tuple[int, int]) -> ModelConfig:
    """The config as this server can be told it.

    One that is too old for torch_aoti has no word for it, and refuses it: if it serves such a model all the
    same, it is the sandbox's, which leaves that word out and tells a package by its file.
    """
    if config.platform != PLATFORM or not too_old(triton):
        return config
    named = config.default_model_filename or PACKAGE
    return dataclasses.replace(config, platform="", default_model_filename=named)


def _differences(ours: Any, theirs: Any, path: str) -> list[str]:
    if ours == theirs or (path in FILLED_IN and _is_empty(ours)):
        return []
    if dataclasses.is_dataclass(ours) and type(ours) is type(theirs):
        return [
            line
            for field in dataclasses.fields(ours)
            for line in _differences(
                getattr(ours, field.name),
                getattr(theirs, field.name),
                f"{path}.{field.name}" if path else field.name,
            )
        ]
    if _is_list_of_messages(ours, theirs):
        pairs = zip(ours, theirs, strict=True)
        return [line for one, other in pairs for line in _differences(one, other, f"{path}[]")]
    return [f"{path} was written as {ours!r} and is served as {theirs!r}"]


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", 0, (), "KIND_AUTO") or value == {}


def _is_list_of_messages(ours: Any, theirs: Any) -> bool:
    both = isinstance(ours, tuple) and isinstance(theirs, tuple)
    return both and len(ours) == len(theirs) and all(dataclasses.is_dataclass(one) for one in ours)
