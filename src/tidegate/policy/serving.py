"""The InferenceService's predictor."""

from typing import Literal

from pydantic import Field

from tidegate.policy.section import Section


class Serving(Section):
    """The InferenceService's predictor."""

    mode: Literal["auto", "Knative", "Standard"] = "auto"
    runtime: str = "kserve-tritonserver"
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
