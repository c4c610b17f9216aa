"""What the source answers at the edges of its inputs, asked while it is open.

A large model's source is let go before what is served is opened: both would hold the weights twice.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from tidegate.core.edge_inputs import edge
from tidegate.documents import Tensor
from tidegate.errors import DocumentError, RejectedError
from tidegate.policy.model import EDGES

Array = npt.NDArray[Any]
Ask = Callable[[Mapping[str, Array]], Mapping[str, Array]]
ROWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Some rows of one kind, under the form's names, and the source's answers to them."""

    kind: str
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]


def asked(ask: Ask, inputs: Mapping[str, Array], tensors: Sequence[Tensor]) -> Iterator[Edge]:
    """Each kind that the source answers; it may refuse such numbers itself.

    Args:
        ask: The source's answers to inputs under the form's names.
        inputs: The golden ones, at least a row.
        tensors: The form's inputs, whose first axis may be fixed.
    """
    for kind in EDGES:
        rows = edge(kind, inputs, fixed_rows(tensors) or ROWS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of overflow, which is what is looked for
                answers = ask(rows)
        except (RejectedError, DocumentError, ValueError):
            continue
        yield Edge(kind=kind, inputs=rows, expected=answers)


def fixed_rows(tensors: Sequence[Tensor]) -> int:
    """The only number of rows that they take at once; 0 = any."""
    return max((t.shape[0] for t in tensors if t.shape and t.shape[0] > 0), default=0)
