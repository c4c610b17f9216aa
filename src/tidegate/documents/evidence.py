"""What was measured of both, and the word on it."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from tidegate.documents.base import Document, Finding, Strict
from tidegate.documents.curve import Capacity, CrossCheck, CurvePoint
from tidegate.documents.words import Word


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
    service: str = Field(
        default="", description="Its own InferenceService, where it is a dedicated baseline"
    )
    requests: int
    errors: int
    wrong: int
    rate_rps: float
    total_rate_rps: float = Field(description="load plus production traffic per replica")
    replicas: int = Field(default=1, ge=1)
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
    cpu_share: float = Field(description="of one core, all its processes together")
    delivered_ratio: float
    processes: int = Field(default=1, ge=1)
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
    findings: tuple[Finding, ...] = Field(
        default=(), description="what the test itself found to be wrong with its evidence"
    )
    curve: tuple[CurvePoint, ...] = Field(
        default=(), description="throughput and latency by concurrency; candidate only"
    )
    capacity: Capacity | None = Field(default=None, description="None: no curve was asked for")
    cross_check: CrossCheck | None = Field(
        default=None, description="None: no other client was asked for, or there is none"
    )


class Verdict(Document):
    """gate: the word, and every finding behind it."""

    kind: Literal["Verdict"] = "Verdict"
    release_id: str
    stage: str
    word: Word
    reason: str
    findings: tuple[Finding, ...]
