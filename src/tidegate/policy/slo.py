"""What must hold for a promotion: objectives, their limits, and how sure a verdict must be."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

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


class PromqlSlo(Section):
    """Any PromQL that gives one number; `$revision` and `$namespace` are filled in."""

    kind: Literal["promql"]
    name: str = Field(min_length=1)
    query: str
    limit: float
    comparison: Literal["<=", ">="] = "<="
    on_no_data: Literal["INCONCLUSIVE", "INVALID", "FAIL"] = "INCONCLUSIVE"
    severity: Literal["blocking", "warn", "info"] = "blocking"
    live: bool = Field(default=True, description="Also judged at every traffic step")

    @field_validator("query")
    @classmethod
    def _names_the_revision(cls, query: str) -> str:
        if "$revision" not in query:
            raise ValueError(
                'must select one revision; write e.g. {serving_knative_dev_revision="$revision"}'
            )
        return query


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
