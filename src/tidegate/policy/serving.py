"""The InferenceService's predictor."""

import re
from typing import Literal

from pydantic import Field, field_validator

from tidegate.policy.section import Section

OWN_RUNTIME = (
    "tidegate-triton"  # the ServingRuntime of deploy/base: a pinned Triton with its metrics on
)


class Serving(Section):
    """The InferenceService's predictor."""

    mode: Literal["auto", "Knative", "Standard"] = "auto"
    runtime: str = Field(
        default=OWN_RUNTIME,
        description="A ServingRuntime of the namespace or the cluster; the default is of deploy/base",
    )
    runtime_version: str = Field(
        default="", description="Image tag of the runtime; '' = the runtime's own"
    )
    min_replicas: int = Field(
        default=1, ge=1, description="0 would let the candidate scale away unseen"
    )
    max_replicas: int = Field(default=1, ge=0)
    timeout_s: int = Field(default=60, ge=1, le=600)
    service_account: str = ""
    resources: dict[str, dict[str, str]] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    args: tuple[str, ...] = Field(default=(), strict=False)
    ready_timeout_s: float = Field(default=600, gt=0)

    @field_validator("args")
    @classmethod
    def _keeps_the_counters(cls, args: tuple[str, ...]) -> tuple[str, ...]:
        for arg in args:
            if re.search(r"counter_latencies\s*=\s*(false|0|off|no)\b", arg, re.IGNORECASE):
                raise ValueError(
                    f"{arg} leaves every counter of Triton at 0, so nothing could be judged; remove it"
                )
            if re.search(r"summary_latencies\s*=\s*(true|1|on|yes)\b", arg, re.IGNORECASE):
                raise ValueError(
                    f"{arg} costs a third of the throughput, and summaries cannot be added over replicas; "
                    "remove it and judge the counters or histograms"
                )
        return args
