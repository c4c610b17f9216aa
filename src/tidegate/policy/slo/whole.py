"""All objectives together, and how sure a verdict must be."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tidegate.policy.promql import complaint
from tidegate.policy.section import Section
from tidegate.policy.slo.external import HttpSlo, JobSlo
from tidegate.policy.slo.measured import (
    CostSlo,
    ErrorSlo,
    LatencySlo,
    RelativeLatencySlo,
    ThroughputSlo,
)
from tidegate.policy.slo.queried import CapacitySlo, GpuSlo, PromqlSlo, RestartsSlo

Objective = Annotated[
    LatencySlo
    | RelativeLatencySlo
    | ErrorSlo
    | ThroughputSlo
    | CapacitySlo
    | GpuSlo
    | RestartsSlo
    | CostSlo
    | PromqlSlo
    | HttpSlo
    | JobSlo,
    Field(discriminator="kind"),
]
Source = Literal[
    "auto", "knative", "knative-1.19", "knative-1.18", "istio", "envoy", "triton", "triton-2.51"
]


def _default_objectives() -> tuple[Objective, ...]:
    return (
        ErrorSlo(kind="errors"),
        RelativeLatencySlo(kind="relative_latency", quantile="p50"),
        RelativeLatencySlo(kind="relative_latency", quantile="p95"),
    )


class Slo(Section):
    """What must hold for a promotion. All blocking objectives must PASS."""

    objectives: tuple[Objective, ...] = Field(default_factory=_default_objectives, strict=False)
    alpha_pass: float = Field(default=0.05, gt=0, lt=0.5)
    alpha_fail: float = Field(default=0.01, gt=0, lt=0.5)
    prometheus: bool = Field(default=True, description="Ask Prometheus at all")
    source: Source = Field(
        default="auto",
        description="Who counts live requests; auto: by the mode, and in Knative mode by what Prometheus has",
    )
    metrics: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Names of metrics of your own that queries ask for; unknown ones are refused",
    )

    @model_validator(mode="after")
    def _asks_what_can_be_answered(self) -> "Slo":
        known = frozenset(self.metrics)
        for at, objective in enumerate(self.objectives):
            if isinstance(objective, PromqlSlo):
                wrong = complaint(objective.text, known=known)
                if wrong:
                    raise ValueError(
                        f"objectives.{at}.query = {objective.text!r} ({objective.name}) {wrong}"
                    )
        return self
