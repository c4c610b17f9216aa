"""What stands around the predictor: batcher, logger, monitor."""

from typing import Literal

from pydantic import Field

from tidegate.policy.section import Section


class Batcher(Section):
    """KServe's agent joins requests before the model server; it knows protocol v1 alone."""

    max_batch_size: int = Field(default=32, ge=1)
    max_latency_ms: int = Field(default=50, ge=1)
    timeout_s: int = Field(default=60, ge=1)


class Logger(Section):
    """KServe's agent sends requests and answers to a sink as CloudEvents."""

    url: str = Field(pattern=r"^https?://")
    mode: Literal["all", "request", "response"] = "all"
    metadata_headers: tuple[str, ...] = Field(default=(), strict=False)


class Monitor(Section):
    """How Prometheus' operator finds the service's metrics."""

    kind: Literal["pod", "service", "none"] = Field(
        default="none",
        description="pod: a PodMonitor of the predictors, which alone tells revisions apart. service: a "
        "ServiceMonitor. none: the monitors of deploy/monitoring find every service",
    )
    interval_s: int = Field(default=10, ge=1, le=300)
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels that the Prometheus selects monitors by"
    )
