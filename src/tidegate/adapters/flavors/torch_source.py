"""The PyTorch model of a version (exported program, pickled module or TorchScript) and its golden rows."""

import inspect
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters import mlflow_model
from tidegate.adapters.flavors.conversion import Array, Given
from tidegate.errors import DocumentError, RejectedError

REFERENCE = "the PyTorch model"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A module on the CPU, in evaluation mode; `program` where it was logged as one."""

    module: Any
    names: tuple[str, ...]  # arguments of forward()
    program: Any = None
    batch: int | None = None
    scripted: bool = False


def load(given: Given) -> Source:
    """As it was logged; a pickle only where the policy allows it. Raises RejectedError."""
    folder = str(given.conf.get("model_data", "data"))
    exported = given.tree / folder / "model.pt2"
    if exported.is_file():
        path = mlflow_model.inside(given.tree, f"{folder}/model.pt2", what=given.what)
        return _program(path, given.what)
    path = mlflow_model.inside(given.tree, f"{folder}/model.pth", what=given.what)
    if not given.policy.model.allow_pickle:
        raise RejectedError(
            f"{given.what} is a pickle; log it with serialization_format='pt2', "
            "or set model.allow_pickle: true"
        )
    return _pickled(path, given.what)


def _program(path: Path, what: str) -> Source:
    import torch

    try:
        program = torch.export.load(path)
    except Exception as error:  # a broken archive, another torch's format
        raise RejectedError(f"{what}: {path.name} does not load ({error}); log it again") from error
    names = tuple(program.graph_signature.user_inputs)
    shapes = {n.name: n.meta["val"].shape for n in program.graph.nodes if n.op == "placeholder"}
    first = [shapes[name][0] for name in names if len(shapes[name])]
    fixed = {int(size) for size in first if isinstance(size, int)}
    return Source(
        module=program.module(), names=names, program=program, batch=min(fixed, default=None)
    )


def _pickled(path: Path, what: str) -> Source:
    """Only where the policy said so; TorchScript is told by the code that its archive holds."""
    import torch

    try:
        scripted = _is_script(path)
        if scripted:
            module = torch.jit.load(str(path), map_location="cpu")
        else:
            module = torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:  # a pickle can raise anything
        raise RejectedError(f"{what}: {path.name} does not load ({error}); log it again") from error
    module = module.eval()
    if scripted:
        names = tuple(a.name for a in module.forward.schema.arguments[1:])
    else:
        names = tuple(inspect.signature(module.forward).parameters)
    return Source(module=module, names=names, scripted=scripted)


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def arguments(given: Given, source: Source) -> list[Array]:
    """The golden inputs in the order of forward(). Raises DocumentError."""
    named = given.golden.inputs
    if set(named) == {""}:
        named = {source.names[0]: named[""]}
    wanted = source.names[: len(named)]
    if set(named) != set(wanted):
        raise DocumentError(
            f"{given.golden.source} has inputs {', '.join(map(repr, named))}, forward() takes "
            f"{', '.join(source.names)}; name the arrays input.<name>"
        )
    arrays = [named[name] for name in wanted]
    return [a.astype(np.float32) if a.dtype == np.float64 else a for a in arrays]


def exported(source: Source, arrays: list[Array]) -> Any:
    """A program with a free batch axis. Raises whatever torch does where something cannot be traced."""
    import torch

    batch = torch.export.Dim("batch")
    return torch.export.export(
        source.module,
        tuple(torch.from_numpy(np.ascontiguousarray(a[:4])) for a in arrays),
        dynamic_shapes=tuple({0: batch} for _ in arrays),
    )


def cause(error: BaseException) -> str:
    """The first line of what it began with: torch wraps that in advice and colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
