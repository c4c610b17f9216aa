"""What stands before or beside the model: a transformer, an explainer."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tidegate.policy.section import Section
from tidegate.policy.serving.resources import Resources, checked

RESERVED_ENV = ("PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION")  # VAL:302-354
STORAGE_ENV = "STORAGE_URI"
VALUES: dict[str, tuple[type, ...]] = {
    "BOOL": (), "BYTES": (str,), "FP": (int, float), "INT": (int,), "UINT": (int,),
}  # fmt: skip
SERVERS_PORTS = (8080, 9000, 8002)  # of Triton in the same pod: HTTP, gRPC, metrics (deploy/base)


def plain_env(env: dict[str, str]) -> dict[str, str]:
    """The same. Raises ValueError for a name that KServe or Knative sets itself."""
    for name in env:
        if name in RESERVED_ENV:
            raise ValueError(f"{name} is reserved by Knative; choose another name")
    return env


class Container(Section):
    """A container of the user's own image."""

    image: str = Field(min_length=1)
    command: tuple[str, ...] = Field(default=(), strict=False)
    args: tuple[str, ...] = Field(default=(), strict=False)
    env: dict[str, str] = Field(default_factory=dict)
    resources: Resources = Field(default_factory=dict)
    port: int = Field(default=8080, ge=1024, le=65535, description="Where it listens")
    ready_path: str = Field(
        default="/v2/health/ready", pattern=r"^/", description="Answers 200 once it can serve"
    )

    _env = field_validator("env")(plain_env)
    _resources = field_validator("resources")(checked)


class Input(Section):
    """One tensor that the transformer takes; the release asks it with one row of zeros, or of `value`."""

    name: str
    datatype: str = Field(pattern=r"^(BOOL|U?INT(8|16|32|64)|FP(16|32|64)|BYTES)$")
    shape: tuple[int, ...] = Field(strict=False, description="-1 = any; the batch comes first")
    value: int | float | str | None = Field(
        default=None,
        description="What the release asks with in place of zeros, such as the id of an entity that is "
        "always there; none: 0, or ''",
    )

    @model_validator(mode="after")
    def _value_of_its_type(self) -> Self:
        kind = next(kind for prefix, kind in VALUES.items() if self.datatype.startswith(prefix))
        if self.value is not None and not isinstance(self.value, kind):
            raise ValueError(
                f"value {self.value!r} of input {self.name!r} is no {self.datatype}; write one that is, "
                "or leave it away for zeros"
            )
        return self


class Replicated(Section):
    """Bounds of a component that is a deployment of its own."""

    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if 0 < self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas {self.max_replicas} is below min_replicas {self.min_replicas}; raise it"
            )
        return self


class Transformer(Container, Replicated):
    """Pre- and post-processing.

    KServe counts a canary's percent per component, and a transformer of its own calls whichever predictor
    the split gives it (kserve#1669). So the safe place is the predictor's own pod, where both are one
    version; one of its own stays as it is over a release.
    """

    collocated: bool = Field(
        default=True,
        description="true: a container in the predictor's pod, released with the model. false: a component "
        "of its own (Knative mode), which a release does not change",
    )
    inputs: tuple[Input, ...] = Field(
        default=(),
        strict=False,
        description="Collocated: what clients send to it; () = what the model itself takes",
    )

    @model_validator(mode="after")
    def _of_its_place(self) -> Self:
        if self.collocated and (self.min_replicas, self.max_replicas) != (1, 1):
            raise ValueError(
                "a collocated transformer has the predictor's replicas; remove min_replicas and max_replicas"
            )
        if self.collocated and self.port in SERVERS_PORTS:
            raise ValueError(
                f"port {self.port} is the model server's in the same pod; let the transformer listen on "
                "another, such as 8081"
            )
        if STORAGE_ENV in self.env and self.collocated:
            raise ValueError(
                f"env.{STORAGE_ENV} is refused beside a predictor (VAL:670-682); remove it"
            )
        if self.inputs and not self.collocated:
            raise ValueError("inputs are asked of a collocated transformer alone; remove them")
        return self


class Explainer(Replicated):
    """Answers `:explain`; predictions do not pass it. A component of its own."""

    image: str = Field(default="", description="A custom explainer; '' = art")
    art: Literal["", "SquareAttack"] = Field(default="", description="KServe's own explainer")
    config: dict[str, str] = Field(default_factory=dict, description="Of art")
    command: tuple[str, ...] = Field(default=(), strict=False)
    args: tuple[str, ...] = Field(default=(), strict=False)
    env: dict[str, str] = Field(default_factory=dict)
    resources: Resources = Field(default_factory=dict)

    _env = field_validator("env")(plain_env)
    _resources = field_validator("resources")(checked)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.image) == bool(self.art):
            raise ValueError("set either image or art")
        if self.art and (self.args or self.command):
            raise ValueError("args and command go with image; art takes config")
        if self.image and self.config:
            raise ValueError("config goes with art; a custom explainer takes args and env")
        return self
