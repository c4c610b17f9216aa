"""TorchScript as Triton's pytorch backend runs it: tensors by number."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.documents import Tensor
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]
BATCH = 256
DTYPES = {
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "bool": "BOOL", "uint8": "UINT8",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
}  # fmt: skip


def input_name(index: int) -> str:
    """What Triton calls an argument of forward() that it knows by number only."""
    return f"INPUT__{index}"


def output_name(index: int) -> str:
    """Likewise for a result."""
    return f"OUTPUT__{index}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchScript:
    """A module; `batch` is the only batch it takes, None for any."""

    module: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    batch: int | None
    what: str

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows. Raises RejectedError."""
        arrays = [inputs[tensor.name] for tensor in self.inputs]
        found = answers(self.module, arrays, self.batch, what=f"{self.what} as TorchScript")
        return {tensor.name: array for tensor, array in zip(self.outputs, found, strict=True)}


def answers(module: Any, arrays: list[Array], batch: int | None, *, what: str) -> list[Array]:
    """The results of a module, in its order, asked in batches. Raises RejectedError."""
    import torch

    rows, size, parts = len(arrays[0]), batch or BATCH, []
    try:
        with torch.no_grad():
            for at in range(0, rows, size):
                given = [torch.from_numpy(np.ascontiguousarray(a[at : at + size])) for a in arrays]
                parts.append([tensor.numpy() for tensor in results(module(*given))])
    except Exception as error:  # torch raises whatever its operators raise
        raise RejectedError(f"{what} fails on golden inputs: {error}; correct the model") from error
    return [np.concatenate(part) for part in zip(*parts, strict=True)]


def results(found: Any) -> list[Any]:
    """One tensor, several, or a dict of them, as a list."""
    if isinstance(found, Mapping):
        return list(found.values())
    return list(found) if isinstance(found, (tuple, list)) else [found]


def load(
    path: Path, arrays: list[Array], found: list[Array], batch: int | None, *, what: str
) -> TorchScript:
    """Open what was written, and name its tensors by number. `found`: the source's answers."""
    import torch

    module = torch.jit.load(str(path), map_location="cpu").eval()
    return TorchScript(
        module=module,
        inputs=tuple(described(input_name(n), a, batch, what) for n, a in enumerate(arrays)),
        outputs=tuple(described(output_name(n), a, batch, what) for n, a in enumerate(found)),
        batch=batch,
        what=what,
    )


def described(name: str, array: Array, batch: int | None, what: str) -> Tensor:
    """The tensor that rows like these are of. Raises RejectedError for a type that Triton has none for."""
    if array.dtype.name not in DTYPES:
        raise RejectedError(f"{what}: {name} is {array.dtype}, which Triton cannot serve; cast it")
    return Tensor(name=name, dtype=DTYPES[array.dtype.name], shape=(batch or -1, *array.shape[1:]))
