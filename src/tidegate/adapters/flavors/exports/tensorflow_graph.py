"""A SavedModel, or a `.keras` file, on TensorFlow, converted by tf2onnx.

https://www.tensorflow.org/guide/saved_model, https://github.com/onnx/tensorflow-onnx
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters.flavors.exports.process import Array, Source, main, numbered, ordered
from tidegate.errors import RejectedError

DEFAULT = "serving_default"
CALL = "__call__"  # of a restored module, as TensorFlow keeps it


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What is asked: tensors in, tensors out, all in order; `keeps` owns the weights."""

    keeps: Any
    call: Any
    names: list[str]
    specs: list[Any]
    outputs: tuple[str, ...] = ()  # none of their own: numbered


def load(model: Path, golden: Mapping[str, Array], opset: int) -> Source:
    """The model's one function. Raises of any class."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import tensorflow as tf

    function = _saved(tf, model) if model.is_dir() else _keras(tf, model)
    types = [spec.dtype.as_numpy_dtype for spec in function.specs]
    rows = ordered(golden, list(zip(function.names, types, strict=True)))
    traced, outputs = _traced(tf, function, tuple(rows))

    def ask(arrays: list[Array]) -> list[Array]:
        found = traced(*map(tf.constant, arrays))
        return [np.asarray(found[name]) for name in outputs]

    return Source(
        rows=rows, outputs=outputs, ask=ask, export=lambda path: _export(traced, path, opset)
    )


def _traced(tf: Any, function: Function, names: tuple[str, ...]) -> tuple[Any, tuple[str, ...]]:
    """A tf.function of named tensors, that gives named tensors; and the names in order."""
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, name=name)
        for spec, name in zip(function.specs, names, strict=True)
    ]

    def call(*tensors: Any) -> dict[str, Any]:
        flat = tf.nest.flatten(function.call(*tensors))
        return dict(zip(function.outputs or numbered(len(flat)), flat, strict=True))

    traced = tf.function(call, input_signature=specs)
    return traced, tuple(traced.get_concrete_function().structured_outputs)


def _export(traced: Any, path: Path, opset: int) -> None:
    """With one symbol for the rows of all tensors, which tf2onnx numbers one by one."""
    import onnx
    import tf2onnx.convert

    graph, _ = tf2onnx.convert.from_function(traced, traced.input_signature, opset=opset)
    _replace_erfc(graph)
    for node in graph.graph.node:
        if not onnx.defs.has(node.op_type, domain=node.domain):
            raise ValueError(f"tf2onnx has no form for {node.op_type} ({node.name})")
    for tensor in (*graph.graph.input, *graph.graph.output):
        dims = tensor.type.tensor_type.shape.dim
        if len(dims) and not dims[0].HasField("dim_value"):
            dims[0].dim_param = "batch"
    onnx.save(graph, str(path))


def _replace_erfc(graph: Any) -> None:
    """1 - Erf(x): Keras' exact GELU is written with it on TensorFlow, and tf2onnx 1.17 leaves it as it is."""
    from onnx import helper

    nodes = []
    for node in graph.graph.node:
        if node.op_type == "Erfc":
            (x,), (y,) = node.input, node.output
            nodes += [
                helper.make_node("Erf", [x], [f"{y}/erf"]),
                helper.make_node("Constant", [], [f"{y}/number"], value_float=1.0),
                helper.make_node("CastLike", [f"{y}/number", x], [f"{y}/one"]),
                helper.make_node("Sub", [f"{y}/one", f"{y}/erf"], [y], name=node.name),
            ]
        else:
            nodes.append(node)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)


def _keras(tf: Any, model: Path) -> Function:
    import keras

    loaded = keras.saving.load_model(model, compile=False, safe_mode=True)
    tensors = loaded.inputs

    def call(*given: Any) -> Any:
        return loaded(list(given) if len(given) > 1 else given[0], training=False)

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors]
    return Function(keeps=loaded, call=call, names=[t.name for t in tensors], specs=specs)


def _saved(tf: Any, model: Path) -> Function:
    loaded = tf.saved_model.load(str(model))
    signatures = dict(loaded.signatures)
    if not signatures:
        return _called(loaded)
    name = DEFAULT if DEFAULT in signatures else next(iter(signatures))
    if name != DEFAULT and len(signatures) > 1:
        raise RejectedError(f"has signatures {', '.join(signatures)}: save it with one {DEFAULT}")
    function = signatures[name]
    specs = function.structured_input_signature[1]
    outputs = tuple(sorted(function.structured_outputs))

    def call(*given: Any) -> Any:
        found = function(**dict(zip(specs, given, strict=True)))
        return [found[output] for output in outputs]

    return Function(
        keeps=loaded, call=call, names=list(specs), specs=list(specs.values()), outputs=outputs
    )


def _called(loaded: Any) -> Function:
    """A tf.Module without signatures: what it was called with, if that was one kind of tensors."""
    found: list[Any] = getattr(getattr(loaded, CALL, None), "concrete_functions", [])
    if len(found) != 1:
        raise RejectedError(
            f"has no signature and {len(found)} traces of __call__: decorate it with "
            "tf.function(input_signature=...)"
        )
    given, named = found[0].structured_input_signature
    specs = [*given, *named.values()]
    names = [spec.name or f"input_{at}" for at, spec in enumerate(specs)]
    answered = found[0].structured_outputs
    outputs = tuple(sorted(answered)) if isinstance(answered, dict) else ()
    return Function(keeps=loaded, call=loaded, names=names, specs=specs, outputs=outputs)


if __name__ == "__main__":
    sys.exit(main(load))
