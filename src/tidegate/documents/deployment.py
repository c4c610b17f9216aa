"""The candidate at 0 % and the incumbent beside it."""

from typing import Any, Literal

from pydantic import Field

from tidegate.documents.base import Document, Strict
from tidegate.documents.model import ModelRepository, Tensor


class Probe(Strict):
    """One question that a served model can be asked, and the version that must answer it."""

    model: str
    inputs: tuple[Tensor, ...]
    version: str


class Incumbent(Strict):
    """What served production before this release, enough to return to it."""

    revision: str
    storage_uri: str
    predictor: dict[str, Any]
    tag_host: str = ""
    version: str = ""
    probe: Probe | None = Field(default=None, description="None: how to ask it is not known")


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
    initial: bool = False
    preview: str = Field(
        default="", description="InferenceService that a first release is judged as"
    )
    isvc_uid: str
    pods: dict[str, int] = Field(
        default_factory=dict, description="Standard mode: revision -> pods once it was staged"
    )
