"""The load test on the candidate's own URL."""

from typing import Literal

from pydantic import Field

from tidegate.policy.section import Section


class Load(Section):
    """The load test on the candidate's own URL."""

    protocol: Literal["http", "grpc"] = "http"
    rate_rps: float = Field(
        default=50,
        gt=0,
        description="Load on the candidate; the incumbent gets what its production traffic leaves of it, "
        "so that both serve the same total",
    )
    arrivals: Literal["poisson", "constant"] = "poisson"
    pairs: int = Field(
        default=20, ge=1, description="Candidate/baseline block pairs, in ABBA order"
    )
    block_requests: int = Field(default=1000, ge=1, description="Candidate requests per block")
    max_extensions: int = Field(
        default=3,
        ge=0,
        le=9,
        description="How often an INCONCLUSIVE load test sends its blocks again and adds them; every look "
        "then gets its equal share of the alphas. With none, 20 pairs pass 72 % of equal versions whose "
        "service times scatter as widely as their mean, at half of what the server can take",
    )
    warmup_s: float = Field(default=10, ge=0)
    timeout_s: float = Field(default=5, gt=0)
    max_connections: int = Field(default=64, ge=1)
    check_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of answers compared with golden"
    )
    max_duration_s: float = Field(default=3600, gt=0)
    baseline: Literal["matched", "none"] = "matched"
    max_lag_ms: float = Field(default=20, gt=0, description="p99 of the generator's own lateness")
    min_delivered_ratio: float = Field(default=0.98, gt=0, le=1)
