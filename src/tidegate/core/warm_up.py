"""Whether the warm-up is over: the latency of its last windows shows no trend any more.

The test for a trend is Mann's (Nonparametric tests against trend, Econometrica 13, 1945) with Kendall's
exact distribution of S (Rank Correlation Methods, 1975, section 5): no assumption on how latencies are
spread, and one slow window is no trend. A trend that moves the latency by less than a twentieth, or by less
than a tenth of a millisecond, is none that a verdict could feel.
"""

from collections.abc import Sequence
from functools import cache
from itertools import combinations
from math import factorial
from statistics import median

from tidegate.core.load_plan import WINDOWS
from tidegate.core.measured import Measured, quantile

ALPHA = 0.05  # one side
LEAST_CHANGE, LEAST_CHANGE_MS = 0.05, 0.1


def windows_ms(blocks: Sequence[Measured]) -> tuple[float | None, ...]:
    """The median latency of each block; None where nothing was answered."""
    return tuple(quantile(block.latencies_ms, 0.5) for block in blocks)


def is_flat(windows: Sequence[float | None]) -> bool:
    """Whether the last windows show neither a falling nor a rising trend, with the first of them or without
    it (one slow start must not hide a rise); too few, or one without an answer, is not flat."""
    last = [value for value in windows[-WINDOWS:] if value is not None]
    if len(last) < WINDOWS:
        return False
    early, late = median(last[: WINDOWS // 2]), median(last[WINDOWS // 2 :])
    if abs(late - early) <= max(LEAST_CHANGE * early, LEAST_CHANGE_MS):
        return True
    return min(trend_p(last), trend_p(last[1:])) > ALPHA


def trend_p(values: Sequence[float]) -> float:
    """The probability that order alone gives at least as strong a trend, on the side that it goes."""
    s = abs(sum((b > a) - (b < a) for a, b in combinations(values, 2)))
    counts, most = _inversions(len(values)), len(values) * (len(values) - 1) // 2
    at_least = sum(count for inversions, count in enumerate(counts) if most - 2 * inversions >= s)
    return at_least / factorial(len(values))


@cache
def _inversions(n: int) -> tuple[int, ...]:
    """How many orders of n values have 0, 1, 2 ... inversions (Mahonian numbers)."""
    counts = [1]
    for size in range(2, n + 1):
        wider = [0] * (len(counts) + size - 1)
        for at, count in enumerate(counts):
            for more in range(size):
                wider[at + more] += count
        counts = wider
    return tuple(counts)


def told(windows: Sequence[float | None], seconds: float, *, flat: bool) -> str:
    """What the warm-up came to, in words."""
    shown = ", ".join("none" if w is None else f"{w:.1f}" for w in windows[-WINDOWS:])
    ends = "is flat" if flat else "is not flat yet"
    return f"after {seconds:.0f} s of warm-up the p50 of its last windows {ends} ({shown} ms)"
