"""An ONNX graph in ONNX Runtime on this GPU, by its TensorRT or its CUDA provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import onnxruntime

from tidegate.adapters import onnx_runtime
from tidegate.adapters.onnx_runtime import Array, Providers
from tidegate.adapters.served_forms.of_graph import OfGraph
from tidegate.core.tensorrt.provider import options
from tidegate.documents import ShapeRange
from tidegate.errors import RejectedError, UsageError

NAMES = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratedGraph(OfGraph):
    """Answers as the GPU does; a class of its own, since what lies between its nodes is not the CPU's."""

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows, in batches that the graph takes. Raises RejectedError."""
        return self.graph.run(inputs)


def load(
    path: Path,
    accelerator: Literal["tensorrt", "cuda"],
    profiles: Sequence[Mapping[str, ShapeRange]],
    *,
    what: str,
    precision: str = "source",
    serving: str = "",
    largest: int = onnx_runtime.BATCH,
) -> AcceleratedGraph:
    """Open it with the provider and no silent way out of it. A profile's rows go before `largest`.

    `precision` is the graph's, `serving` the server's TensorRT: what that one is told, this one is too.
    Raises UsageError where this ONNX Runtime has no such provider, RejectedError where it does not start:
    ONNX Runtime itself would go on without it.
    """
    wanted, known = NAMES[accelerator], onnxruntime.get_available_providers()
    if wanted not in known:
        raise UsageError(
            f"this ONNX Runtime has no {wanted}, only {', '.join(known)}; "
            "run optimize where onnxruntime-gpu and a GPU are"
        )
    told = options(profiles, precision=precision, serving=serving)
    graph = onnx_runtime.load(
        path, what=what, providers=_providers(accelerator, told), largest=largest
    )
    graph.session.disable_fallback()
    if wanted not in graph.session.get_providers():
        raise RejectedError(
            f"{what}: {wanted} does not start, ONNX Runtime took {graph.session.get_providers()[0]}; "
            "check the GPU and its libraries"
        )
    spans = [span.max[0] for profile in profiles[:1] for span in profile.values() if span.max]
    if accelerator == "tensorrt" and spans:
        graph = replace(graph, largest=min(spans))
    return AcceleratedGraph(graph=graph)


def _providers(accelerator: str, told: Mapping[str, str]) -> Providers:
    """The wanted one first; CUDA and the CPU take the nodes that it leaves."""
    cuda: Providers = ((NAMES["cuda"], {}), ("CPUExecutionProvider", {}))
    return ((NAMES["tensorrt"], told), *cuda) if accelerator == "tensorrt" else cuda
