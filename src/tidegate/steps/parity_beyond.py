"""What the parity gate asks beyond golden rows: inputs at the edges, other lengths, batches of each size."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tidegate.documents import OutputParity, Word
from tidegate.errors import RejectedError
from tidegate.policy import Policy

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Converted


def checks(converted: "Converted", policy: Policy) -> tuple[OutputParity, ...]:
    """One finding for each kind of edge, each size of batch, and each size of another free axis."""
    return (*_edges(converted, policy), *_batches(converted, policy), *_shapes(converted, policy))


def _edges(converted: "Converted", policy: Policy) -> Iterator[OutputParity]:
    from tidegate.core.edge_inputs import judge_edge

    for at in converted.edges:
        counts = at.kind in policy.parity.edges
        try:
            yield judge_edge(at.kind, converted.form.run(at.inputs), at.expected, counts=counts)
        except RejectedError as error:
            word = Word.FAIL if counts else Word.PASS
            message = f"on {at.kind} inputs it fails and the source does not: {error}"
            yield OutputParity(
                output=f"edge inputs: {at.kind}", word=word, compared=0, message=message
            )


def _shapes(converted: "Converted", policy: Policy) -> Iterator[OutputParity]:
    """Rows of other sizes than the golden ones, by the same tolerances; too large ones are told."""
    for at in converted.shapes:
        try:
            measured = converted.form.run(at.inputs)
        except RejectedError as error:
            word = Word.FAIL if at.expected else Word.PASS
            message = f"it fails and the source does not: {error}"
            if not at.expected:
                message = "refused, as by the source"
            yield OutputParity(
                output=at.kind, word=word, compared=0, message=f"{at.kind}: {message}"
            )
        else:
            yield _sized(at.kind, measured, at.expected, policy)


def _sized(
    kind: str, measured: Mapping[str, Any], expected: Mapping[str, Any], policy: Policy
) -> OutputParity:
    """Without an expected answer nothing is right: whoever sends it must be kept from it."""
    if expected:
        return _found(kind, measured, expected, policy, "as by the source")
    message = f"{kind}: answered, which the source refuses: cut what is longer before the model"
    return OutputParity(output=kind, word=Word.PASS, compared=0, message=message)


def _batches(converted: "Converted", policy: Policy) -> Iterator[OutputParity]:
    """One row, half of the most, the most, and one more: that one refused or right, never wrong."""
    from tidegate.adapters.flavors.edges import fixed_rows

    most = policy.triton.max_batch_size
    if fixed_rows(converted.form.inputs) or most == 0:
        return
    for size in sorted({1, max(1, most // 2), most, most + 1}):
        yield _batch(converted, policy, size, is_beyond=size > most)


def _batch(converted: "Converted", policy: Policy, size: int, *, is_beyond: bool) -> OutputParity:
    from tidegate.core.edge_inputs import tiled

    name = f"batches of {size}"
    try:
        measured = converted.form.run(tiled(converted.inputs, size))
    except RejectedError as error:
        word = Word.PASS if is_beyond else Word.FAIL
        return OutputParity(output=name, word=word, compared=0, message=f"{name}: refused: {error}")
    return _found(name, measured, tiled(converted.expected, size), policy, "as one by one")


def _found(
    name: str,
    measured: Mapping[str, Any],
    expected: Mapping[str, Any],
    policy: Policy,
    well: str,
) -> OutputParity:
    """By the policy's tolerances; so few rows are enough to be wrong."""
    from tidegate.core import parity

    rules = policy.parity.model_copy(update={"min_rows": 1})
    found = parity.judge(measured, expected, rules)
    bad = [one.message for one in found if one.word is Word.FAIL]
    compared = sum(one.compared for one in found)
    message = f"{name}: {'; '.join(bad) or well}"
    return OutputParity(
        output=name, word=Word.FAIL if bad else Word.PASS, compared=compared, message=message
    )
