"""What every objective has, and what every objective has that a monitoring system is asked about."""

from abc import abstractmethod
from typing import Literal

from pydantic import Field, model_validator

from tidegate.policy.section import Section

Severity = Literal["blocking", "warn", "report-only"]


class BaseObjective(Section):
    """Its name in findings, and whether its word counts.

    A blocking one must PASS; of one that warns, whatever is not PASS is told with the outcome, in its one
    line of why; report-only is a row of the table and nothing else.
    """

    name: str = ""
    severity: Severity = "blocking"

    @property
    def blocks(self) -> bool:
        """Its word decides."""
        return self.severity == "blocking"

    @property
    def warns(self) -> bool:
        """Its word is told with the outcome."""
        return self.severity == "warn"


class Failing(Section):
    """FAIL takes `looks` of the last `of` looks, `every_s` apart; fewer are INCONCLUSIVE."""

    looks: int = Field(default=1, ge=1)
    of: int = Field(default=1, ge=1, le=20)
    every_s: float = Field(default=15, gt=0, description="At least one scrape interval")

    @model_validator(mode="after")
    def _fits(self) -> "Failing":
        if self.looks > self.of:
            raise ValueError(f"looks {self.looks} is more than of {self.of}; raise `of`")
        return self


class QueriedObjective(BaseObjective):
    """One number that Prometheus gives, with an absolute limit, one relative to the incumbent, or both."""

    limit: float | None = None
    relative: float | None = Field(
        default=None,
        gt=0,
        description="Limit as a multiple of the same number of the incumbent; 1.1 = a tenth more",
    )
    comparison: Literal["<=", ">="] = "<="
    window_s: float = Field(
        default=300,
        gt=0,
        description="Fills $window; never longer than the time since the step, or it would mix two shares",
    )
    min_samples: int = Field(
        default=0, ge=0, description="Requests of the candidate in the window, else INCONCLUSIVE"
    )
    failing: Failing = Field(default_factory=Failing)
    on_no_data: Literal["INCONCLUSIVE", "INVALID", "FAIL"] = "INCONCLUSIVE"
    live: bool = Field(default=True, description="Also judged at every traffic step")

    @property
    @abstractmethod
    def text(self) -> str:
        """The query, placeholders not filled."""

    @model_validator(mode="after")
    def _has_a_limit(self) -> "QueriedObjective":
        if self.limit is None and self.relative is None:
            raise ValueError("has no limit; give limit, relative or both")
        return self
