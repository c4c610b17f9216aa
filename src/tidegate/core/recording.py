"""Recorded arrivals: how requests were spread in production, kept while the rate is the policy's."""

import itertools
import math
from collections.abc import Sequence

from tidegate.errors import DocumentError

UNITS_S = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def intervals(values: Sequence[float], *, kind: str, unit: str, what: str) -> tuple[float, ...]:
    """Seconds between arrivals, from timestamps in order or from intervals. Raises DocumentError."""
    scale = UNITS_S[unit]
    if kind == "timestamps":
        values = tuple(later - earlier for earlier, later in itertools.pairwise(values))
    for number, value in enumerate(values, 2 if kind == "timestamps" else 1):
        if not math.isfinite(value) or value < 0:
            why = "is before the one above it" if kind == "timestamps" else f"is {value:g}"
            raise DocumentError(f"{what}: arrival {number} {why}; write them in order of time")
    if not values or not sum(values) > 0:
        raise DocumentError(f"{what}: {len(values)} intervals of no length; record more arrivals")
    return tuple(scale * value for value in values)


def stretch(
    recorded: Sequence[float], *, first: int, requests: int, duration_s: float
) -> tuple[float, ...]:
    """`requests` starts in seconds from 0, as recorded from arrival `first` on and again from the beginning
    when the recording ends, stretched to the duration. Where it has no length, they are evenly spread."""
    taken = [recorded[(first + n) % len(recorded)] for n in range(requests)]
    total = sum(taken)
    if total <= 0:
        return tuple(duration_s * n / requests for n in range(requests))
    ends = itertools.accumulate(taken[:-1], initial=0.0)
    return tuple(min(duration_s, duration_s * end / total) for end in ends)
