"""An ONNX graph in OpenVINO, on the CPU, in the precision that OpenVINO itself takes there.

On a CPU with bfloat16 that is bfloat16, and Triton's backend has no parameter against it (HINT_BF16 knows
only YES), so parity is judged in it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tidegate.adapters.onnx_runtime import Graph
from tidegate.adapters.served_forms.of_graph import OfGraph
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVinoGraph(OfGraph):
    """The graph's tensors are ONNX Runtime's word, its answers OpenVINO's."""

    compiled: Any

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All rows at once. Raises RejectedError."""
        try:
            found = self.compiled(dict(inputs))
        except Exception as error:  # OpenVINO has one RuntimeError for every reason
            raise RejectedError(
                f"{self.graph.what} fails on golden inputs in OpenVINO: {error}; correct the graph"
            ) from error
        return {t.name: found[t.name] for t in self.outputs}


def load(path: Path, graph: Graph) -> OpenVinoGraph:
    """Compile the graph at `path`. Raises RejectedError that names the operator OpenVINO lacks."""
    import openvino

    core = openvino.Core()
    try:
        compiled = core.compile_model(str(path), "CPU", {"INFERENCE_NUM_THREADS": 1})
        return OpenVinoGraph(graph=graph, compiled=compiled)
    except Exception as error:  # as above
        raise RejectedError(
            f"{graph.what} does not load in OpenVINO: {_reason(error)}; "
            "write optimize.target: onnxruntime"
        ) from error


def _reason(error: Exception) -> str:
    """What OpenVINO says after the names of its own source files."""
    return str(error).rpartition("Summary:")[2].strip(" -\n")
