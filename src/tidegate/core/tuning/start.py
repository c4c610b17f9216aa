"""Where a search begins: computed from how long batches take on one instance."""

from collections.abc import Mapping, Sequence
from math import ceil

from tidegate.core.tuning.space import Space, snapped
from tidegate.documents import Setting

ENOUGH = 0.9  # of the best capacity: a larger batch costs latency for little
OF_THE_LIMIT = 0.4  # one batch waits for the one before it, and then runs itself
SPARE = 1.25


def first_setting(
    service_ms: Mapping[int, float],
    space: Space,
    *,
    limit_ms: float,
    cores: int,
    rate_rps: float = 0.0,
) -> Setting:
    """The smallest batch b whose capacity b / t(b) is nearly the best and that takes at most 0.4 x the limit;
    ceil(1.25 x rate / capacity) instances, at most as many as there are cores for; no queue delay.

    `service_ms` is t(b) by batch size on one thread; without a rate every core gets an instance. One thread
    each, since a second instance helps where a second thread may not; where one row alone takes more than its
    part of the limit, all threads that there are, since only they make it faster.
    """
    in_time = [size for size, ms in service_ms.items() if ms <= OF_THE_LIMIT * limit_ms]
    batch = _smallest(service_ms, in_time) if in_time else min(service_ms)
    threads = space.threads[0 if in_time else -1]
    most = max(1, cores // threads)
    wanted = most
    if rate_rps:
        per_instance = 1000 * max(1, batch) / service_ms[batch]
        wanted = min(most, ceil(SPARE * rate_rps / per_instance))
    start = Setting(max_batch_size=batch, instances=wanted, threads=threads, queue_delay_us=0)
    return snapped(space, start)


def _smallest(service_ms: Mapping[int, float], in_time: Sequence[int]) -> int:
    capacity = {size: max(1, size) / service_ms[size] for size in in_time}
    best = max(capacity.values())
    return min(size for size in in_time if capacity[size] >= ENOUGH * best)
