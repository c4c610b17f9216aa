"""Whether rows that a precision is calibrated on are rows that it is judged by. Pure."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def shared_rows(calibration: Mapping[str, Array], golden: Mapping[str, Array]) -> tuple[int, ...]:
    """Numbers of the golden rows whose bytes are a calibration row's too.

    Both hold the same inputs in the same types, first axis rows. A model that was fitted to the very rows
    it is judged by looks better than it is.
    """
    known = set(_digests(calibration))
    return tuple(row for row, digest in enumerate(_digests(golden)) if digest in known)


def _digests(inputs: Mapping[str, Array]) -> list[str]:
    arrays = [np.ascontiguousarray(inputs[name]) for name in sorted(inputs)]
    rows = len(arrays[0]) if arrays else 0
    return [
        sha256(b"|".join(_bytes(one[row]) for one in arrays)).hexdigest() for row in range(rows)
    ]


def _bytes(row: Any) -> bytes:
    """-0.0 is 0.0 here: equal rows are the same row."""
    array = np.asarray(row)
    return (array + 0 if array.dtype.kind == "f" else array).tobytes()
