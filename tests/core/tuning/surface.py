"""A machine that is a formula: what a setting would measure, so that a search can be judged without one."""

from dataclasses import dataclass

from tidegate.core.tuning import levels
from tidegate.core.tuning.space import Space, powers
from tidegate.documents import CurvePoint, Setting, Trial

SPACE = Space(
    max_batch_size=powers(64),
    instances=(1, 2, 4),
    threads=(1, 2),
    queue_delay_us=(0, 300, 1200),
    most_threads=4,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """A batch of n rows takes `fixed_ms + row_ms x n`, less by what a second thread saves; instances beyond
    the cores take turns. Latency by Little's law, with a tail of half as much again."""

    fixed_ms: float
    row_ms: float
    cores: int
    saved: float  # by the second thread: 0 nothing, 0.5 everything
    limit_ms: float

    def service_ms(self, rows: int, threads: int) -> float:
        return (self.fixed_ms + self.row_ms * rows) * (1 - self.saved * (threads > 1))

    def level(self, setting: Setting, concurrency: int) -> CurvePoint:
        busy = min(setting.instances, concurrency)
        shares = max(1.0, busy * setting.threads / self.cores)
        rows = max(1, min(setting.max_batch_size, concurrency // setting.instances or 1))
        service = self.service_ms(rows, setting.threads) * shares
        waits = setting.queue_delay_us / 1000 if rows < setting.max_batch_size else 0.0
        rps = 1000 * rows * busy / (service + waits)
        p50 = 1000 * concurrency / rps
        return CurvePoint(
            concurrency=concurrency, duration_s=1.0, requests=1000, errors=0, wrong=0,
            throughput_rps=rps, p50_ms=p50, p95_ms=1.3 * p50, p99_ms=1.5 * p50,
            keeps_limit=1.5 * p50 <= self.limit_ms,
        )  # fmt: skip

    def trial(self, setting: Setting) -> Trial:
        seen: list[CurvePoint] = []
        while (
            count := levels.next_level(seen, setting, most=256, limit_ms=self.limit_ms)
        ) is not None:
            seen.append(self.level(setting, count))
        return Trial(setting=setting, origin="search", levels=tuple(seen))

    def best_rps(self) -> float:
        return max(self.trial(one).rps for one in SPACE.settings())
