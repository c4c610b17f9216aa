"""What every served form of an ONNX graph has: its tensors are ONNX Runtime's word."""

from dataclasses import dataclass

from tidegate.adapters.onnx_runtime import Graph
from tidegate.documents import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class OfGraph:
    """Takes and gives what `graph` declares."""

    graph: Graph

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """As the graph declares them."""
        return self.graph.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """As the graph declares them."""
        return self.graph.outputs
