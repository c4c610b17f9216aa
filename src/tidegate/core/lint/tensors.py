"""Inputs and outputs: names, types, dims and reshapes."""

from collections import Counter
from math import prod

from tidegate.core.lint.subject import Judged, Repository, Rule
from tidegate.core.model_config import DATA_TYPES, ModelTensor


def _declared(r: Repository) -> str:
    if r.config.input and r.config.output:
        return ""
    return "no inputs or no outputs; declare both"


def _names(r: Repository) -> str:
    for tensors in (r.config.input, r.config.output):
        for name, count in Counter(t.name for t in tensors).most_common(1):
            if count > 1:
                return f"tensor {name!r} is declared {count} times; declare it once"
    return ""


def _types(r: Repository) -> str:
    for tensor in r.config.tensors:
        if tensor.data_type not in DATA_TYPES[1:]:
            return f"tensor {tensor.name!r} has data_type {tensor.data_type!r}; use one of Triton's"
    return ""


def _dims(r: Repository) -> str:
    for tensor in r.config.tensors:
        if not tensor.dims or any(d == 0 or d < -1 for d in tensor.dims):
            return f"tensor {tensor.name!r} has dims {list(tensor.dims)}; use positive sizes or -1"
    return ""


def _reshape(r: Repository) -> str:
    return next(
        filter(None, (_reshape_of(t, r.config.max_batch_size) for t in r.config.tensors)), ""
    )


def _reshape_of(tensor: ModelTensor, max_batch_size: int) -> str:
    """As core's ValidateIOShape: equal counts between free dims, and as many free dims on either side."""
    if tensor.reshape is None:
        return ""
    shape, who = tensor.reshape.shape, f"tensor {tensor.name!r}"
    if not shape and max_batch_size == 0:
        return f"{who} reshapes to nothing, which needs max_batch_size above 0"
    if not shape and prod(tensor.dims) != 1:
        return f"{who} reshapes {list(tensor.dims)} to nothing; only one value can be a scalar"
    if any(d == 0 or d < -1 for d in shape):
        return f"{who} has reshape {list(shape)}; use positive sizes or -1"
    if tensor.dims.count(-1) != shape.count(-1):
        return f"{who}: dims and reshape have different numbers of free axes; give both the same"
    if shape and _counts(tensor.dims) != _counts(shape):
        return f"{who}: dims and reshape hold different numbers of values; make them equal"
    return ""


def _counts(dims: tuple[int, ...]) -> tuple[int, ...]:
    """Values between free axes: (2, 3, -1, 4) -> (6, 4)."""
    counts = [1]
    for dim in dims:
        if dim == -1:
            counts.append(1)
        else:
            counts[-1] *= dim
    return tuple(counts)


RULES = (
    Rule(name="tensors", check=_declared, judged=Judged.SILENT),
    Rule(name="tensor names", check=_names, judged=Judged.SILENT),
    Rule(name="data types", check=_types, judged=Judged.ANSWER),
    Rule(name="dims", check=_dims, judged=Judged.ANSWER),
    Rule(name="reshape", check=_reshape, judged=Judged.ANSWER),
)
