"""`policy.yaml`: everything a user decides about a release, with a default that works for each field.

What (thresholds, steps, windows) lives here and is reviewed; where (URLs, credentials) lives in the
environment (`tidegate.config`). Parsing text and fetching the policy are adapters; this is the schema.
"""

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """Base of every section: unknown keys and NaN are refused. YAML's own scalar types are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


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
    allow_pickle: bool = Field(
        default=False, description="Load pickled models; a pickle runs code of whoever wrote it"
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

    target: Literal["onnxruntime", "tensorrt", "native"] = "onnxruntime"
    opset: int = Field(default=18, ge=13, le=22, description="ONNX opset of the converted graph")
    max_ir_version: int = Field(
        default=10, ge=7, le=13, description="Newest ONNX IR the server reads"
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


class Parity(Section):
    """How closely the optimised model must follow its source."""

    default: Tolerance = Field(default_factory=Tolerance)
    outputs: dict[str, Tolerance] = Field(default_factory=dict, description="By output name")
    min_rows: int = Field(
        default=50, ge=1, description="Fewer golden rows than this is INCONCLUSIVE"
    )


class Triton(Section):
    """The model repository and the server it is for."""

    version: str = Field(default="2.51", pattern=r"^\d+\.\d+$", description="Target Triton version")
    model_name: str = Field(
        default="", description="Model name in the URL path; '' = the service's name"
    )
    max_batch_size: int = Field(default=32, ge=0)
    max_queue_delay_us: int = Field(default=0, ge=0)
    max_queue_size: int = Field(default=256, ge=0)
    instances: int = Field(default=1, ge=1)
    instance_kind: Literal["KIND_AUTO", "KIND_CPU", "KIND_GPU"] = "KIND_CPU"
    threads: int = Field(default=1, ge=1, description="intra_op threads per instance")
    warmup: bool = True
    parameters: dict[str, str] = Field(default_factory=dict)


class Serving(Section):
    """The InferenceService's predictor."""

    mode: Literal["auto", "Knative", "Standard"] = "auto"
    runtime: str = "kserve-tritonserver"
    runtime_version: str = Field(
        default="", description="Image tag of the runtime; '' = the runtime's own"
    )
    min_replicas: int = Field(
        default=1, ge=1, description="0 would let the candidate scale away unseen"
    )
    max_replicas: int = Field(default=1, ge=0)
    timeout_s: int = Field(default=60, ge=1, le=600)
    service_account: str = ""
    resources: dict[str, dict[str, str]] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    args: tuple[str, ...] = Field(default=(), strict=False)
    ready_timeout_s: float = Field(default=600, gt=0)


class Load(Section):
    """The load test on the candidate's own URL."""

    protocol: Literal["http", "grpc"] = "http"
    rate_rps: float = Field(
        default=50,
        gt=0,
        description="Load on the candidate; the incumbent gets what its production traffic leaves of it, "
        "so that both serve the same total",
    )
    arrivals: Literal["poisson", "constant"] = "poisson"
    pairs: int = Field(
        default=20, ge=1, description="Candidate/baseline block pairs, in ABBA order"
    )
    block_requests: int = Field(default=1000, ge=1, description="Candidate requests per block")
    max_extensions: int = Field(
        default=0,
        ge=0,
        le=9,
        description="How often an INCONCLUSIVE load test sends its blocks again and adds them; every look "
        "then gets its equal share of the alphas",
    )
    warmup_s: float = Field(default=10, ge=0)
    timeout_s: float = Field(default=5, gt=0)
    max_connections: int = Field(default=64, ge=1)
    check_ratio: float = Field(
        default=1.0, ge=0, le=1, description="Share of answers compared with golden"
    )
    max_duration_s: float = Field(default=3600, gt=0)
    baseline: Literal["matched", "none"] = "matched"
    max_lag_ms: float = Field(default=20, gt=0, description="p99 of the generator's own lateness")
    min_delivered_ratio: float = Field(default=0.98, gt=0, le=1)


class LatencySlo(Section):
    """Absolute: the share of requests slower than the limit is at most 1 - quantile."""

    kind: Literal["latency"]
    name: str = ""
    quantile: float = Field(default=0.99, gt=0, lt=1)
    limit_ms: float = Field(gt=0)
    min_samples: int = Field(default=1000, ge=1)
    severity: Literal["blocking", "warn", "info"] = "blocking"


class RelativeLatencySlo(Section):
    """Non-inferior to the incumbent by at most margin, or by floor_ms where that is more."""

    kind: Literal["relative_latency"]
    name: str = ""
    quantile: Literal["p50", "p95"] = "p50"
    margin: float = Field(default=0.10, gt=0)
    floor_ms: float = Field(
        default=0.0, ge=0, description="A slower quantile within this is not a harm"
    )
    min_pairs: int = Field(default=20, ge=2)
    severity: Literal["blocking", "warn", "info"] = "blocking"


class ErrorSlo(Section):
    """Failed or wrong answers over all requests."""

    kind: Literal["errors"]
    name: str = ""
    limit: float = Field(default=0.001, gt=0, le=1)
    severity: Literal["blocking", "warn", "info"] = "blocking"


class PromqlSlo(Section):
    """Any PromQL that gives one number; `$revision` and `$namespace` are filled in."""

    kind: Literal["promql"]
    name: str = Field(min_length=1)
    query: str
    limit: float
    comparison: Literal["<=", ">="] = "<="
    on_no_data: Literal["INCONCLUSIVE", "INVALID", "FAIL"] = "INCONCLUSIVE"
    severity: Literal["blocking", "warn", "info"] = "blocking"
    live: bool = Field(default=True, description="Also judged at every traffic step")

    @field_validator("query")
    @classmethod
    def _names_the_revision(cls, query: str) -> str:
        if "$revision" not in query:
            raise ValueError(
                'must select one revision; write e.g. {serving_knative_dev_revision="$revision"}'
            )
        return query


Objective = Annotated[
    LatencySlo | RelativeLatencySlo | ErrorSlo | PromqlSlo, Field(discriminator="kind")
]


def _default_objectives() -> tuple[Objective, ...]:
    return (
        ErrorSlo(kind="errors"),
        RelativeLatencySlo(kind="relative_latency", quantile="p50"),
        RelativeLatencySlo(kind="relative_latency", quantile="p95"),
    )


class Slo(Section):
    """What must hold for a promotion. All blocking objectives must PASS."""

    objectives: tuple[Objective, ...] = Field(default_factory=_default_objectives, strict=False)
    alpha_pass: float = Field(default=0.05, gt=0, lt=0.5)
    alpha_fail: float = Field(default=0.01, gt=0, lt=0.5)
    prometheus: bool = Field(default=True, description="Ask Prometheus at all")


class Traffic(Section):
    """How production moves to the candidate."""

    steps: tuple[int, ...] = Field(default=(10, 50, 90, 100), strict=False)
    bake_s: float = Field(default=300, gt=0, description="Observation at each step before the next")
    max_bake_s: float = Field(
        default=1800, gt=0, description="Longest extension while INCONCLUSIVE"
    )
    min_requests: int = Field(
        default=100, ge=1, description="Candidate requests a step must have seen"
    )
    step_timeout_s: float = Field(
        default=120, gt=0, description="For the cluster to apply one step"
    )

    keep_warm_s: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="Knative mode: how long the last pod of this version stays after a later release took "
        "its place, so that a return in the bake after 100 % finds it warm; 0 = as the cluster does",
    )

    @field_validator("steps")
    @classmethod
    def _rising_to_100(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if not steps or steps[-1] != 100:
            raise ValueError("must end in 100; write e.g. [10, 50, 100]")
        if list(steps) != sorted(set(steps)) or steps[0] < 1:
            raise ValueError("must rise from at least 1 without repeats; write e.g. [10, 50, 100]")
        return steps

    @model_validator(mode="after")
    def _bake_fits(self) -> "Traffic":
        if self.max_bake_s < self.bake_s:
            raise ValueError(
                f"max_bake_s {self.max_bake_s:g} is below bake_s {self.bake_s:g}; raise it"
            )
        return self


class ReportTo(Section):
    """Where the report goes besides the run's artifacts."""

    mlflow: bool = Field(
        default=True, description="Tag the model version and log the page to its run"
    )
    webhook_url: str = ""


class Policy(Section):
    """The whole policy."""

    version: Literal[1] = Field(default=1, description="Version of this schema")
    name: str = Field(
        max_length=46,
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        description="The InferenceService",
    )
    namespace: str = Field(
        default="default", pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63
    )
    initial: Literal["preview", "allow", "refuse"] = Field(
        default="preview",
        description="A first release has no incumbent, and KServe then ignores 0 %. preview: it is judged "
        "as an InferenceService of its own, <name>-preview, and only then goes live. allow: live at once",
    )
    adopt: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="Whether an InferenceService that tidegate did not make, or that GitOps or Helm keeps, "
        "is taken over; what that changes is said first",
    )
    busy: Literal["refuse", "wait"] = Field(
        default="refuse", description="What a release does while another one of the service runs"
    )
    busy_timeout_s: float = Field(
        default=3600, gt=0, description="Longest wait for its turn, for busy: wait"
    )
    on_reject: Literal["fail", "succeed"] = Field(
        default="fail", description="Whether a run that did not promote ends red (exit 7)"
    )
    model: Model
    optimize: Optimize = Field(default_factory=Optimize)
    parity: Parity = Field(default_factory=Parity)
    triton: Triton = Field(default_factory=Triton)
    serving: Serving = Field(default_factory=Serving)
    load: Load = Field(default_factory=Load)
    slo: Slo = Field(default_factory=Slo)
    traffic: Traffic = Field(default_factory=Traffic)
    report: ReportTo = Field(default_factory=ReportTo)

    @property
    def triton_model(self) -> str:
        """Name in the URL path."""
        return self.triton.model_name or self.name
