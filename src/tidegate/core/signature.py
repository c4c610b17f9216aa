"""Whether clients of the incumbent can go on asking the candidate: by name, type and rank. Pure."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from tidegate.documents import Tensor


class Signature(Protocol):
    """What a served model takes and gives; shapes with the batch axis, -1 = any size."""

    @property
    def inputs(self) -> Sequence[Tensor]:
        """What it must be sent."""

    @property
    def outputs(self) -> Sequence[Tensor]:
        """What it can be asked for."""


def breaking(before: Signature, after: Signature) -> tuple[str, ...]:
    """What a client of `before` would trip over, in words; more outputs than before are no break."""
    known = {tensor.name for tensor in before.inputs}
    new = (
        f"input {tensor.name} is new, and no client sends it"
        for tensor in after.inputs
        if tensor.name not in known
    )
    return (
        *_lost("input", before.inputs, after.inputs),
        *new,
        *_lost("output", before.outputs, after.outputs),
    )


def _lost(kind: str, before: Sequence[Tensor], after: Sequence[Tensor]) -> Iterator[str]:
    found = {tensor.name: tensor for tensor in after}
    for tensor in before:
        there = found.get(tensor.name)
        if there is None:
            yield f"{kind} {tensor.name} is gone"
        elif there.dtype != tensor.dtype:
            yield f"{kind} {tensor.name} was {tensor.dtype} and is {there.dtype}"
        elif not _fits(kind, tensor.shape, there.shape):
            yield f"{kind} {tensor.name} was {list(tensor.shape)} and is {list(there.shape)}"


def _fits(kind: str, before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """An input may take more sizes than before, an output may give fewer; never another rank or size."""
    if len(before) != len(after):
        return False
    free = after if kind == "input" else before
    return all(a == b or f == -1 for a, b, f in zip(before, after, free, strict=True))
