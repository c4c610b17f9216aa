"""What tune measured: the space, every setting that was tried, and the winner on fresh data."""

from typing import Literal

from pydantic import Field

from tidegate.documents.base import Strict
from tidegate.documents.curve import CurvePoint

Origin = Literal["start", "search", "finalist", "sweep", "fresh data"]


class Setting(Strict):
    """One point of the space: how a model is served."""

    max_batch_size: int = Field(ge=0, description="0: the model cannot be batched")
    instances: int = Field(ge=1)
    queue_delay_us: int = Field(ge=0)
    threads: int = Field(ge=1, description="intra-op, of each instance")

    def __str__(self) -> str:
        delay = f", delay {self.queue_delay_us} us" if self.queue_delay_us else ""
        return (
            f"batch {self.max_batch_size} x {self.instances} instance(s) x {self.threads} "
            f"thread(s){delay}"
        )


class Trial(Strict):
    """One measurement of one setting: the levels of load that it was given, in the order they were sent.

    A level's `keeps_limit` is by its own observed quantile in a search; on fresh data it is the gate's
    exceedance test, and None where there were too few requests to be sure.
    """

    setting: Setting
    origin: Origin
    levels: tuple[CurvePoint, ...] = ()
    refused: str = Field(default="", description="Why the server did not load it; '' = it did")
    client_bound: bool = Field(
        default=False,
        description="The generator had no time left at a level: the server may do more",
    )

    @property
    def best(self) -> CurvePoint | None:
        """The level with the highest throughput that kept the limit."""
        kept = [level for level in self.levels if level.keeps_limit]
        return max(kept, key=lambda level: level.throughput_rps, default=None)

    @property
    def rps(self) -> float:
        """Good answers a second within the limit; 0 when no level kept it."""
        return self.best.throughput_rps if self.best else 0.0

    @property
    def nearest(self) -> CurvePoint | None:
        """The level with the lowest p99, kept or not."""
        answered = [level for level in self.levels if level.p99_ms is not None]
        return min(answered, key=lambda level: level.p99_ms or 0.0, default=None)


class OpenLoop(Strict):
    """The winner under arrivals that do not wait for answers; latency counts from the intended start."""

    rate_rps: float
    share: float = Field(description="of the closed loop's throughput")
    requests: int
    errors: int
    p50_ms: float | None
    p99_ms: float | None
    keeps_limit: bool
    client_bound: str = Field(
        default="", description="Why the generator was not fit to judge it; '' = it was"
    )


class ServiceTime(Strict):
    """How long one request of so many rows takes alone, on one instance."""

    rows: int = Field(ge=1)
    ms: float


class Tuning(Strict):
    """The whole search as it went."""

    schema_version: Literal[1] = 1
    model: str
    server: str
    limit_quantile: float
    limit_ms: float
    max_error_share: float
    space: tuple[Setting, ...]
    budget: int = Field(description="Measurements of settings that the search was given")
    measured: int = Field(description="and those that it took: probe, search and finalists")
    service_times: tuple[ServiceTime, ...] = ()
    start: Setting
    trials: tuple[Trial, ...]
    pruned: dict[str, int] = Field(description="Settings that needed no measurement, by reason")
    winner: Setting | None = None
    confirmed: Trial | None = Field(default=None, description="The winner on rows of its own")
    open_loop: tuple[OpenLoop, ...] = ()
    reason: str
