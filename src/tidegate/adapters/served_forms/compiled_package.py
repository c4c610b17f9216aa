"""An AOTInductor package as Triton's pytorch backend runs it: flat lists of tensors, by number."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters.served_forms.torchscript import BATCH, described, input_name, output_name
from tidegate.documents import Tensor
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledPackage:
    """Loaded code, asked for `rows` at once: all that it takes, or as many as are worth a call."""

    runner: Any
    device: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    rows: int
    what: str

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows. Raises RejectedError."""
        arrays = [inputs[tensor.name] for tensor in self.inputs]
        parts = [self._asked(arrays, at) for at in range(0, len(arrays[0]), self.rows)]
        found = [np.concatenate(part) for part in zip(*parts, strict=True)]
        return {tensor.name: array for tensor, array in zip(self.outputs, found, strict=True)}

    def _asked(self, arrays: list[Array], at: int) -> list[Array]:
        import torch

        some = [np.ascontiguousarray(array[at : at + self.rows]) for array in arrays]
        try:
            with torch.inference_mode():
                found = self.runner.run([torch.from_numpy(one).to(self.device) for one in some])
        except Exception as error:  # C++'s own, with its stack
            raise RejectedError(
                f"{self.what} as a package fails on golden inputs: {_first_line(error)}; write "
                "optimize.target: native"
            ) from error
        return [tensor.cpu().numpy() for tensor in found]


def load(
    path: Path,
    arrays: list[Array],
    found: list[Array],
    batch: int | None,
    *,
    device: str,
    largest: int,
    what: str,
) -> CompiledPackage:
    """Open what was written, and name its tensors by number.

    `found` are the source's answers to `arrays`; `largest` is asked whole. Raises RejectedError.
    """
    runner, takes, gives = _opened(path, what)
    if (takes, gives) != (len(arrays), len(found)):
        raise RejectedError(
            f"{what}: {path.name} takes {takes} tensors and gives {gives}, golden data have {len(arrays)} "
            f"and the source gives {len(found)}; name every argument of forward()"
        )
    return CompiledPackage(
        runner=runner,
        device=device,
        inputs=tuple(described(input_name(n), a, batch, what) for n, a in enumerate(arrays)),
        outputs=tuple(described(output_name(n), a, batch, what) for n, a in enumerate(found)),
        rows=batch or max(BATCH, largest),
        what=what,
    )


def _opened(path: Path, what: str) -> tuple[Any, int, int]:
    """The code, and how many tensors go in and come out by its call specification."""
    from torch._inductor import aoti_load_package

    try:
        runner = aoti_load_package(str(path)).loader
        takes, gives = (_leaves(json.loads(one)[1]) for one in runner.get_call_spec())
    except Exception as error:  # of torch, or of the loader of shared objects
        raise RejectedError(
            f"{what}: {path.name} does not load: {_first_line(error)}; compile it again"
        ) from error
    return runner, takes, gives


def _leaves(node: Mapping[str, Any]) -> int:
    """Tensors of a call specification: torch's TreeSpec as JSON, in which a leaf has no type."""
    if node["type"] is None:
        return 1
    return sum(map(_leaves, node["children_spec"]))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
