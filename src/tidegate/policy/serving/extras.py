"""What stands around the predictor: batcher, logger, graph, monitor."""

from typing import Literal, Self

from pydantic import Field, model_validator

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


class GraphStep(Section):
    """One step of a graph: another InferenceService of the namespace."""

    service: str = Field(min_length=1)
    name: str = ""
    weight: int | None = Field(default=None, ge=0, le=100, description="Splitter: its share, in %")
    condition: str = Field(default="", description="Switch and Sequence: a GJSON path")
    data: str = Field(default="", description="Sequence: $request or $response")
    dependency: Literal["Soft", "Hard"] = "Soft"


class Graph(Section):
    """An InferenceGraph that the service is part of; rendered beside it, and left alone by a release."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    router: Literal["Sequence", "Splitter", "Ensemble", "Switch"] = "Sequence"
    steps: tuple[GraphStep, ...] = Field(strict=False, min_length=2)

    @model_validator(mode="after")
    def _fits_its_router(self) -> Self:
        weights = [step.weight for step in self.steps]
        if self.router == "Splitter":
            if None in weights or sum(w or 0 for w in weights) != 100:
                raise ValueError(f"weights {weights} of a Splitter must add up to 100")
        elif any(w is not None for w in weights):
            raise ValueError(f"a weight goes with router: Splitter, not {self.router}")
        if self.router == "Switch" and not all(step.condition for step in self.steps):
            raise ValueError("every step of a Switch needs a condition")
        return self


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
