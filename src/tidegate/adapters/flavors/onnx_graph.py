"""MLflow's onnx flavor: the graph is taken as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tidegate.adapters import mlflow_model, onnx_files, onnx_runtime
from tidegate.adapters.flavors import edges
from tidegate.adapters.flavors.conversion import (
    GRAPH,
    Array,
    Converted,
    Given,
    opened,
    recorded,
)


def convert(given: Given) -> Converted:
    """Store the graph for the target; its answers are those recorded, else its own, unoptimized.

    The source is asked first and then let go: two sessions hold a large model's weights twice.
    """
    name = str(given.conf.get("data", GRAPH))
    source = mlflow_model.inside(given.tree, name, what=given.what)
    proto = onnx_files.header(source, what=given.what)
    weights = onnx_files.beside(proto, source.parent)
    plain = onnx_runtime.load(source, what=given.what, optimized=False)
    inputs = plain.cast(given.golden.inputs, what=given.golden.source)
    known = recorded(plain, given.golden)
    missing = tuple(t.name for t in plain.outputs if t.name not in known)
    answers = plain.run(inputs) if missing else {}
    at_edges = tuple(edges.asked(plain.run, inputs, plain.inputs))
    del plain
    expected = {**answers, **known}
    wrong = _of_one_row(proto, expected, given.golden.rows)
    proto = _stored(given, source, proto, weights, wrong)
    return Converted(
        form=opened(given, given.folder / GRAPH)[1],
        model_file=GRAPH,
        inputs=inputs,
        expected=expected,
        reference=_reference(tuple(known), missing, given.golden.source),
        recorded={},
        opset=onnx_runtime.opset(proto),
        ir_version=proto.ir_version,
        edges=at_edges,
        source_graph=source,
        folder=given.folder,
    )


def _of_one_row(proto: Any, expected: Mapping[str, Array], rows: int) -> frozenset[str]:
    """Outputs that are declared with a fixed number of rows and give one for each row that they are asked.

    Converters of trees declare `label: [1]` so. Triton believes it, and would not batch the model.
    """
    if any(_fixed(tensor) is not None for tensor in proto.graph.input):
        return frozenset()
    return frozenset(
        tensor.name
        for tensor in proto.graph.output
        if _fixed(tensor) not in (None, rows) and len(expected[tensor.name]) == rows
    )


def _fixed(tensor: Any) -> int | None:
    """Size of axis 0 where it is a number."""
    dims = tensor.type.tensor_type.shape.dim
    return int(dims[0].dim_value) if len(dims) and dims[0].HasField("dim_value") else None


def _free(proto: Any, names: frozenset[str]) -> None:
    """Give these outputs the inputs' own axis 0."""
    symbol = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for tensor in proto.graph.output:
        if tensor.name in names:
            tensor.type.tensor_type.shape.dim[0].dim_param = symbol


def _stored(
    given: Given, source: Path, proto: Any, weights: Path | None, wrong: frozenset[str]
) -> Any:
    """Write the graph, whose message is given back; weights too large for one are a file that is copied."""
    path = given.folder / GRAPH
    if weights is not None and weights.stat().st_size >= onnx_runtime.INLINE_BELOW:
        _free(proto, wrong)
        onnx_files.carry(proto, weights, path, max_ir_version=given.ir_version)
    else:
        proto = onnx_runtime.read_model(source, what=given.what)
        _free(proto, wrong)
        onnx_runtime.store(proto, path, max_ir_version=given.ir_version)
    return proto


def _reference(known: tuple[str, ...], missing: tuple[str, ...], where: str) -> str:
    """What the answers of an ONNX version were compared with, said so that nobody takes it for more."""
    if not known:
        return "the source graph itself"
    told = f"the answers recorded in {where}"
    return f"{told}, and for {', '.join(missing)} the source graph itself" if missing else told
