"""The documents that cross a step boundary: what each must say, and whom it is about.

Strict and versioned: an unknown key, "1" for 1, NaN, or another schema version is refused, because a
document that is nearly right is how a release judges the wrong model. No I/O here; files are read and
written by `tidegate.adapters.files`.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1


class Word(StrEnum):
    """The words a release can say. Only PASS promotes."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    UNCHANGED = "UNCHANGED"


SEVERITY = (Word.PASS, Word.UNCHANGED, Word.INCONCLUSIVE, Word.INVALID, Word.FAIL)


def worst(*words: Word) -> Word:
    """The most severe word, PASS < UNCHANGED < INCONCLUSIVE < INVALID < FAIL; of nothing INCONCLUSIVE."""
    return max(words, key=SEVERITY.index, default=Word.INCONCLUSIVE)


class Result(StrEnum):
    """How a release ended."""

    PROMOTED = "PROMOTED"
    ROLLED_BACK = "ROLLED_BACK"  # the candidate had been staged and is gone again
    REJECTED = "REJECTED"  # refused before the cluster was touched
    UNCHANGED = "UNCHANGED"  # this very version is already in production
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    DIED = "DIED"  # the run broke; the guard returned the traffic
    ABORTED = "ABORTED"  # a person ended it, and the traffic was returned


class Strict(BaseModel):
    """Base of every document part."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Subject(Strict):
    """The one model version a document speaks about."""

    model: str = Field(min_length=1)
    version: str = Field(min_length=1)
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="sha256 of the MLmodel file")

    def __str__(self) -> str:
        return f"{self.model} version {self.version}"


class Document(Strict):
    """Base of every document."""

    schema_version: Literal[1] = 1
    subject: Subject


class Finding(Strict):
    """One judged thing: what was seen, what was allowed, and the word."""

    name: str
    word: Word
    observed: float | None = None
    limit: float | None = None
    unit: str = ""
    message: str
    blocking: bool = True
    samples: int | None = None
    query: str = ""


class Candidate(Document):
    """resolve: one immutable model version."""

    kind: Literal["Candidate"] = "Candidate"
    uri: str
    requested_uri: str
    run_id: str = ""
    flavors: tuple[str, ...]
    artifact_uri: str
    signature: str = ""
    created_ms: int | None = None


class TreeFile(Strict):
    """One file of a tree: path relative with forward slashes, size in bytes, sha256 hex."""

    path: str
    size: int = Field(ge=0)
    sha256: str


class FetchedModel(Document):
    """fetch: the downloaded files of the version and their digest."""

    kind: Literal["FetchedModel"] = "FetchedModel"
    flavor: str
    files: tuple[TreeFile, ...]
    tree_digest: str


class Tensor(Strict):
    """A tensor of the optimised graph. dtype in Triton's words without TYPE_ (FP32, INT64, STRING …);
    shape with -1 for symbolic axes, the batch axis included."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class OutputParity(Strict):
    """How one output compares with the source model on the golden inputs."""

    output: str
    word: Word
    compared: int = Field(ge=0, description="values compared")
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    mismatch_ratio: float | None = None
    cosine: float | None = None
    agreement: float | None = Field(default=None, description="share of equal labels")
    agreement_lower: float | None = Field(default=None, description="95 % lower bound of it")
    message: str


class Parity(Strict):
    """The parity gate's evidence."""

    word: Word
    reference: str = Field(description="what the optimised model was compared with")
    golden: str = Field(description="where the golden inputs came from")
    golden_digest: str
    rows: int = Field(ge=0)
    outputs: tuple[OutputParity, ...]


class OptimizedModel(Document):
    """optimize: the graph to serve, proven equal to its source.

    The tree beside it holds `model.onnx` (and its external data) and `golden.npz`: the golden inputs as
    `input.<name>` and the source model's answers as `output.<name>`, first axis rows.
    """

    kind: Literal["OptimizedModel"] = "OptimizedModel"
    target: str
    tree_digest: str
    model_file: str
    opset: int
    ir_version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    labels: tuple[str, ...] = ()
    parity: Parity
    tools: dict[str, str] = Field(default_factory=dict, description="name -> version")


class ModelRepository(Document):
    """configure: a Triton model repository. The tree beside it IS the repository root."""

    kind: Literal["ModelRepository"] = "ModelRepository"
    triton_model: str
    triton_version: str
    model_version: str = Field(description="Triton's version directory = the registry version")
    backend: str
    max_batch_size: int = Field(ge=0)
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    digest: str
    findings: tuple[Finding, ...] = ()


class Published(Document):
    """publish: the immutable place the repository can be read from."""

    kind: Literal["Published"] = "Published"
    repository: ModelRepository
    storage_uri: str = Field(pattern=r"/$")
    uploaded: bool


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


class Arm(StrEnum):
    """Which of the two a block of load went to."""

    CANDIDATE = "candidate"
    BASELINE = "baseline"


class Block(Strict):
    """One block of requests to one arm. Latencies in ms count from the intended start."""

    arm: Arm
    pair: int = Field(ge=0)
    started_s: float = Field(description="Unix time")
    duration_s: float
    offered: int
    delivered: int
    errors: int
    wrong: int = Field(description="answers that differ from the golden ones")
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ArmSummary(Strict):
    """All blocks of one arm together."""

    arm: Arm
    host: str
    revision: str
    requests: int
    errors: int
    wrong: int
    rate_rps: float
    total_rate_rps: float = Field(description="load plus production traffic per replica")
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    latencies_ms: tuple[float, ...] = Field(
        description="every answered request, in order of its start"
    )
    revisions_seen: dict[str, int] = Field(default_factory=dict)


class Generator(Strict):
    """Whether the load generator itself was fit to judge."""

    lag_p99_ms: float
    cpu_share: float
    delivered_ratio: float
    saturated: bool
    message: str = ""


class LoadReport(Document):
    """load-test: what was sent, to whom, and what came back."""

    kind: Literal["LoadReport"] = "LoadReport"
    release_id: str
    started_s: float
    ended_s: float
    protocol: Literal["http", "grpc"]
    candidate: ArmSummary
    baseline: ArmSummary | None
    blocks: tuple[Block, ...]
    generator: Generator
    fairness: str = Field(description="how the two arms were made comparable, or why they are not")
    fair: bool
    reduced: str = Field(default="", description="how this is less than the default evidence")


class Verdict(Document):
    """gate: the word, and every finding behind it."""

    kind: Literal["Verdict"] = "Verdict"
    release_id: str
    stage: str
    word: Word
    reason: str
    findings: tuple[Finding, ...]


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


class Report(Document):
    """report: everything in one machine-readable file."""

    kind: Literal["Report"] = "Report"
    release_id: str
    result: Result
    reason: str
    candidate: Candidate
    parity: Parity | None = None
    deployment: Deployment | None = None
    load: LoadReport | None = None
    verdict: Verdict | Refusal | None = None
    journal: dict[str, Any] = Field(default_factory=dict)
    seconds: dict[str, float] = Field(default_factory=dict)


AnyDocument = Annotated[
    Candidate
    | FetchedModel
    | OptimizedModel
    | ModelRepository
    | Published
    | Deployment
    | LoadReport
    | Verdict
    | Refusal
    | Outcome
    | Report,
    Field(discriminator="kind"),
]
