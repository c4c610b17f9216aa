"""Where two graphs part: both asked with every value between their nodes exposed, in the nodes' order."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from tidegate.core.parity import compare
from tidegate.documents import Word
from tidegate.policy import Tolerance

Array = npt.NDArray[Any]
ROWS = 16
MOST_BYTES = 500_000_000  # both graphs and the values of every layer are in memory at once


def first_difference(
    source: Path, target: Path, inputs: Mapping[str, Array], tolerance: Tolerance
) -> str:
    """The first node whose answer is beyond the tolerance, in words; '' where the two cannot be compared.

    Values are paired by name, which quantizing keeps. `inputs`: golden rows, under the graphs' names.
    """
    if max(_size(source), _size(target)) > MOST_BYTES:
        return "the graphs are too large to be compared layer by layer"
    before, after = onnx.load(str(source)), onnx.load(str(target))
    known = {name for node in before.graph.node for name in node.output}
    shared = [
        (node, name) for node in after.graph.node for name in node.output if name and name in known
    ]
    rows = {name: array[:ROWS] for name, array in inputs.items()}
    names = [name for _, name in shared]
    try:
        found = zip(shared, _values(before, names, rows), _values(after, names, rows), strict=True)
    except Exception as error:  # noqa: BLE001 - parity has failed already, and ONNX Runtime raises anything
        return f"the layers could not be compared ({type(error).__name__})"
    return next(_differences(found, tolerance), "") or _nowhere(len(shared))


def _nowhere(layers: int) -> str:
    return f"none of the {layers} layers that both graphs have differs from the source graph's"


def _differences(pairs: Any, tolerance: Tolerance) -> Iterator[str]:
    for (node, name), expected, measured in pairs:
        plain = isinstance(expected, np.ndarray) and expected.dtype.kind == "f" and expected.ndim
        if plain and compare(name, measured, expected, tolerance, 1).word is Word.FAIL:
            message = compare(name, measured, expected, tolerance, 1).message
            yield f"the first layer that differs is {node.name or name} ({node.op_type}): {message}"


def _values(model: Any, names: list[str], rows: Mapping[str, Array]) -> list[Any]:
    """Those between the nodes, unoptimized: fused nodes have no value between them."""
    shown = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in shown)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[Any] = session.run(names, dict(rows))
    return found


def _size(path: Path) -> int:
    """With the weights that lie beside it."""
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*"))
