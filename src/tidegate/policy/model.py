"""Which model is released, how it is converted and judged, and the repository it goes into."""

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from tidegate.policy.aoti import Aoti
from tidegate.policy.load import inside
from tidegate.policy.section import Section
from tidegate.policy.tensorrt import TensorRt

URI = re.compile(r"models:/[^/@]+(@[^/@]+|/\d+)|runs:/[^/]+/.+")


def version_uri(uri: str) -> str:
    """The same. Raises ValueError where it names no model version."""
    if not URI.fullmatch(uri):
        raise ValueError("write models:/name@alias, models:/name/version or runs:/run_id/path")
    return uri


class Model(Section):
    """Which model is released."""

    uri: str = Field(
        description="models:/name@alias, models:/name/version or runs:/run_id/path; the pipeline's "
        "model_uri parameter overrides it",
    )
    golden: str = Field(
        default="golden.npz",
        description="Path inside the model version of the golden data: arrays input.<name> and, "
        "optionally, output.<name>; without the file the model's input example is used",
    )
    calibration: str = Field(
        default="calibration.npz",
        description="Path inside the model version of the rows that int8 is calibrated on: arrays "
        "input.<name>; none of them may be a golden row",
    )
    allow_pickle: bool = Field(
        default=False, description="Load pickled models; a pickle runs code of whoever wrote it"
    )
    allow_code: bool = Field(
        default=False,
        description="Serve a python function: code of whoever logged it runs in the server",
    )
    alias: str = Field(
        default="champion",
        description="Registry alias moved to the version once promoted; '' = none",
    )

    _uri = field_validator("uri")(version_uri)
    _inside = field_validator("golden", "calibration")(inside)


Rung = Literal["onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime"]
RUNGS: tuple[Rung, ...] = ("onnxruntime-tensorrt", "onnxruntime-cuda", "onnxruntime")


class Optimize(Section):
    """How the model is converted."""

    target: Literal["onnxruntime", "openvino", "native", "tensorrt", "aoti"] = Field(
        default="onnxruntime",
        description="What serves it. native: trees by FIL, PyTorch as TorchScript, a python function by "
        "the python backend; aoti: PyTorch compiled by AOTInductor; docs/routes.md has every flavor",
    )
    precision: Literal["source", "fp16", "bf16", "int8", "fp8"] = Field(
        default="source",
        description="In the graph. int8, fp8: weights and activations quantized, calibrated on "
        "model.calibration; fp16, bf16: what AutoCast finds safe; parity then needs tolerances of your own",
    )
    quantizer: Literal["auto", "onnxruntime", "modelopt"] = Field(
        default="auto",
        description="Who writes int8. auto: onnxruntime for target onnxruntime, else modelopt, which writes "
        "every other precision, in an environment of its own (docs/precision.md)",
    )
    fallback: tuple[Rung, ...] = Field(
        default=(),
        strict=False,
        description="For target tensorrt: what is tried next, in this order, where no plan can be built or "
        "it answers otherwise; each step down is told with its reason. None = refused",
    )
    tensorrt: TensorRt = Field(default_factory=TensorRt)
    aoti: Aoti = Field(default_factory=Aoti)
    opset: int = Field(
        default=18,
        ge=13,
        le=22,
        description="ONNX opset of the converted graph; by default no newer than triton.version reads",
    )
    max_ir_version: int = Field(
        default=10,
        ge=7,
        le=13,
        description="Newest ONNX IR the server reads; by default what triton.version does, if older",
    )

    @model_validator(mode="after")
    def _steps_down_only(self) -> "Optimize":
        if self.fallback and self.target != "tensorrt":
            raise ValueError(
                f"fallback is for target tensorrt, not {self.target}; write target: tensorrt, or drop it"
            )
        order = [RUNGS.index(rung) for rung in self.fallback]
        if order != sorted(set(order)):
            raise ValueError(
                f"fallback is {', '.join(self.fallback)}; name each once, in the order {', '.join(RUNGS)}"
            )
        return self

    @model_validator(mode="after")
    def _knows_who_quantizes(self) -> "Optimize":
        if self.quantizer == "onnxruntime" and self.precision not in {"source", "int8"}:
            raise ValueError(
                f"quantizer onnxruntime writes int8, not {self.precision}; write auto or modelopt"
            )
        return self


class Tolerance(Section):
    """When two outputs count as equal."""

    atol: float = Field(default=1e-4, ge=0)
    rtol: float = Field(default=1e-3, ge=0)
    max_mismatch_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Share of values allowed outside"
    )
    min_cosine: float = Field(default=0.999, ge=-1, le=1)
    min_agreement: float = Field(
        default=0.995, ge=0, le=1, description="Share of labels that must be equal"
    )
    min_top1: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="For scores, a column per class: share of rows with the same largest; null = not asked",
    )
    max_ulp: int | None = Field(
        default=None,
        ge=0,
        description="For floats: most representable numbers between the two; null = not asked",
    )


EdgeKind = Literal["zeros", "tiny", "extremes", "large", "greatest"]
EDGES: tuple[EdgeKind, ...] = ("zeros", "tiny", "extremes", "large", "greatest")


class Parity(Section):
    """How closely the optimised model must follow its source."""

    default: Tolerance = Field(default_factory=Tolerance)
    outputs: dict[str, Tolerance] = Field(default_factory=dict, description="By output name")
    min_rows: int = Field(
        default=50, ge=1, description="Fewer golden rows than this is INCONCLUSIVE"
    )
    signature: Literal["compatible", "break"] = Field(
        default="compatible",
        description="compatible: every input and output of the incumbent stays, by name, type and rank",
    )
    accuracy_margin: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="With label.<output> in the golden data: share of rows that may be lost to the "
        "incumbent; of a number, by which its mean error may grow",
    )
    edges: tuple[EdgeKind, ...] = Field(
        default=("zeros", "tiny", "extremes", "large"),
        strict=False,
        description="Where a finite answer of the source must stay finite; greatest: the type's own end",
    )
