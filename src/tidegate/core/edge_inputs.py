"""Inputs at the edges of what a model may be sent, and what is asked of its answers there. Pure.

Beyond the golden rows nothing says what is right. What can be said: where the source gives a number, so
must what is served. Lower precision breaks there first: fp16 ends at 65504.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.documents import OutputParity, Word

Array = npt.NDArray[Any]
LARGE = 1000.0  # times the largest golden magnitude


def edge(kind: str, inputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """`rows` rows of this kind: every float input at an edge, other inputs as they are golden.

    The second half has the opposite sign.
    """
    some = {name: _taken(array, rows) for name, array in inputs.items()}
    return {
        name: _at(kind, array, inputs[name]) if array.dtype.kind == "f" else array
        for name, array in some.items()
    }


def _taken(array: Array, rows: int) -> Array:
    """As many rows as are wanted, in turn."""
    return np.asarray(array[np.arange(rows) % len(array)])


def tiled(arrays: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """The same rows again and again, up to `rows` of them."""
    return {name: _taken(array, rows) for name, array in arrays.items()}


def _at(kind: str, some: Array, golden: Array) -> Array:
    kept = np.isfinite(golden)
    largest = float(np.abs(golden[kept]).max(initial=1.0))
    limits = np.finfo(some.dtype)
    size = {
        "zeros": 0.0,
        "tiny": float(limits.smallest_subnormal),
        "extremes": largest,
        "large": min(largest * LARGE, float(limits.max)),
        "greatest": float(limits.max),
    }[kind]
    made = np.full(some.shape, size, some.dtype)
    made[(len(made) + 1) // 2 :] *= -1  # of one row none is turned
    return made


def judge_edge(
    kind: str, measured: Mapping[str, Array], expected: Mapping[str, Array], *, counts: bool
) -> OutputParity:
    """FAIL where the source gives a finite number and the candidate none; `counts`: the policy asks."""
    broken, compared = list[str](), 0
    for name, source in expected.items():
        if source.dtype.kind != "f":
            continue
        finite = np.isfinite(source)
        compared += int(finite.sum())
        found = measured.get(name)
        if found is None or found.shape != source.shape:
            broken.append(f"output {name} is missing or of another shape")
        elif lost := int((finite & ~np.isfinite(found.astype(np.float64))).sum()):
            broken.append(f"{lost} values of {name} are NaN or infinite, the source's are finite")
    word = Word.FAIL if broken and counts else Word.PASS
    said = "; ".join(broken) or f"{compared} finite answers of the source are finite"
    noted = "" if counts or not broken else " (not in parity.edges, so it is only told)"
    return OutputParity(
        output=f"edge inputs: {kind}", word=word, compared=compared,
        message=f"on {kind} inputs {said}{noted}",
    )  # fmt: skip
