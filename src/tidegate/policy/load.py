"""The load test on the candidate's own URL."""

import itertools
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tidegate.policy.section import Section

RESERVED_HEADERS = ("host", "content-type", "content-length", "transfer-encoding", "connection")


def inside(path: str) -> str:
    """A path inside the model version. Raises ValueError for any other."""
    parts = PurePosixPath(path)
    if path and (parts.is_absolute() or ".." in parts.parts):
        raise ValueError("must be a path inside the model version, without ..")
    return path


class Recording(Section):
    """When requests arrived in production: a file in the model version, or intervals right here."""

    file: str = Field(default="", description="Path inside the model version; one number a line")
    kind: Literal["timestamps", "intervals"] = "timestamps"
    unit: Literal["s", "ms", "us"] = "s"
    intervals_ms: tuple[float, ...] = Field(default=(), strict=False, max_length=10_000)

    _inside = field_validator("file")(inside)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.file) == bool(self.intervals_ms):
            raise ValueError("set either file or intervals_ms")
        return self


class Curve(Section):
    """Closed-loop levels on the candidate alone, after the judged blocks: its knee and its capacity."""

    concurrencies: tuple[int, ...] = Field(
        default=(1, 2, 4, 8, 16, 32),
        strict=False,
        min_length=1,
        description="Requests in flight, rising; the levels end where the knee or the limit is passed",
    )
    requests: int = Field(default=1000, ge=1, description="Least answers of a level")
    step_s: float = Field(default=3, gt=0, description="Least length of a level")
    max_step_s: float = Field(default=20, gt=0)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        levels = self.concurrencies
        if levels[0] < 1 or any(b <= a for a, b in itertools.pairwise(levels)):
            raise ValueError(f"concurrencies {list(levels)} must rise from 1 or more")
        if self.step_s > self.max_step_s:
            raise ValueError(f"step_s {self.step_s:g} is above max_step_s {self.max_step_s:g}")
        return self


class Guard(Section):
    """Stops the load when production suffers by the policy's absolute objectives, as Prometheus tells."""

    enabled: bool = True
    every_s: float = Field(default=5, gt=0, description="How often Prometheus is asked")
    on_no_data: Literal["stop", "hold"] = Field(
        default="stop", description="hold: send nothing until Prometheus answers, then go on"
    )
    max_hold_s: float = Field(default=120, gt=0)


class Load(Section):
    """The load test on the candidate's own URL."""

    protocol: Literal["http", "grpc"] = "http"
    rate_rps: float = Field(
        default=50,
        gt=0,
        description="Load on the candidate; the incumbent gets what its production traffic leaves of it, "
        "so that both serve the same total; a dedicated baseline gets as much",
    )
    max_rate_rps: float = Field(
        default=5000,
        gt=0,
        description="No part of the test sends more than this, the curve included",
    )
    arrivals: Literal["poisson", "constant", "recorded"] = "poisson"
    recording: Recording | None = Field(
        default=None, description="For arrivals: recorded; stretched so that the rate is rate_rps"
    )
    capture: str = Field(
        default="",
        description="Path inside the model version of captured requests to send instead of golden ones: "
        "JSON lines, KServe's logger events or v2 requests. Their answers are not known, so only checked "
        "to be answers",
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        description="Sent with each request; the host name and TIDEGATE_INGRESS_TOKEN come by themselves",
    )
    pairs: int = Field(
        default=20, ge=1, description="Candidate/baseline block pairs, in ABBA order"
    )
    block_requests: int = Field(default=1000, ge=1, description="Candidate requests per block")
    max_extensions: int = Field(
        default=3,
        ge=0,
        le=9,
        description="How often an INCONCLUSIVE load test sends its blocks again and adds them; every look "
        "then gets its equal share of the alphas. With none, 20 pairs pass 72 % of equal versions whose "
        "service times scatter as widely as their mean, at half of what the server can take",
    )
    warmup_s: float = Field(default=10, ge=0, description="Least warm-up of each arm; 0 = none")
    max_warmup_s: float = Field(
        default=120,
        ge=0,
        description="It goes on until its latency shows no trend, at most so long",
    )
    timeout_s: float = Field(default=5, gt=0)
    max_connections: int = Field(default=64, ge=1, le=4096)
    processes: int = Field(
        default=1, ge=1, le=64, description="Of the generator, where one core is not enough for it"
    )
    check_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of answers compared with golden"
    )
    max_duration_s: float = Field(default=3600, gt=0)
    baseline: Literal["matched", "dedicated", "none"] = Field(
        default="matched",
        description="matched: the incumbent itself, with what production leaves of the candidate's load. "
        "dedicated: a fresh copy of it at the candidate's size, dark, for as long as the load test and its "
        "gate take; it needs the candidate's room once more. none: absolute objectives alone. A first "
        "release has none in any case",
    )
    guard: Guard = Field(default_factory=Guard)
    curve: Curve | None = Field(default=None, description="None: no knee and no capacity")
    cross_check: bool = Field(
        default=False,
        description="Let perf_analyzer, where it is present, measure the curve's best level too (over "
        "http, one window of 5 s and more); it judges nothing",
    )
    max_lag_ms: float = Field(default=20, gt=0, description="p99 of the generator's own lateness")
    min_delivered_ratio: float = Field(default=0.98, gt=0, le=1)

    _inside = field_validator("capture")(inside)

    @field_validator("headers")
    @classmethod
    def _plain(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in RESERVED_HEADERS or not name.replace("-", "").isalnum():
                raise ValueError(f"{name!r} cannot be set; remove it")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"{name!r} has a value that is no printable ASCII")
        return headers

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.rate_rps > self.max_rate_rps:
            raise ValueError(
                f"rate_rps {self.rate_rps:g} is above max_rate_rps {self.max_rate_rps:g}; raise that too"
            )
        if (self.arrivals == "recorded") != (self.recording is not None):
            raise ValueError("arrivals: recorded and recording go together; set both or none")
        if self.processes > self.max_connections:
            raise ValueError(f"processes {self.processes} is above max_connections")
        if self.curve and self.curve.concurrencies[-1] > self.max_connections:
            raise ValueError(
                f"curve.concurrencies end at {self.curve.concurrencies[-1]}, above max_connections "
                f"{self.max_connections}; raise that"
            )
        return self
