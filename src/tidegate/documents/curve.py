"""How throughput and latency of the candidate go together, and the most that it can carry."""

from pydantic import Field

from tidegate.documents.base import Strict


class CurvePoint(Strict):
    """One closed-loop level: always `concurrency` requests in flight, the next sent when one is answered.

    Latencies in ms count from the actual send: nothing is due in a closed loop, so they are lower than
    those of blocks at the same rate, and are compared with other points only.
    """

    concurrency: int = Field(ge=1)
    duration_s: float
    requests: int
    errors: int
    wrong: int
    throughput_rps: float = Field(description="good answers a second")
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    keeps_limit: bool | None = Field(
        default=None, description="the limit surely holds, surely does not, or (None) is not known"
    )


class CrossCheck(Strict):
    """What another client measured at one level, beside our own point of the curve. It judges nothing."""

    client: str
    concurrency: int = Field(ge=1)
    throughput_rps: float | None = Field(description="None: it could not measure, and says why")
    p50_ms: float | None = None
    p99_ms: float | None = None
    message: str = ""


class Capacity(Strict):
    """The highest rate that the candidate sustained, all replicas together, with its latency in the limit."""

    rate_rps: float | None = Field(description="None: no level surely kept the limit")
    replicas: int = Field(ge=1)
    quantile: float = Field(description="of the latency objective; 0.99 without one")
    limit_ms: float | None = Field(description="None: no latency objective, so the knee alone")
    is_lower_bound: bool = Field(
        description="the levels ended before the limit or the knee, so it may carry more"
    )
    message: str
