"""How much load a setting is given: requests in flight, from what saturates it to what keeps the limit."""

from collections.abc import Sequence

from tidegate.core.measured import Measured, quantile
from tidegate.core.tuning.objective import Objective
from tidegate.documents import CurvePoint, Setting

AT_ONCE = 2  # times batch x instances: one batch runs while the next one gathers


def saturating(setting: Setting, most: int) -> int:
    """Requests in flight that keep every instance busy with full batches.

    2 x max_batch_size x instances: Triton's docs/user_guide/optimization.md, and Model Analyzer's
    --use-concurrency-formula. At most `most`.
    """
    return min(most, AT_ONCE * max(1, setting.max_batch_size) * setting.instances)


def next_level(
    levels: Sequence[CurvePoint], setting: Setting, *, most: int, limit_ms: float
) -> int | None:
    """Requests in flight of the next level; None when the levels so far say enough.

    Ends between a level that keeps the limit and one half larger that does not, or where one request alone
    breaks it. By Little's law latency grows with what is in flight, so a level that broke the limit says how
    far to go down.
    """
    if not levels:
        return saturating(setting, most)
    kept = max((one.concurrency for one in levels if one.keeps_limit), default=0)
    broken = min((c for c in _broken(levels)), default=None)
    if broken is None:
        return None
    if _is_doubtful(levels, broken, limit_ms):
        return broken
    if kept:
        return _between(kept, broken)
    if broken == 1:
        return None
    last = next(one for one in levels if one.concurrency == broken)
    fits = broken * limit_ms / last.p99_ms if last.p99_ms else 1.0
    return max(1, _power(min(fits, broken / 2)))


def _between(kept: int, broken: int) -> int | None:
    middle = kept * 3 // 2
    if 2 * kept < broken:
        return 2 * kept
    return middle if kept < middle < broken else None


def _broken(levels: Sequence[CurvePoint]) -> set[int]:
    kept = {one.concurrency for one in levels if one.keeps_limit}
    return {one.concurrency for one in levels} - kept


def _is_doubtful(levels: Sequence[CurvePoint], concurrency: int, limit_ms: float) -> bool:
    """Broken once, and by a tail alone: a single stall of the machine does that, so it is asked again."""
    seen = [one for one in levels if one.concurrency == concurrency]
    return len(seen) == 1 and seen[0].p95_ms is not None and seen[0].p95_ms <= limit_ms


def _power(value: float) -> int:
    """The largest power of two within value; 1 below that."""
    return 1 << max(0, int(value).bit_length() - 1)


def keeps(found: Measured, objective: Objective) -> bool:
    """By what was seen, not by a test: a search compares, and its winner is tested on fresh data."""
    seen = quantile(found.latencies_ms, objective.limit.quantile)
    if seen is None or found.unanswered + found.wrong > objective.max_errors * found.offered:
        return False
    return seen <= objective.limit_ms


def next_fresh_level(levels: Sequence[CurvePoint], first: int) -> int | None:
    """On fresh data: what the search found, then a quarter less until the limit surely holds."""
    if not levels:
        return first
    last = levels[-1]
    return None if last.keeps_limit or last.concurrency == 1 else last.concurrency * 3 // 4
