"""Objectives that are judged on what a monitoring system says."""

from typing import Literal

from pydantic import Field, field_validator

from tidegate.policy.section import Section


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
