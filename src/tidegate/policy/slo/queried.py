"""Objectives that are judged on what a monitoring system says."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tidegate.policy.presets import query_of
from tidegate.policy.slo.objective import BaseObjective, QueriedObjective


class PromqlSlo(QueriedObjective):
    """Any PromQL that gives one number about the candidate, or a preset's query by name.

    Placeholders: $revision, $incumbent, $pods, $namespace, $name and $window, never in braces.
    """

    kind: Literal["promql"]
    name: str = Field(min_length=1)
    query: str = ""
    preset: str = Field(default="", description="source/query, e.g. triton/queue_share")

    @field_validator("preset")
    @classmethod
    def _known(cls, preset: str) -> str:
        if preset:
            query_of(preset)
        return preset

    @model_validator(mode="after")
    def _asks_one_thing(self) -> "PromqlSlo":
        if bool(self.query) == bool(self.preset):
            raise ValueError("give either query or preset")
        return self

    @property
    def text(self) -> str:
        """The query, placeholders not filled."""
        return self.query or query_of(self.preset)


class GpuSlo(QueriedObjective):
    """How busy or how full the GPUs of the candidate's pods are, 0 to 1: the mean utilisation of all, the
    fullest memory of any."""

    kind: Literal["gpu"]
    measure: Literal["utilisation", "memory"] = "memory"
    source: Literal["dcgm", "triton"] = "dcgm"

    @property
    def text(self) -> str:
        """The query, placeholders not filled."""
        return query_of(f"{self.source}/gpu_{self.measure}")


class RestartsSlo(BaseObjective):
    """How often containers of the candidate's pods were started again since the traffic step began.

    Judged at every look of a bake; without such an objective the limit is 0, and blocking.
    """

    kind: Literal["restarts"]
    limit: int = Field(default=0, ge=0)


class CapacitySlo(BaseObjective):
    """What all replicas can carry at the latency limit covers production's peak and some headroom.

    The peak is the highest rate of the whole service, over five minutes, that Prometheus has seen.
    """

    kind: Literal["capacity"]
    headroom: float = Field(default=1.2, ge=1, description="Times the peak")
    peak_window_s: float = Field(
        default=7 * 86400, ge=600, description="How far back the peak is looked for"
    )
    replicas: int = Field(default=0, ge=0, description="0 = serving.max_replicas, or min_replicas")
    on_no_data: Literal["INCONCLUSIVE", "INVALID", "FAIL"] = "INCONCLUSIVE"
