"""A PyTorch module as a package: exported by torch.export, compiled ahead of time by AOTInductor."""

from collections.abc import Mapping
from typing import Any

from tidegate.adapters.aoti import compiling
from tidegate.adapters.flavors import edges, torch_source
from tidegate.adapters.flavors.conversion import Array, Converted, Given, recorded
from tidegate.adapters.flavors.torch_source import REFERENCE, Source
from tidegate.adapters.served_forms import compiled_package, torchscript
from tidegate.adapters.served_forms.compiled_package import CompiledPackage
from tidegate.core.aoti.serving import PACKAGE, other_torch
from tidegate.errors import RejectedError


def require(given: Given) -> None:
    """Before anything is loaded: this torch is the server's, and this machine compiles for it.

    Raises UsageError or RejectedError.
    """
    import torch

    if why := other_torch(str(torch.__version__), given.policy.triton.torch):
        raise RejectedError(f"{given.what}: {why}")
    compiling.require(given.policy.optimize.aoti)


def packaged(given: Given, source: Source, arrays: list[Array], found: list[Array]) -> Converted:
    """The module as `model.pt2`, opened as the server does. `found`: the source's answers to `arrays`.

    Raises RejectedError.
    """
    program = source.program or _exported(given, source, arrays)
    wanted = given.policy.optimize.aoti
    package, said = compiling.compiled(program, given.folder, wanted, what=given.what)
    form = compiled_package.load(
        given.folder / PACKAGE,
        arrays,
        found,
        source.batch,
        device=package.device,
        largest=given.largest,
        what=given.what,
    )
    golden = {t.name: a for t, a in zip(form.inputs, arrays, strict=True)}

    def ask(inputs: Mapping[str, Array]) -> dict[str, Array]:
        asked = [inputs[tensor.name] for tensor in form.inputs]
        own = torchscript.answers(source.module, asked, source.batch, what=given.what)
        return _named(form, own)

    return Converted(
        form=form,
        model_file=PACKAGE,
        inputs=golden,
        expected=_named(form, found),
        reference=REFERENCE,
        recorded=recorded(form, given.golden),
        edges=tuple(edges.asked(ask, golden, form.inputs)),
        package=package,
        said=said,
    )


def _named(form: CompiledPackage, found: list[Array]) -> dict[str, Array]:
    return {tensor.name: array for tensor, array in zip(form.outputs, found, strict=True)}


def _exported(given: Given, source: Source, arrays: list[Array]) -> Any:
    if source.scripted:
        raise RejectedError(
            f"{given.what} is TorchScript, which torch.export does not take; write optimize.target: native"
        )
    try:
        return torch_source.exported(source, arrays)
    except Exception as error:  # one class for each reason, of torch's own
        raise RejectedError(
            f"{given.what} cannot be exported by torch.export with a free batch: "
            f"{torch_source.cause(error)}; write optimize.target: native, take that out, or "
            "log it as a program of fixed shapes"
        ) from error
