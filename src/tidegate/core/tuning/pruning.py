"""Settings that cannot be better than what was measured, so that nobody measures them."""

from collections.abc import Iterable

from tidegate.documents import Setting, Trial

NEVER_FULL = "no more requests are in flight within the limit than a smaller batch already holds"
ALONE_TOO_SLOW = "one request alone breaks the limit"
WAITS_TOO_LONG = "one request alone breaks the limit with a shorter queue delay"
REFUSED = "fewer instances already do not load"


def why_not(one: Setting, trials: Iterable[Trial], *, limit_ms: float) -> str:
    """Why a setting needs no measurement; '' when it does.

    Latency does not fall with what is in flight, a batch never holds more than that, and neither a larger
    batch nor another instance makes one request faster: from these three everything here follows. Only a
    limit that is broken by far counts: a p99 alone may be one stall of the machine.
    """
    return next((words for trial in trials if (words := _by(one, trial, limit_ms))), "")


def _by(one: Setting, trial: Trial, limit_ms: float) -> str:
    told = trial.setting
    if told == one:
        return ""
    if trial.refused:
        more = one.instances >= told.instances and one.max_batch_size == told.max_batch_size
        return REFUSED if more and one.threads == told.threads else ""
    if one.threads != told.threads:
        return ""
    broken = [level for level in trial.levels if not level.keeps_limit]
    if any(level.concurrency == 1 and _above(level.p50_ms, limit_ms) for level in broken):
        return _alone(one, told)
    by_far = [level.concurrency for level in broken if _above(level.p95_ms, limit_ms)]
    same = (one.instances, one.queue_delay_us) == (told.instances, told.queue_delay_us)
    if same and by_far and min(by_far) <= told.max_batch_size < one.max_batch_size:
        return NEVER_FULL
    return ""


def _above(value: float | None, limit_ms: float) -> bool:
    return value is not None and value > limit_ms


def _alone(one: Setting, told: Setting) -> str:
    """A request alone waits for the whole queue delay, unless its batch is full with it."""
    if told.max_batch_size <= 1 or told.queue_delay_us == 0:
        return ALONE_TOO_SLOW
    if one.max_batch_size > 1 and one.queue_delay_us >= told.queue_delay_us:
        return WAITS_TOO_LONG
    return ""
