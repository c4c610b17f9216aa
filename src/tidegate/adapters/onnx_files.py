"""ONNX files without their weights in memory: what a graph declares, and moving what is too large for it."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from tidegate.adapters import onnx_runtime
from tidegate.adapters.trees import disk_errors
from tidegate.core.tensorrt.operators import Node
from tidegate.documents import Tensor
from tidegate.errors import RejectedError

# ONNX's element types by Triton's names; what is absent Triton cannot serve.
_TYPES = {
    "FLOAT": "FP32", "FLOAT16": "FP16", "DOUBLE": "FP64", "BFLOAT16": "BF16", "STRING": "STRING",
    **{name: name for bits in (8, 16, 32, 64) for name in (f"INT{bits}", f"UINT{bits}")}, "BOOL": "BOOL",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What the file says of its tensors; batch_symbols name axis 0 of each that names it."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batch_symbols: Mapping[str, str]


def header(path: Path, *, what: str) -> Any:
    """The graph as protobuf, external weights left where they are. Raises RejectedError."""
    try:
        return onnx.load(str(path), load_external_data=False)
    except Exception as error:  # a decode error, or no file
        raise RejectedError(f"{what} is no readable ONNX model: {error}; log it again") from error


def declared(path: Path, *, what: str) -> Declared:
    """The tensors of a graph. Asks ONNX Runtime, which loads it, only where the file leaves a shape open."""
    graph = header(path, what=what).graph
    weights = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in weights]
    tensors = [*inputs, *graph.output]
    if not all(_is_complete(one) for one in tensors):
        loaded = onnx_runtime.load(path, what=what)
        return Declared(
            inputs=loaded.inputs, outputs=loaded.outputs, batch_symbols=loaded.batch_symbols
        )
    return Declared(
        inputs=tuple(map(_tensor, inputs)),
        outputs=tuple(map(_tensor, graph.output)),
        batch_symbols={one.name: symbol for one in tensors if (symbol := _symbol(one))},
    )


def nodes(path: Path, *, what: str) -> tuple[Node, ...]:
    """The operators of a graph, those of its subgraphs included. Raises RejectedError."""
    return tuple(_nodes(header(path, what=what).graph))


def _nodes(graph: Any) -> Iterator[Node]:
    for one in graph.node:
        output = one.output[0] if len(one.output) else ""
        yield Node(name=one.name, operator=one.op_type, domain=one.domain, output=output)
        for attribute in one.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _nodes(subgraph)


def _is_complete(one: Any) -> bool:
    tensor = one.type.tensor_type
    kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
    return tensor.HasField("shape") and kind in _TYPES


def _tensor(one: Any) -> Tensor:
    tensor = one.type.tensor_type
    shape = tuple(d.dim_value if d.dim_value > 0 else -1 for d in tensor.shape.dim)
    return Tensor(
        name=one.name,
        dtype=_TYPES[onnx.TensorProto.DataType.Name(tensor.elem_type)],
        shape=shape,
    )


def _symbol(one: Any) -> str:
    dims = one.type.tensor_type.shape.dim
    return str(dims[0].dim_param) if len(dims) else ""


def beside(proto: Any, folder: Path) -> Path | None:
    """The one file that holds external weights of a header; None when there is none, or they are spread.

    Raises RejectedError for a place outside the folder, which nobody has checked.
    """
    places = {_place(tensor) for tensor in _external(proto.graph)}
    if len(places) != 1:
        return None
    place = places.pop()
    path = folder / place
    if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise RejectedError(f"no file {place} among the model's files; log the model again")
    return path


def carry(proto: Any, weights: Path, path: Path, *, max_ir_version: int) -> None:
    """Write a header to `path` and its weights, byte for byte, beside it under the graph's own name."""
    proto.ir_version = min(proto.ir_version, max_ir_version)
    name = f"{path.name}.data"
    for tensor in _external(proto.graph):
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = name
    with disk_errors(path):
        shutil.copyfile(weights, path.with_name(name))
        path.write_bytes(proto.SerializeToString())


def drop(path: Path) -> None:
    """Delete a graph and the weights beside it, before another takes its name."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


def _place(tensor: Any) -> str:
    return next((str(e.value) for e in tensor.external_data if e.key == "location"), "")


def _external(graph: Any) -> Iterator[Any]:
    """Weights that lie elsewhere, those of subgraphs and attributes included."""
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            yield tensor
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.t.data_location == onnx.TensorProto.EXTERNAL:
                yield attribute.t
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _external(subgraph)
