"""Which model is released, how it is converted and judged, and the repository it goes into."""

import re
from typing import Literal

from pydantic import Field, field_validator

from tidegate.policy.section import Section


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

    @field_validator("uri")
    @classmethod
    def _known_scheme(cls, uri: str) -> str:
        if not re.match(r"^(models:/[^/@]+(@[^/@]+|/\d+)|runs:/[^/]+/.+)$", uri):
            raise ValueError("write models:/name@alias, models:/name/version or runs:/run_id/path")
        return uri


class Optimize(Section):
    """How the model is converted."""

    target: Literal["onnxruntime", "openvino", "native", "tensorrt"] = Field(
        default="onnxruntime",
        description="What serves it. native: trees by FIL, PyTorch as TorchScript, a python function by "
        "the python backend; docs/routes.md has every flavor",
    )
    precision: Literal["source", "int8"] = Field(
        default="source",
        description="int8: weights and activations quantized in the graph, calibrated on model.calibration; "
        "parity then needs tolerances of your own",
    )
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


class Parity(Section):
    """How closely the optimised model must follow its source."""

    default: Tolerance = Field(default_factory=Tolerance)
    outputs: dict[str, Tolerance] = Field(default_factory=dict, description="By output name")
    min_rows: int = Field(
        default=50, ge=1, description="Fewer golden rows than this is INCONCLUSIVE"
    )
