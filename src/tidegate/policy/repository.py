"""What else the model repository holds: the models before and after the released one, and beside it."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tidegate.policy.load import inside
from tidegate.policy.model import version_uri
from tidegate.policy.section import Section

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"


class Companion(Section):
    """A further model of the repository: another model version, or code in the released one."""

    name: str = Field(pattern=NAME, description="Its name in the server")
    role: Literal["pre", "post", "beside"] = Field(
        default="beside",
        description="pre, post: a step of the ensemble before or after the released model, in this order. "
        "beside: served by the same Triton, and asked by its own name",
    )
    uri: str = Field(
        default="", description="As model.uri; pinned to one version, with a parity gate of its own"
    )
    code: str = Field(
        default="",
        description="In place of uri: a folder in the released version, with model.py for Triton's python "
        "backend and a config.pbtxt that declares its inputs and outputs; needs model.allow_code",
    )
    target: Literal["onnxruntime", "openvino", "native"] = Field(
        default="onnxruntime", description="As optimize.target"
    )
    golden: str = Field(default="golden.npz", description="As model.golden, in that version")
    inputs: dict[str, str] = Field(
        default_factory=dict,
        description="Where its inputs come from: an input of the whole, or <model>.<output>. By default "
        "from an output of the same name, or from the only output of the step before",
    )
    config: str = Field(default="", description="As triton.config, for this model")

    _inside = field_validator("code", "golden")(inside)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.uri) == bool(self.code):
            raise ValueError(f"{self.name}: set either uri or code")
        if self.uri:
            version_uri(self.uri)
        if self.role == "beside" and self.inputs:
            raise ValueError(f"{self.name}: inputs are wired for pre and post alone; drop them")
        return self


class Repository(Section):
    """More models than one, by one Triton. With a pre or post model what is released is an ensemble."""

    models: tuple[Companion, ...] = Field(default=(), strict=False)
    golden: str = Field(
        default="golden-ensemble.npz",
        description="Path inside the model version of the golden data of the ensemble: input.<name> as "
        "clients send them, output.<name> as they must come back, both needed",
    )
    inputs: dict[str, str] = Field(
        default_factory=dict, description="Where the released model's own inputs come from"
    )
    outputs: dict[str, str] = Field(
        default_factory=dict,
        description="Outputs of the ensemble: name -> <model>.<output>; by default all that no later step "
        "takes",
    )

    _inside = field_validator("golden")(inside)

    @model_validator(mode="after")
    def _names_apart(self) -> Self:
        names = [one.name for one in self.models]
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            raise ValueError(f"models: {twice!r} is there twice; give each a name of its own")
        if (self.inputs or self.outputs) and not self.is_ensemble:
            raise ValueError(
                "inputs and outputs are an ensemble's; add a model of role pre or post"
            )
        return self

    @property
    def is_ensemble(self) -> bool:
        """Whether requests pass through more models than one."""
        return any(one.role != "beside" for one in self.models)
