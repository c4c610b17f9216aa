"""int8 in the graph: static Q/DQ by ONNX Runtime, symmetric and per channel, for the CPU.

The graph stays in ONNX's own operators (QuantizeLinear, DequantizeLinear), so that any runtime reads it.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from tidegate.adapters import onnx_files, onnx_runtime
from tidegate.adapters.trees import disk_errors
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]
BATCH = 16


class Rows(CalibrationDataReader):  # type: ignore[misc]
    """The calibration rows, a few at a time."""

    def __init__(self, inputs: Mapping[str, Array]) -> None:
        self._parts = _parts(inputs)

    def get_next(self) -> dict[str, Array] | None:
        """The next few rows by input, None at the end."""
        return next(self._parts, None)


def _parts(inputs: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    rows = len(next(iter(inputs.values())))
    for start in range(0, rows, BATCH):
        yield {name: array[start : start + BATCH] for name, array in inputs.items()}


def quantize(path: Path, calibration: Mapping[str, Array], *, what: str) -> None:
    """Put the int8 graph in the place of the graph at `path`; inputs and outputs keep their types.

    `calibration`: input -> rows, under the graph's names and in its types. Raises RejectedError when the
    graph has nothing to quantize, or the tool cannot.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        prepared, quantized = Path(folder) / "prepared.onnx", Path(folder) / "quantized.onnx"
        try:
            # Not by path: of a graph with weights beside it the tool loses sight of them.
            quant_pre_process(onnx.load(str(path)), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared), str(quantized), Rows(calibration),
                quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
                extra_options={"ActivationSymmetric": True, "WeightSymmetric": True},
            )  # fmt: skip
            model = onnx.load(str(quantized))
        except Exception as error:  # the tool raises whatever its parts raise
            raise RejectedError(
                f"{what} cannot be quantized to int8: {error}; set optimize.precision: source"
            ) from error
        if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise RejectedError(
                f"{what} has no operator that int8 makes faster; set optimize.precision: source"
            )
        _drop_unused_opsets(model)
        with disk_errors(path):
            onnx_files.drop(path)
            onnx_runtime.store(model, path, max_ir_version=model.ir_version)


def _drop_unused_opsets(model: Any) -> None:
    """The tool imports every domain that it knows; an older runtime knows fewer."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
