"""MLflow's pytorch flavor: an exported program or a pickled module, to ONNX, TorchScript or a package.

A program that was exported from one example row takes one row for good (MLflow logs it so); it is served
without batching. https://docs.pytorch.org/docs/stable/export.html
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters import onnx_runtime
from tidegate.adapters.flavors import torch_package, torch_source
from tidegate.adapters.flavors.conversion import Array, Converted, Given, as_graph, recorded
from tidegate.adapters.flavors.torch_source import REFERENCE, Source
from tidegate.adapters.served_forms import torchscript
from tidegate.errors import RejectedError

SCRIPT = "model.pt"
LEAST_OPSET = 18  # the exporter's own; it writes no older graph


def convert(given: Given) -> Converted:
    """The module as a graph, as TorchScript, or compiled. Raises by class of error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells of its own deprecations at every turn
        is_package = given.route.target == "aoti"
        if is_package:
            torch_package.require(given)
        source = torch_source.load(given)
        arrays = torch_source.arguments(given, source)
        found = torchscript.answers(source.module, arrays, source.batch, what=given.what)
        if is_package:
            return torch_package.packaged(given, source, arrays, found)
        if given.route.backend == "pytorch":
            return _script(given, source, arrays, found)
        return _graph(given, source, arrays, found)


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
    if source.scripted:
        raise RejectedError(
            f"{given.what} is TorchScript, which torch.onnx does not take any more; "
            "write optimize.target: native"
        )
    try:
        return torch_source.exported(source, arrays)
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
        f"{given.what} cannot be converted to ONNX opset {given.opset}: {torch_source.cause(error)}; {remedy}"
    )


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
