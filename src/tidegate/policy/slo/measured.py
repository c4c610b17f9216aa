"""Objectives that are judged on the load test's own measurements."""

from typing import Literal

from pydantic import Field

from tidegate.policy.section import Section


class LatencySlo(Section):
    """Absolute: the share of requests slower than the limit is at most 1 - quantile."""

    kind: Literal["latency"]
    name: str = ""
    quantile: float = Field(default=0.99, gt=0, lt=1)
    limit_ms: float = Field(gt=0)
    min_samples: int = Field(default=1000, ge=1)
    severity: Literal["blocking", "warn", "info"] = "blocking"


class RelativeLatencySlo(Section):
    """Non-inferior to the incumbent by at most margin, or by floor_ms where that is more."""

    kind: Literal["relative_latency"]
    name: str = ""
    quantile: Literal["p50", "p95"] = "p50"
    margin: float = Field(default=0.10, gt=0)
    floor_ms: float = Field(
        default=0.0, ge=0, description="A slower quantile within this is not a harm"
    )
    min_pairs: int = Field(default=20, ge=2)
    severity: Literal["blocking", "warn", "info"] = "blocking"


class ErrorSlo(Section):
    """Failed or wrong answers over all requests."""

    kind: Literal["errors"]
    name: str = ""
    limit: float = Field(default=0.001, gt=0, le=1)
    severity: Literal["blocking", "warn", "info"] = "blocking"
