"""An ONNX graph in ONNX Runtime on this GPU, by its TensorRT or its CUDA provider."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime

from tidegate.adapters import onnx_runtime
from tidegate.adapters.onnx_runtime import Array, Graph, Providers
from tidegate.core.tensorrt.provider import profile_shapes
from tidegate.documents import ShapeRange, Tensor
from tidegate.errors import RejectedError, UsageError

NAMES = {"tensorrt": "TensorrtExecutionProvider", "cuda": "CUDAExecutionProvider"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratedGraph:
    """A graph that is asked at most `largest` rows at once: a provider that has profiles refuses more."""

    graph: Graph
    largest: int | None

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """As the graph declares them."""
        return self.graph.inputs

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """As the graph declares them."""
        return self.graph.outputs

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows. Raises RejectedError."""
        rows = len(next(iter(inputs.values())))
        if self.largest is None or rows <= self.largest:
            return self.graph.run(inputs)
        parts = [
            self.graph.run({n: a[at : at + self.largest] for n, a in inputs.items()})
            for at in range(0, rows, self.largest)
        ]
        return {t.name: np.concatenate([part[t.name] for part in parts]) for t in self.outputs}


def load(
    path: Path,
    accelerator: Literal["tensorrt", "cuda"],
    profiles: Sequence[Mapping[str, ShapeRange]],
    *,
    what: str,
) -> AcceleratedGraph:
    """Open it with the provider and no silent way out of it.

    Raises UsageError where this ONNX Runtime has no such provider, RejectedError where it does not start:
    ONNX Runtime itself would go on without it.
    """
    wanted, known = NAMES[accelerator], onnxruntime.get_available_providers()
    if wanted not in known:
        raise UsageError(
            f"this ONNX Runtime has no {wanted}, only {', '.join(known)}; "
            "run optimize where onnxruntime-gpu and a GPU are"
        )
    graph = onnx_runtime.load(path, what=what, providers=_providers(accelerator, profiles))
    graph.session.disable_fallback()
    if wanted not in graph.session.get_providers():
        raise RejectedError(
            f"{what}: {wanted} does not start, ONNX Runtime took {graph.session.get_providers()[0]}; "
            "check the GPU and its libraries"
        )
    spans = [span.max[0] for profile in profiles[:1] for span in profile.values() if span.max]
    told = accelerator == "tensorrt" and spans
    return AcceleratedGraph(graph=graph, largest=min(spans) if told else None)


def _providers(accelerator: str, profiles: Sequence[Mapping[str, ShapeRange]]) -> Providers:
    """The wanted one first; CUDA and the CPU take the nodes that it leaves."""
    cuda: Providers = ((NAMES["cuda"], {}), ("CPUExecutionProvider", {}))
    return (
        ((NAMES["tensorrt"], profile_shapes(profiles)), *cuda)
        if accelerator == "tensorrt"
        else cuda
    )
