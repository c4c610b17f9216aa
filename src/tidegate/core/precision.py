"""Which tool writes a precision into a graph. Pure."""

from typing import Literal

from tidegate.policy import Optimize

Tool = Literal["onnxruntime", "modelopt"]


def quantizer(wanted: Optimize) -> Tool:
    """ONNX Runtime's int8 for itself, where nothing else is said; ModelOpt's for TensorRT, and all the rest.

    ONNX Runtime quantizes biases as well, which TensorRT does not read.
    """
    if wanted.quantizer != "auto":
        return wanted.quantizer
    return (
        "onnxruntime"
        if wanted.precision == "int8" and wanted.target == "onnxruntime"
        else "modelopt"
    )
