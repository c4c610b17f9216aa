"""The GPU of one replica: whole ones, MIG slices, or a share of a time-sliced one."""

import re
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from tidegate.policy.section import Section

PROFILE = re.compile(
    r"[1-7]g\.\d+gb(\.me)?"
)  # the GPU Operator's resource names of strategy `mixed`


class Gpu(Section):
    """Which device of NVIDIA's plugin one replica asks for, and how many."""

    kind: Literal["whole", "mig", "shared", "mig-shared"] = Field(
        default="whole",
        description="whole: nvidia.com/gpu. mig: a slice of its own, isolated in memory and faults (MIG "
        "strategy mixed). shared: a time-sliced GPU, isolated in nothing (plugin with renameByDefault). "
        "mig-shared: time slices of a MIG slice",
    )
    profile: str = Field(default="", description="MIG: such as 1g.10gb, as the node names it")
    count: int = Field(default=1, ge=1, le=16)
    product: str = Field(
        default="",
        description="Label nvidia.com/gpu.product of the nodes, such as NVIDIA-A100-SXM4-80GB; a plan of "
        "TensorRT runs on the product that built it alone",
    )
    min_compute_capability: str = Field(
        default="", pattern=r"^(\d+\.\d)?$", description="Such as 8.0; '' = any"
    )

    @model_validator(mode="before")
    @classmethod
    def _named_now(cls, held: object) -> object:
        if isinstance(held, Mapping) and "preflight" in held:
            raise ValueError("preflight is serving.preflight now; write it there, beside gpu")
        return held

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sliced = self.kind.startswith("mig")
        if sliced and not PROFILE.fullmatch(self.profile):
            raise ValueError(
                f"profile {self.profile!r} is no MIG profile; write e.g. 1g.10gb for kind {self.kind}"
            )
        if not sliced and self.profile:
            raise ValueError(f"profile {self.profile} goes with kind: mig, not {self.kind}")
        if self.kind.endswith("shared") and self.count > 1:
            raise ValueError(
                f"count {self.count} of a shared GPU gives no more of it; write count: 1 (the plugin "
                "refuses more with failRequestsGreaterThanOne)"
            )
        return self

    @property
    def resource(self) -> str:
        """The extended resource's name."""
        base = f"nvidia.com/mig-{self.profile}" if self.profile else "nvidia.com/gpu"
        return f"{base}.shared" if self.kind.endswith("shared") else base

    @property
    def limits(self) -> dict[str, str]:
        """What goes into the container's limits."""
        return {self.resource: str(self.count)}
