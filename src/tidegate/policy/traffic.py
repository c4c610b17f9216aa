"""How production moves to the candidate."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tidegate.policy.section import Section


class Exposure(Section):
    """The most that users may see of the candidate in one release, from its first share on."""

    max_requests: int | None = Field(
        default=None,
        ge=1,
        description="Answered by the candidate below 100 %; more ends the release",
    )
    max_errors: int | None = Field(
        default=None, ge=0, description="5xx of the candidate at any share; more is FAIL at once"
    )


class Traffic(Section):
    """How production moves to the candidate."""

    steps: tuple[int, ...] = Field(default=(10, 50, 90, 100), strict=False)
    bake_s: float = Field(default=300, gt=0, description="Observation at each step before the next")
    max_bake_s: float = Field(
        default=1800, gt=0, description="Longest extension while INCONCLUSIVE"
    )
    on_inconclusive: Literal["roll-back", "hold"] = Field(
        default="roll-back",
        description="When max_bake_s is over without a PASS: back to the incumbent, or hold this share for "
        "up to hold_s for evidence or for `tidegate abort`. Only PASS goes on, nobody can approve less",
    )
    hold_s: float = Field(
        default=3600, gt=0, description="Longest hold; then back to the incumbent"
    )
    exposure: Exposure = Field(default_factory=Exposure)
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

    @property
    def longest_bake_s(self) -> float:
        """How long one step may take to judge, a hold included."""
        return self.max_bake_s + (self.hold_s if self.on_inconclusive == "hold" else 0.0)

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
