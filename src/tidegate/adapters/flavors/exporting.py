"""A flavor whose framework is asked, and exports, in a process of its own: exports/."""

import tempfile
from dataclasses import replace
from pathlib import Path

from tidegate.adapters import mlflow_model, onnx_runtime
from tidegate.adapters.flavors.conversion import Converted, Given, as_graph
from tidegate.adapters.flavors.edges import ROWS, Edge
from tidegate.adapters.flavors.exports import process
from tidegate.core.edge_inputs import edge
from tidegate.errors import RejectedError
from tidegate.policy.model import EDGES


def converted(given: Given, program: str, model: Path, *, reference: str, remedy: str) -> Converted:
    """The model as a graph, whose one input is called as golden data call it. Raises RejectedError."""
    inputs = {name or "input": array for name, array in given.golden.inputs.items()}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        try:
            answers = process.exported(program, model, Path(folder), given.opset, inputs)
        except RejectedError as error:
            raise RejectedError(f"{given.what} {error}; {remedy}") from error
        proto = onnx_runtime.read_model(Path(folder) / process.GRAPH, what=given.what)
    graph = as_graph(given, proto, inputs, answers[process.GOLDEN], reference=reference)
    edges = tuple(
        Edge(kind=kind, inputs=edge(kind, graph.inputs, ROWS), expected=answers[kind])
        for kind in EDGES
        if kind in answers
    )
    return replace(graph, edges=edges)


def keras_file(given: Given, remedy: str) -> Path:
    """The `.keras` file of either flavor. Raises RejectedError."""
    name = f"{given.conf.get('data') or 'data'}/model.keras"
    if not (given.tree / name).is_file():
        raise RejectedError(
            f"{given.what} has no {name}: it was saved in an older format; save it with Keras 3, {remedy}"
        )
    return mlflow_model.inside(given.tree, name, what=given.what)
