"""What is tried, in which order, to serve a model on its target: no further down than the policy allows."""

from dataclasses import dataclass
from typing import Literal

from tidegate.core.routes import Route
from tidegate.documents import StepDown
from tidegate.policy import Policy

Accelerator = Literal["", "tensorrt", "cuda"]
ACCELERATORS: dict[str, Accelerator] = {
    "onnxruntime-tensorrt": "tensorrt",
    "onnxruntime-cuda": "cuda",
    "onnxruntime": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One way of serving. `name` is what a policy calls it; the accelerator is ONNX Runtime's."""

    name: str
    target: str
    backend: str
    accelerator: Accelerator = ""

    @property
    def on_gpu(self) -> bool:
        """Whether the server needs a GPU for it."""
        return self.backend == "tensorrt" or bool(self.accelerator)


def rungs(route: Route, policy: Policy) -> tuple[Rung, ...]:
    """The target itself, then what the policy falls back to; a companion of the model has no plan to miss."""
    first = Rung(name=route.target, target=route.target, backend=route.backend)
    rest = tuple(
        Rung(name=name, target="onnxruntime", backend="onnxruntime", accelerator=ACCELERATORS[name])
        for name in (policy.optimize.fallback if route.target == "tensorrt" else ())
    )
    return (first, *rest)


def told(steps_down: tuple[StepDown, ...]) -> str:
    """Each step down with its reason, on one line; '' where there was none."""
    return "; ".join(f"not {step.wanted}: {step.reason}" for step in steps_down)
