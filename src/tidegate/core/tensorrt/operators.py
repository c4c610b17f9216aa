"""What TensorRT cannot take, seen in the graph before a GPU is asked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.documents import Tensor

# Domains that its ONNX parser reads; Q/DQ of ModelOpt's narrow types are in its own.
DOMAINS = frozenset({"", "ai.onnx", "trt", "trt.plugins"})
TYPES = frozenset({"FP32", "FP16", "BF16", "INT8", "UINT8", "INT32", "INT64", "BOOL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An operator of a graph; `name` may be ''."""

    name: str
    operator: str
    domain: str
    output: str = ""


def refused(nodes: Sequence[Node], tensors: Sequence[Tensor]) -> str:
    """The first thing that TensorRT has no form for, by name; '' where nothing is seen."""
    for node in nodes:
        if node.domain not in DOMAINS:
            return (
                f"node {node.name or node.output!r} is {node.domain}.{node.operator}, and TensorRT has no "
                f"operators of {node.domain}"
            )
    for tensor in tensors:
        if tensor.dtype not in TYPES:
            return f"tensor {tensor.name!r} is {tensor.dtype}, which TensorRT does not take or give"
    return ""
