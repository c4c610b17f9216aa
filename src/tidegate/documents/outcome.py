"""How a release ended, or which step refused it, and all of it in one report."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tidegate.documents.base import Document, Finding, Strict, Subject
from tidegate.documents.deployment import Deployment
from tidegate.documents.evidence import LoadReport, Verdict
from tidegate.documents.model import (
    Candidate,
    FetchedModel,
    ModelRepository,
    OptimizedModel,
    Parity,
    Published,
)
from tidegate.documents.replayable import Evidence
from tidegate.documents.words import Result, Word


class Refusal(Strict):
    """Travels in place of a document once a step has refused; later steps hand it on untouched."""

    schema_version: Literal[1] = 1
    kind: Literal["Refusal"] = "Refusal"
    subject: Subject
    step: str
    word: Word
    reason: str
    findings: tuple[Finding, ...] = ()
    parity: Parity | None = None


class LiveLook(Strict):
    """One look at live traffic during a bake: counts since the step began."""

    at_s: float
    word: Word
    requests: int | None = None
    p99_ms: float | None = None
    message: str = Field(default="", description="Said where the word differs from the look before")


class TrafficStep(Strict):
    """One confirmed change of traffic."""

    at_s: float
    percent: int = Field(ge=0, le=100)
    revision: str
    word: Word
    message: str = ""
    requests: int | None = Field(
        default=None, description="requests the candidate answered meanwhile"
    )
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    looks: tuple[LiveLook, ...] = Field(
        default=(), description="The first, the last, changes of word, and some evenly between"
    )
    findings: tuple[Finding, ...] = Field(
        default=(), description="What the word rests on, each with its interval"
    )
    evidence: dict[str, Any] | None = Field(
        default=None, description="The counts that decided, as `gate --replay` judges them again"
    )


class Outcome(Document):
    """promote, roll-back, guard: how it ended and how production is served now."""

    kind: Literal["Outcome"] = "Outcome"
    release_id: str
    result: Result
    reason: str
    traffic: dict[str, int] = Field(description="revision -> percent at the end")
    traffic_safe: bool | None = Field(
        default=None,
        description="All production on what served before, and seen to answer; None: nothing to return",
    )
    spec_repaired: bool | None = Field(
        default=None, description="The spec asks for what serves; None: it was never changed"
    )
    steps: tuple[TrafficStep, ...] = ()


class ConfigText(Strict):
    """One text that KServe or Triton reads, of both; None: there is none, or it could not be read."""

    name: str
    incumbent: str | None
    candidate: str | None


class Report(Document):
    """report: everything in one machine-readable file.

    guard writes one too, of a run that died: from the journal alone, so without a candidate.
    """

    kind: Literal["Report"] = "Report"
    release_id: str
    result: Result
    reason: str
    candidate: Candidate | None = None
    optimized: OptimizedModel | None = None
    parity: Parity | None = None
    deployment: Deployment | None = None
    load: LoadReport | None = None
    verdict: Verdict | Refusal | None = None
    journal: dict[str, Any] = Field(default_factory=dict)
    configs: tuple[ConfigText, ...] = ()
    unread: tuple[str, ...] = Field(
        default=(), description="configs that could not be read, and why"
    )
    seconds: dict[str, float] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict, description="name -> version, of the run")
    warnings: tuple[str, ...] = Field(default=(), description="what could not be learned or told")


AnyDocument = Annotated[
    Candidate
    | FetchedModel
    | OptimizedModel
    | ModelRepository
    | Published
    | Deployment
    | LoadReport
    | Verdict
    | Evidence
    | Refusal
    | Outcome
    | Report,
    Field(discriminator="kind"),
]
