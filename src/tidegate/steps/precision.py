"""A graph in the precision that the policy asks for, calibrated on rows that it is not judged by."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.errors import DocumentError
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Array, Converted, Given

CALIBRATED = ("int8", "fp8")


def in_precision(given: "Given", converted: "Converted") -> "Converted":
    """Put the graph of that precision in the place of the source's. Raises by class of error.

    Its form is still that of the source's graph: who serves it opens it.
    """
    from tidegate.adapters import modelopt, onnx_files, onnx_runtime, quantization
    from tidegate.core.precision import quantizer

    wanted, path = given.policy.optimize, given.folder / converted.model_file
    rows = _calibration(given, converted)
    told = f", calibrated on {len(next(iter(rows.values())))} rows" if rows else ""
    tool = quantizer(wanted)
    say("optimize", f"writing the graph in {wanted.precision} with {tool}{told}")
    if tool == "onnxruntime":
        quantization.quantize(path, rows, what=given.what)
    else:
        modelopt.convert(path, wanted.precision, rows, opset=given.opset, what=given.what)
    header = onnx_files.header(path, what=given.what)
    return replace(converted, opset=onnx_runtime.opset(header), ir_version=header.ir_version)


def _calibration(given: "Given", converted: "Converted") -> "dict[str, Array]":
    """The rows of model.calibration, in the graph's types; {} where there are none and none are needed.

    AutoCast looks at them too: which nodes overflow is a matter of data.
    """
    from tidegate.adapters import golden_data, onnx_runtime
    from tidegate.core.calibration import shared_rows

    where, what, precision = (
        given.policy.model.calibration,
        given.what,
        given.policy.optimize.precision,
    )
    if not (given.tree / where).is_file():
        if precision not in CALIBRATED:
            return {}
        raise DocumentError(
            f"{what}: has no {where}, which {precision} is calibrated on; log it, or set "
            "optimize.precision: source"
        )
    graph = onnx_runtime.load(given.folder / converted.model_file, what=what)
    rows = graph.cast(golden_data.read(given.tree / where, what=where).inputs, what=where)
    shared = shared_rows(rows, converted.inputs)
    if shared:
        raise DocumentError(
            f"{what}: {len(shared)} golden rows (the first is {shared[0]}) are in {where} too; "
            "calibrate on other rows than you judge by"
        )
    return rows
