"""MLflow's pytorch flavor: an exported program or a pickled module, to ONNX or to TorchScript.

A program that was exported from one example row takes one row for good (MLflow logs it so); it is served
without batching. https://docs.pytorch.org/docs/stable/export.html
"""

import inspect
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters import mlflow_model, onnx_runtime
from tidegate.adapters.flavors.conversion import Array, Converted, Given, as_graph, recorded
from tidegate.adapters.served_forms import torchscript
from tidegate.errors import DocumentError, RejectedError

REFERENCE = "the PyTorch model"
SCRIPT = "model.pt"
LEAST_OPSET = 18  # the exporter's own; it writes no older graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A module on the CPU, in evaluation mode; `program` where it was logged as one."""

    module: Any
    names: tuple[str, ...]  # arguments of forward()
    program: Any = None
    batch: int | None = None
    scripted: bool = False


def convert(given: Given) -> Converted:
    """The module as a graph, or as TorchScript. Raises by class of error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells of its own deprecations at every turn
        source = _load(given)
        arrays = _arguments(given, source)
        found = torchscript.answers(source.module, arrays, source.batch, what=given.what)
        if given.route.backend == "pytorch":
            return _script(given, source, arrays, found)
        return _graph(given, source, arrays, found)


def _load(given: Given) -> Source:
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


def _arguments(given: Given, source: Source) -> list[Array]:
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


def _graph(given: Given, source: Source, arrays: list[Array], found: list[Array]) -> Converted:
    names = ["output"] if len(found) == 1 else [f"output_{n}" for n in range(len(found))]
    program = source.program or _exported(given, source, arrays)
    proto = _to_onnx(given, program, source.names[: len(arrays)], names)
    return as_graph(
        given,
        proto,
        dict(zip(source.names, arrays, strict=False)),
        dict(zip(names, found, strict=True)),
        reference=REFERENCE,
        ask=lambda inputs: _asked(given, source, list(inputs.values()), names),
    )


def _asked(given: Given, source: Source, arrays: list[Array], names: list[str]) -> dict[str, Array]:
    found = torchscript.answers(source.module, arrays, source.batch, what=given.what)
    return dict(zip(names, found, strict=True))


def _exported(given: Given, source: Source, arrays: list[Array]) -> Any:
    """A program with a free batch axis. Raises RejectedError that names what cannot be traced."""
    import torch

    if source.scripted:
        raise RejectedError(
            f"{given.what} is TorchScript, which torch.onnx does not take any more; "
            "write optimize.target: native"
        )
    batch = torch.export.Dim("batch")
    try:
        return torch.export.export(
            source.module,
            tuple(torch.from_numpy(np.ascontiguousarray(a[:4])) for a in arrays),
            dynamic_shapes=tuple({0: batch} for _ in arrays),
        )
    except Exception as error:  # one class for each reason, of torch's own
        raise refusal(given, error) from error


def _to_onnx(given: Given, program: Any, inputs: tuple[str, ...], outputs: list[str]) -> Any:
    """Through a file, since weights above 2 GB do not fit one message. Raises RejectedError."""
    import torch

    require_opset(given)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "exported.onnx"
        try:
            graph = torch.onnx.export(
                program,
                (),
                dynamo=True,
                opset_version=given.opset,
                input_names=list(inputs),
                output_names=outputs,
                verbose=False,
            )
            graph.save(path, external_data=False)
        except Exception as error:  # as above; it names the operator
            raise refusal(given, error) from error
        return onnx_runtime.read_model(path, what=given.what)


def require_opset(given: Given) -> None:
    """torch.onnx writes no older graph. Raises RejectedError."""
    if given.opset < LEAST_OPSET:
        raise RejectedError(
            f"{given.what}: torch.onnx writes opset {LEAST_OPSET} or newer, the target is to get "
            f"{given.opset}; set optimize.opset, and a triton.version that reads it"
        )


def refusal(
    given: Given,
    error: Exception,
    *,
    remedy: str = "write optimize.target: native, or take that operator out",
) -> RejectedError:
    """What the exporter tripped over, in its own words."""
    return RejectedError(
        f"{given.what} cannot be converted to ONNX opset {given.opset}: {_cause(error)}; {remedy}"
    )


def _cause(error: BaseException) -> str:
    """The first line of what it began with: torch wraps that in advice and colours."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _script(given: Given, source: Source, arrays: list[Array], found: list[Array]) -> Converted:
    import torch

    path = given.folder / SCRIPT
    rows = source.batch or min(2, len(arrays[0]))
    example = tuple(torch.from_numpy(np.ascontiguousarray(a[:rows])) for a in arrays)
    try:
        module = source.module
        if not source.scripted:
            module = torch.jit.trace(module, example, check_trace=False)
        torch.jit.save(module, str(path))
    except Exception as error:  # as above
        raise RejectedError(
            f"{given.what} cannot become TorchScript: {error}; write optimize.target: onnxruntime"
        ) from error
    form = torchscript.load(path, arrays, found, source.batch, what=given.what)
    return Converted(
        form=form,
        model_file=SCRIPT,
        inputs={t.name: a for t, a in zip(form.inputs, arrays, strict=True)},
        expected={t.name: a for t, a in zip(form.outputs, found, strict=True)},
        reference=REFERENCE,
        recorded=recorded(form, given.golden),
    )
