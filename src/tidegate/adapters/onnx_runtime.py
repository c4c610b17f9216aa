"""ONNX graphs: what they declare, what they answer in ONNX Runtime, and how they are stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from tidegate.adapters.trees import disk_errors
from tidegate.documents import Tensor
from tidegate.errors import DocumentError, RejectedError

Array = npt.NDArray[Any]
Shape = tuple[int | str | None, ...]
# Bytes of weights. A protobuf message ends at 2 GB, and whoever reads a graph with its weights inside holds
# them several times; beside it they are mapped.
INLINE_BELOW = 128_000_000
BATCH = 256
_INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_TYPES: dict[str, tuple[str, npt.DTypeLike]] = {
    "bool": ("BOOL", np.bool_),
    "string": ("STRING", np.str_),
    "float16": ("FP16", np.float16),
    "float": ("FP32", np.float32),
    "double": ("FP64", np.float64),
    **{name: (name.upper(), name) for name in _INTEGERS},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph that ONNX Runtime has loaded; without a fixed batch it is asked `largest` rows at most."""

    session: Any
    what: str
    largest: int = BATCH

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs in the graph's order."""
        return tuple(_tensor(t, self.what) for t in self.session.get_inputs())

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """The outputs in the graph's order."""
        return tuple(_tensor(t, self.what) for t in self.session.get_outputs())

    @property
    def batch_symbols(self) -> dict[str, str]:
        """The name of axis 0 of each tensor that names it; different names are different sizes."""
        tensors = [*self.session.get_inputs(), *self.session.get_outputs()]
        return {t.name: t.shape[0] for t in tensors if t.shape and isinstance(t.shape[0], str)}

    def cast(self, inputs: Mapping[str, Array], *, what: str) -> dict[str, Array]:
        """The arrays under the graph's names and in its types. Raises DocumentError."""
        declared = self.session.get_inputs()
        if set(inputs) == {""} and len(declared) == 1:
            inputs = {declared[0].name: inputs[""]}
        if set(inputs) != {t.name for t in declared}:
            raise DocumentError(
                f"{what} has inputs {', '.join(map(repr, inputs))}, the model takes "
                f"{', '.join(repr(t.name) for t in declared)}; name the arrays input.<name>"
            )
        return {t.name: _cast(inputs[t.name], t, what) for t in declared}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows, in batches; labels of text as numpy strings."""
        names = [t.name for t in self.session.get_outputs()]
        rows = len(next(iter(inputs.values())))
        size = self._batch(rows)
        parts: list[Sequence[Array]] = []
        for start in range(0, rows, size):
            feeds = {n: _feed(a[start : start + size]) for n, a in inputs.items()}
            parts.append(self._run(names, feeds))
        return {n: _answers([part[i] for part in parts]) for i, n in enumerate(names)}

    def _run(self, names: list[str], feeds: dict[str, Array]) -> Sequence[Array]:
        try:
            return list(self.session.run(names, feeds))
        except Exception as error:  # ONNX Runtime has no class of its own for a failed node
            raise RejectedError(
                f"{self.what} fails on golden inputs in ONNX Runtime: {error}; correct the graph"
            ) from error

    def _batch(self, rows: int) -> int:
        """As many rows as a graph with a fixed batch takes, else the largest."""
        fixed = {t.shape[0] for t in self.session.get_inputs() if t.shape}
        sizes = {size for size in fixed if isinstance(size, int) and size > 0}
        if not sizes:
            return self.largest
        size = sizes.pop()
        if sizes or rows % size:
            raise DocumentError(
                f"{self.what} takes batches of {size} rows only and the golden data have {rows}; "
                "export it with a free batch axis"
            )
        return size


Providers = tuple[tuple[str, Mapping[str, str]], ...]
CPU: Providers = (("CPUExecutionProvider", {}),)


def load(
    path: Path,
    *,
    what: str,
    optimized: bool = True,
    providers: Providers = CPU,
    largest: int = BATCH,
) -> Graph:
    """Open a graph on the CPU; `optimized=False` runs it as written. Raises RejectedError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=[(name, dict(told)) for name, told in providers]
        )
    except Exception as error:  # as above
        raise RejectedError(
            f"{what} does not load in ONNX Runtime: {error}; correct the graph"
        ) from error
    return Graph(session=session, what=what, largest=largest)


def read_model(path: Path, *, what: str) -> Any:
    """The graph as protobuf, external data included. Raises RejectedError."""
    try:
        return onnx.load(str(path))
    except Exception as error:  # a decode error, a missing data file, a path that leaves the folder
        raise RejectedError(f"{what} is no readable ONNX model: {error}; log it again") from error


def store(model: Any, path: Path, *, max_ir_version: int, inline_below: int = INLINE_BELOW) -> None:
    """Write a graph, its weights inline while they fit, with at most this IR version."""
    model.ir_version = min(model.ir_version, max_ir_version)
    _drop_repeated_opsets(model)
    big = model.ByteSize() >= inline_below
    with disk_errors(path):
        onnx.save(
            model, str(path), save_as_external_data=big, all_tensors_to_one_file=True,
            location=f"{path.name}.data", size_threshold=1024,
        )  # fmt: skip


def opset(model: Any) -> int:
    """The version of the default operator set."""
    return max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)


def _drop_repeated_opsets(model: Any) -> None:
    """skl2onnx names a domain twice; some readers take the first and some the last."""
    newest: dict[str, int] = {}
    for entry in model.opset_import:
        newest[entry.domain] = max(entry.version, newest.get(entry.domain, 0))
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(d, v) for d, v in newest.items())


def _tensor(declared: Any, what: str) -> Tensor:
    kind = str(declared.type).removeprefix("tensor(").removesuffix(")")
    if kind not in _TYPES:
        raise RejectedError(
            f"{what}: {declared.name} is a {declared.type}, which Triton cannot serve; "
            "export it as a plain tensor (scikit-learn: zipmap=False)"
        )
    shape = tuple(d if isinstance(d, int) and d > 0 else -1 for d in declared.shape)
    return Tensor(name=declared.name, dtype=_TYPES[kind][0], shape=shape)


def _cast(array: Array, declared: Any, what: str) -> Array:
    kind = _TYPES[str(declared.type).removeprefix("tensor(").removesuffix(")")][1]
    shape = tuple(declared.shape)
    fits = array.ndim == len(shape) and all(
        not isinstance(d, int) or d <= 0 or d == size
        for d, size in zip(shape[1:], array.shape[1:], strict=True)
    )
    if not fits:
        raise DocumentError(
            f"{what}: input {declared.name} has shape {array.shape}, the model takes "
            f"{tuple(d or -1 for d in shape)}; give one row per example in the model's own layout"
        )
    try:
        return array.astype(kind)
    except ValueError as error:
        raise DocumentError(
            f"{what}: input {declared.name} is no {declared.type} ({error}); correct the array"
        ) from error


def _feed(array: Array) -> Array:
    return array.astype(object) if array.dtype.kind == "U" else np.ascontiguousarray(array)


def _answers(parts: list[Array]) -> Array:
    array = np.concatenate(parts) if parts[0].ndim else np.stack(parts)
    return array.astype(np.str_) if array.dtype.kind == "O" else array
