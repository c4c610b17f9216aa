"""One graph in another precision, by ModelOpt. Runs in ModelOpt's interpreter, which has nothing of ours.

`conversion.py '{"source": ..., "target": ..., "precision": ..., "rows": ..., "opset": ...}'`
"""

import importlib
import json
import sys
from typing import Any

MISSING, NOTHING = 3, 4


def main(asked: dict[str, Any]) -> int:
    """Exit 0 when the target is written."""
    try:
        importlib.import_module("modelopt.onnx.quantization")
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return MISSING
    write = _cast if asked["precision"] in {"fp16", "bf16"} else _quantize
    write(asked)
    return 0 if _is_in(asked["target"], asked["precision"]) else NOTHING


def _cast(asked: dict[str, Any]) -> None:
    """AutoCast: nodes that its reference run shows to be safe; inputs and outputs stay as they are."""
    import onnx
    from modelopt.onnx.autocast import convert_to_mixed_precision

    model = convert_to_mixed_precision(
        asked["source"],
        low_precision_type=asked["precision"],
        keep_io_types=True,
        calibration_data=asked["rows"] or None,
        providers=["cpu"],
        opset=asked["opset"],
    )
    onnx.save(model, asked["target"])


def _quantize(asked: dict[str, Any]) -> None:
    import numpy as np
    from modelopt.onnx.quantization import quantize

    with np.load(asked["rows"], allow_pickle=False) as file:
        rows = {name: file[name] for name in file.files}
    quantize(
        asked["source"],
        quantize_mode=asked["precision"],
        calibration_data=rows,
        calibration_method="entropy" if asked["precision"] == "int8" else "max",
        calibration_eps=["cpu"],
        # ONNX Runtime 1.32 with its optimizer on answers wrongly where FP8 stands among FP32; among FP16 not.
        high_precision_dtype="fp16" if asked["precision"] == "fp8" else "fp32",
        output_path=asked["target"],
        opset=asked["opset"],
    )


def _is_in(target: str, precision: str) -> bool:
    """Whether anything of the graph is in it: both tools pass a graph on untouched in silence."""
    import onnx

    model = onnx.load(target, load_external_data=False)
    if precision in {"int8", "fp8"}:
        return any(node.op_type == "QuantizeLinear" for node in model.graph.node)
    narrow = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}[precision]
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    return any(attribute.i == narrow for node in casts for attribute in node.attribute)


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
