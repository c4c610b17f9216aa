"""What configure checks and tells of a model that AOTInductor compiled."""

from pathlib import Path

from tidegate.core import lint
from tidegate.core.aoti import instructions
from tidegate.documents import Finding, OptimizedModel, Word
from tidegate.errors import DocumentError
from tidegate.policy import Policy


def package(model: OptimizedModel, tree: Path) -> lint.Package | None:
    """The package as it lies there: it is asked again, so that no document is believed over the bytes.

    None where the model is none. Raises DocumentError where they differ.
    """
    if model.package is None:
        return None
    from tidegate.adapters.aoti import archive

    said = archive.metadata(tree / model.model_file)
    found = (said.get(archive.TORCH, ""), said.get(archive.DEVICE, ""))
    if found != (model.package.torch, model.package.device):
        raise DocumentError(
            f"{model.model_file} is of torch {found[0] or 'unknown'} for {found[1] or 'unknown'}, its "
            f"document says {model.package.torch} for {model.package.device}; use the folder and the "
            "document of one run"
        )
    return lint.Package(torch=found[0], device=found[1])


def notes(model: OptimizedModel, policy: Policy) -> tuple[Finding, ...]:
    """What the server does not do with it, and which machines it needs; served all the same."""
    if model.package is None:
        return ()
    told = [
        "Triton batches no AOTInductor packages yet: a request is one execution, of as many rows as it has"
    ]
    if model.package.device == "cpu":
        told.append(instructions.told(model.package.cpu, model.package.vectors))
    if "threads" in policy.triton.model_fields_set:
        told.append(
            "triton.threads is not said: of a package Triton reads no parameter; set OMP_NUM_THREADS in the "
            "serving container"
        )
    return tuple(
        Finding(name="configure", word=Word.INCONCLUSIVE, message=one, blocking=False)
        for one in told
        if one
    )
