"""How a TensorRT plan is built. https://docs.nvidia.com/deeplearning/tensorrt"""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from tidegate.policy.section import Section

Shape = tuple[int, ...]


class ShapeRange(Section):
    """The shapes of one input that a profile is good for, the batch axis included."""

    min: Shape = Field(strict=False)
    opt: Shape = Field(strict=False)
    max: Shape = Field(strict=False)

    @model_validator(mode="after")
    def _is_a_range(self) -> "ShapeRange":
        if not len(self.min) == len(self.opt) == len(self.max):
            raise ValueError("min, opt and max have different lengths; give each every axis")
        for axis, (low, best, high) in enumerate(zip(self.min, self.opt, self.max, strict=True)):
            if not 0 < low <= best <= high:
                raise ValueError(f"axis {axis} is {low}, {best}, {high}; 1 <= min <= opt <= max")
        return self


class TensorRt(Section):
    """The build of a plan, for optimize.target tensorrt."""

    builder: Literal["python", "trtexec"] = Field(
        default="python", description="Who builds it; trtexec is the command that NGC images ship"
    )
    plan: str = Field(
        default="",
        description="Path inside the model version of a plan that was built by hand; nothing is built then",
    )
    profiles: tuple[dict[str, ShapeRange], ...] = Field(
        default=(),
        strict=False,
        description="Optimisation profiles, each with every input that has a free axis; none = one, of "
        "triton.max_batch_size and the shapes of the golden rows",
    )
    opt_batch_size: int | None = Field(
        default=None,
        ge=1,
        description="The batch it is tuned for; null = the largest of triton.preferred_batch_sizes, else "
        "triton.max_batch_size",
    )
    workspace_mib: int | None = Field(
        default=None, ge=1, description="Most scratch memory of a layer; null = the whole GPU"
    )
    optimization_level: int = Field(
        default=3, ge=0, le=5, description="0 builds fastest, 5 searches longest"
    )
    hardware: Literal["exact", "same_compute_capability", "ampere_plus"] = Field(
        default="exact", description="Which GPUs the plan runs on; more of them, slower on each"
    )
    version_compatible: bool = Field(
        default=False,
        description="Loads in a newer minor of the same major too, where the server is started with "
        "--backend-config=tensorrt,version-compatible=true; slower",
    )
    tf32: bool = Field(
        default=True, description="false: FP32 is computed as FP32, slower and nearer to the source"
    )
    timing_cache: bool = Field(
        default=True, description="Keep tactic timings in TIDEGATE_TENSORRT_CACHE between builds"
    )
    reuse: bool = Field(
        default=True,
        description="Take the plan of an earlier build of the same graph, GPU, TensorRT and flags from "
        "TIDEGATE_TENSORRT_CACHE",
    )
    engine_cache: str = Field(
        default="/tmp/tidegate-tensorrt",  # noqa: S108 - a folder of the serving container
        description="For fallback onnxruntime-tensorrt: where the server keeps the engines that it builds "
        "itself; on a volume they outlive it; '' = nowhere",
    )
    build_timeout_s: float = Field(
        default=7200, gt=0, description="Longest build, after which it is ended"
    )

    @field_validator("plan")
    @classmethod
    def _stays_inside(cls, plan: str) -> str:
        if plan.startswith("/") or ".." in plan.split("/"):
            raise ValueError(f"{plan!r} leaves the model version; give a path inside it")
        return plan

    @model_validator(mode="after")
    def _is_built_or_given(self) -> "TensorRt":
        if self.plan and self.profiles:
            raise ValueError("a plan that is given has its own profiles; drop profiles or plan")
        return self
