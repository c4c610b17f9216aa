"""All objectives together, and how sure a verdict must be."""

from typing import Annotated

from pydantic import Field

from tidegate.policy.section import Section
from tidegate.policy.slo.measured import ErrorSlo, LatencySlo, RelativeLatencySlo
from tidegate.policy.slo.queried import PromqlSlo

Objective = Annotated[
    LatencySlo | RelativeLatencySlo | ErrorSlo | PromqlSlo, Field(discriminator="kind")
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
