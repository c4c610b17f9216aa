"""A TensorRT plan, loaded on this GPU and asked there: what Triton's tensorrt backend does with it.

Polygraphy, which is NVIDIA's own and kept with every release, moves the arrays: device memory, streams, and
outputs whose shape is known only afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters.tensorrt import library
from tidegate.core.tensorrt.profiles import complaint
from tidegate.documents import ShapeRange, Tensor
from tidegate.errors import DocumentError, RejectedError, UsageError

Array = npt.NDArray[Any]
TYPES = {
    "FLOAT": "FP32", "HALF": "FP16", "BF16": "BF16", "INT8": "INT8", "UINT8": "UINT8",
    "INT32": "INT32", "INT64": "INT64", "BOOL": "BOOL",
}  # fmt: skip
_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRtPlan:
    """The engine; `runtime` outlives it here because the engine needs it to."""

    trt: Any
    runtime: Any
    engine: Any
    what: str

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """In the plan's order."""
        return self._tensors(self.trt.TensorIOMode.INPUT)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """In the plan's order."""
        return self._tensors(self.trt.TensorIOMode.OUTPUT)

    @property
    def profiles(self) -> tuple[dict[str, ShapeRange], ...]:
        """What it was built for, as the plan itself has it."""
        count = self.engine.num_optimization_profiles
        return tuple(self._profile(at) for at in range(count)) if self._free else ()

    @property
    def layers(self) -> str:
        """The engine inspector's JSON."""
        kind = self.trt.LayerInformationFormat.JSON
        return str(self.engine.create_engine_inspector().get_engine_information(kind))

    @property
    def memory_bytes(self) -> int | None:
        """Of one execution context; 10.0 does not tell it so."""
        found = getattr(self.engine, "device_memory_size_v2", None)
        return None if found is None else int(found)

    @property
    def _free(self) -> tuple[Tensor, ...]:
        return tuple(tensor for tensor in self.inputs if -1 in tensor.shape)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows, in batches that a profile takes. Raises RejectedError."""
        rows = len(next(iter(inputs.values())))
        size = self._batch(rows)
        parts = []
        for at in range(0, rows, size):
            feeds = {n: np.ascontiguousarray(a[at : at + size]) for n, a in inputs.items()}
            parts.append(self._answers(feeds))
        return {t.name: np.concatenate([part[t.name] for part in parts]) for t in self.outputs}

    def _answers(self, feeds: dict[str, Array]) -> dict[str, Array]:
        from polygraphy.backend.trt import TrtRunner
        from polygraphy.logger import G_LOGGER

        G_LOGGER.module_severity = (
            G_LOGGER.ERROR
        )  # it writes to stdout, which is the outcome's alone
        profile = self._profile_for({name: array.shape for name, array in feeds.items()})
        try:
            with TrtRunner(self.engine, optimization_profile=profile) as runner:
                found = runner.infer(feeds)
                # Polygraphy's buffers are its own, and the next question writes into them.
                return {name: np.array(array) for name, array in found.items()}
        except Exception as error:  # PolygraphyException, or CUDA's own
            raise RejectedError(
                f"{self.what} fails on golden inputs in TensorRT: {error}"
            ) from error

    def _profile_for(self, shapes: Mapping[str, tuple[int, ...]]) -> int:
        complaints = [complaint(profile, shapes) for profile in self.profiles]
        if complaints and "" not in complaints:
            raise DocumentError(
                f"{self.what}: no profile of the plan takes the golden rows: {complaints[0]}; "
                "correct optimize.tensorrt.profiles"
            )
        return complaints.index("") if complaints else 0

    def _batch(self, rows: int) -> int:
        """As many rows as the first profile takes, or the plan's own fixed batch."""
        fixed = {tensor.shape[0] for tensor in self.inputs if tensor.shape and tensor.shape[0] > 0}
        if fixed:
            size = fixed.pop()
            if fixed or rows % size:
                raise DocumentError(
                    f"{self.what} takes batches of {size} rows only and the golden data have {rows}; "
                    "export it with a free batch axis"
                )
            return size
        spans = [span.max[0] for profile in self.profiles[:1] for span in profile.values()]
        return min(spans, default=_BATCH)

    def _profile(self, at: int) -> dict[str, ShapeRange]:
        spans = {t.name: self.engine.get_tensor_profile_shape(t.name, at) for t in self._free}
        return {
            name: ShapeRange(min=tuple(low), opt=tuple(best), max=tuple(high))
            for name, (low, best, high) in spans.items()
        }

    def _tensors(self, mode: Any) -> tuple[Tensor, ...]:
        names = [self.engine.get_tensor_name(at) for at in range(self.engine.num_io_tensors)]
        return tuple(
            self._tensor(name) for name in names if self.engine.get_tensor_mode(name) == mode
        )

    def _tensor(self, name: str) -> Tensor:
        kind = self.engine.get_tensor_dtype(name).name
        if kind not in TYPES:
            raise RejectedError(
                f"{self.what}: {name} is {kind}, which Triton cannot serve; cast it"
            )
        return Tensor(name=name, dtype=TYPES[kind], shape=tuple(self.engine.get_tensor_shape(name)))


def load(trt: Any, path: Path, *, what: str, version_compatible: bool = False) -> TensorRtPlan:
    """Load a plan on this GPU. Raises UsageError without one, RejectedError for a plan that is not for it."""
    _require_polygraphy()
    log = library.logger(trt)
    runtime = library.made(lambda: trt.Runtime(log), log, "runtime")
    if version_compatible:
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise RejectedError(
            f"{what} does not load in TensorRT {trt.__version__} on this GPU: "
            f"{library.said(log, 'it says no reason')}; build it here"
        )
    return TensorRtPlan(trt=trt, runtime=runtime, engine=engine, what=what)


def _require_polygraphy() -> None:
    from importlib.util import find_spec

    if find_spec("polygraphy") is None:
        raise UsageError(f"polygraphy is not installed, which asks a plan; {library.REMEDY}")
