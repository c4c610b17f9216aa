"""Objectives that are judged on the load test's own measurements."""

from typing import Literal

from pydantic import Field

from tidegate.policy.slo.objective import BaseObjective


class LatencySlo(BaseObjective):
    """Absolute: the share of requests slower than the limit is at most 1 - quantile."""

    kind: Literal["latency"]
    quantile: float = Field(default=0.99, gt=0, lt=1)
    limit_ms: float = Field(gt=0)
    min_samples: int = Field(default=1000, ge=1)


class RelativeLatencySlo(BaseObjective):
    """Non-inferior to the incumbent by at most margin, or by floor_ms where that is more."""

    kind: Literal["relative_latency"]
    quantile: Literal["p50", "p95"] = "p50"
    margin: float = Field(default=0.10, gt=0)
    floor_ms: float = Field(
        default=0.0, ge=0, description="A slower quantile within this is not a harm"
    )
    min_pairs: int = Field(default=20, ge=2)


class ErrorSlo(BaseObjective):
    """Failed or wrong answers over all requests."""

    kind: Literal["errors"]
    limit: float = Field(default=0.001, gt=0, le=1)


class ThroughputSlo(BaseObjective):
    """The rate that all replicas of the load test sustained within the latency limit (needs load.curve)."""

    kind: Literal["throughput"]
    limit_rps: float = Field(gt=0)


class CostSlo(BaseObjective):
    """Price of 1,000 inferences at the capacity: price per hour / (requests per second * 3.6)."""

    kind: Literal["cost"]
    gpu_hour: float = Field(gt=0, description="Price of one GPU for one hour, in any currency")
    gpus: float = Field(
        default=1, gt=0, description="GPUs per replica; a share of one counts as that"
    )
    limit: float = Field(gt=0, description="Per 1,000 inferences")
