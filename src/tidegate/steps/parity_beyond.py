"""What the parity gate asks beyond golden rows: inputs at the edges, and batches of each size."""

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tidegate.documents import OutputParity, Word
from tidegate.errors import DocumentError, RejectedError
from tidegate.policy import Policy
from tidegate.policy.model import EDGES

if TYPE_CHECKING:
    from tidegate.adapters.flavors.conversion import Converted

EDGE_ROWS = 4


def checks(converted: "Converted", policy: Policy) -> tuple[OutputParity, ...]:
    """One finding for each kind of edge and each size of batch."""
    return (*_edges(converted, policy), *_batches(converted, policy))


def _fixed(converted: "Converted") -> int:
    """The only number of rows that the form takes at once; 0 = any."""
    first = [tensor.shape[0] for tensor in converted.form.inputs if tensor.shape]
    return max((size for size in first if size > 0), default=0)


def _edges(converted: "Converted", policy: Policy) -> Iterator[OutputParity]:
    from tidegate.core.edge_inputs import edge, judge_edge

    if converted.ask is None:
        return
    for kind in EDGES:
        rows = edge(kind, converted.inputs, _fixed(converted) or EDGE_ROWS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of overflow, which is what is looked for
                expected = converted.ask(rows)
        except (RejectedError, DocumentError, ValueError):
            continue  # the source itself refuses such numbers
        counts = kind in policy.parity.edges
        try:
            yield judge_edge(kind, converted.form.run(rows), expected, counts=counts)
        except RejectedError as error:
            word = Word.FAIL if counts else Word.PASS
            message = f"on {kind} inputs it fails and the source does not: {error}"
            yield OutputParity(
                output=f"edge inputs: {kind}", word=word, compared=0, message=message
            )


def _batches(converted: "Converted", policy: Policy) -> Iterator[OutputParity]:
    """One row, half of the most, the most, and one more: that one refused or right, never wrong."""
    most = policy.triton.max_batch_size
    if _fixed(converted) or most == 0:
        return
    for size in sorted({1, max(1, most // 2), most, most + 1}):
        yield _batch(converted, policy, size, is_beyond=size > most)


def _batch(converted: "Converted", policy: Policy, size: int, *, is_beyond: bool) -> OutputParity:
    from tidegate.core import parity
    from tidegate.core.edge_inputs import tiled

    name = f"batches of {size}"
    try:
        measured = converted.form.run(tiled(converted.inputs, size))
    except RejectedError as error:
        word = Word.PASS if is_beyond else Word.FAIL
        return OutputParity(output=name, word=word, compared=0, message=f"{name}: refused: {error}")
    rules = policy.parity.model_copy(update={"min_rows": 1})
    found = parity.judge(measured, tiled(converted.expected, size), rules)
    bad = [one.message for one in found if one.word is Word.FAIL]
    compared = sum(one.compared for one in found)
    message = f"{name}: {'; '.join(bad) or 'as one by one'}"
    return OutputParity(
        output=name, word=Word.FAIL if bad else Word.PASS, compared=compared, message=message
    )
