"""A graph in the precision that the policy asks for, calibrated on rows that it is not judged by."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tidegate.errors import DocumentError
from tidegate.steps.progress import say

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Converted, Given


def quantized(given: "Given", converted: "Converted") -> "Converted":
    """The graph in int8, calibrated on rows that it will not be judged by. Raises DocumentError."""
    from tidegate.adapters import golden_data, onnx_runtime, quantization
    from tidegate.core.calibration import shared_rows

    where, what, path = (
        given.policy.model.calibration,
        given.what,
        given.folder / converted.model_file,
    )
    if not (given.tree / where).is_file():
        raise DocumentError(
            f"{what}: has no {where}, which int8 is calibrated on; log it, or set optimize.precision: source"
        )
    graph = onnx_runtime.load(path, what=what)
    rows = graph.cast(golden_data.read(given.tree / where, what=where).inputs, what=where)
    shared = shared_rows(rows, converted.inputs)
    if shared:
        raise DocumentError(
            f"{what}: {len(shared)} golden rows (the first is {shared[0]}) are in {where} too; "
            "calibrate on other rows than you judge by"
        )
    count = len(next(iter(rows.values())))
    say("optimize", f"quantizing to int8, calibrated on {count} rows of {where}")
    quantization.quantize(path, rows, what=what)
    return replace(converted, form=onnx_runtime.load(path, what=what))
