"""The candidate at 0 % and the incumbent beside it."""

from typing import Any, Literal

from pydantic import Field

from tidegate.documents.base import Document, Strict
from tidegate.documents.model import ModelRepository, Tensor


class Probe(Strict):
    """One question that a served model can be asked, and the version that must answer it."""

    model: str
    inputs: tuple[Tensor, ...]
    values: dict[str, int | float | str] = Field(
        default_factory=dict,
        description="What an input is asked with that takes no zeros, by its name",
    )
    version: str
    transport: Literal["http", "grpc"] = "http"
    server: Literal["triton", "kserve"] = Field(
        default="triton",
        description="kserve: its answers name no version, so it is asked by a CloudEvent",
    )
    protocol: Literal["v1", "v2"] = "v2"
    sequential: bool = Field(
        default=False, description="Each request is a sequence of its own, begun and ended"
    )
    beside: tuple["Probe", ...] = Field(
        default=(), description="The other models of its server, asked after it"
    )

    @property
    def alone(self) -> "Probe":
        """The same without its neighbours: where what counts is who has the traffic."""
        return self.model_copy(update={"beside": ()})


class Incumbent(Strict):
    """What served production before this release, enough to return to it."""

    revision: str
    storage_uri: str
    predictor: dict[str, Any]
    tag_host: str = ""
    version: str = ""
    probe: Probe | None = Field(default=None, description="None: how to ask it is not known")


class DedicatedBaseline(Strict):
    """A copy of the incumbent that only the load test knows: an InferenceService of its own, of the
    candidate's size, without production traffic."""

    name: str
    revision: str
    host: str = Field(description="Host that reaches it alone")


class Deployment(Document):
    """deploy: the candidate runs at 0 % (or, first release, live) and was proved to."""

    kind: Literal["Deployment"] = "Deployment"
    release_id: str
    name: str
    namespace: str
    mode: Literal["Knative", "Standard"]
    repository: ModelRepository
    storage_uri: str
    candidate_revision: str
    candidate_host: str = Field(description="Host that reaches the candidate alone")
    production_host: str
    incumbent: Incumbent | None
    incumbent_host: str = Field(default="", description="Host that reaches the incumbent")
    baseline: DedicatedBaseline | None = Field(
        default=None, description="Policy load.baseline: dedicated"
    )
    initial: bool = False
    preview: str = Field(
        default="", description="InferenceService that a first release is judged as"
    )
    isvc_uid: str
    preflight: tuple[str, ...] = Field(
        default=(), description="What was wrong with the nodes' GPUs, or could not be read of them"
    )
    pods: dict[str, int] = Field(
        default_factory=dict, description="Revision -> pods once it was staged"
    )

    @property
    def as_measured(self) -> "Deployment":
        """As a load test compares it: the dedicated baseline, where there is one, is the incumbent."""
        if self.baseline is None or self.incumbent is None:
            return self
        copy = self.incumbent.model_copy(update={"revision": self.baseline.revision})
        update = {"incumbent": copy, "incumbent_host": self.baseline.host}
        return self.model_copy(update=update)
