"""How production moves to the candidate."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tidegate.policy.section import Section


class Traffic(Section):
    """How production moves to the candidate."""

    steps: tuple[int, ...] = Field(default=(10, 50, 90, 100), strict=False)
    bake_s: float = Field(default=300, gt=0, description="Observation at each step before the next")
    max_bake_s: float = Field(
        default=1800, gt=0, description="Longest extension while INCONCLUSIVE"
    )
    min_requests: int = Field(
        default=100, ge=1, description="Candidate requests a step must have seen"
    )
    step_timeout_s: float = Field(
        default=120, gt=0, description="For the cluster to apply one step"
    )

    approval: Literal["none", "manual"] = Field(
        default="none",
        description="manual: what passed the gate waits at 0 % for `tidegate approve`",
    )
    approval_timeout_s: float = Field(
        default=86400, gt=0, le=604800, description="Nobody answered within this: not promoted"
    )

    keep_warm_s: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="Knative mode: how long the last pod of this version stays after a later release took "
        "its place, so that a return in the bake after 100 % finds it warm; 0 = as the cluster does",
    )

    @field_validator("steps")
    @classmethod
    def _rising_to_100(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if not steps or steps[-1] != 100:
            raise ValueError("must end in 100; write e.g. [10, 50, 100]")
        if list(steps) != sorted(set(steps)) or steps[0] < 1:
            raise ValueError("must rise from at least 1 without repeats; write e.g. [10, 50, 100]")
        return steps

    @model_validator(mode="after")
    def _bake_fits(self) -> "Traffic":
        if self.max_bake_s < self.bake_s:
            raise ValueError(
                f"max_bake_s {self.max_bake_s:g} is below bake_s {self.bake_s:g}; raise it"
            )
        return self
