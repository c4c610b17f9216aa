"""The InferenceService, and what stands beside it."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from tidegate.policy.section import Section
from tidegate.policy.serving.component import Explainer, Transformer, plain_env
from tidegate.policy.serving.extras import Batcher, Logger, Monitor
from tidegate.policy.serving.formats import PREDICT_PROBA, SERVERS, TRITON
from tidegate.policy.serving.gpu import Gpu
from tidegate.policy.serving.graph import Graph
from tidegate.policy.serving.modes import unsupported
from tidegate.policy.serving.placement import Placement
from tidegate.policy.serving.resources import Resources, checked
from tidegate.policy.serving.scaling import Scaling

OWN_RUNTIME = (
    "tidegate-triton"  # the ServingRuntime of deploy/base: a pinned Triton with its metrics on
)
SPOKEN = ("v2", "v1")


class Serving(Section):
    """The InferenceService, and what stands beside it. All of it but graph and monitor is released: a change
    of any field is a release of its own, judged like another model."""

    mode: Literal["auto", "Knative", "Standard"] = "auto"
    format: Literal[
        "triton", "sklearn", "xgboost", "lightgbm", "pytorch", "tensorflow", "openvino", "onnx",
        "huggingface",
    ] = Field(
        default="triton",
        description="What the served folder holds. sklearn, xgboost, lightgbm: the model as its framework "
        "saves it, released by KServe's own server. All others but triton are rendered (tidegate render) and "
        "not released",
    )  # fmt: skip
    format_version: str = Field(default="", description="An exact string to KServe: 1.14 is not 1")
    runtime: str = Field(
        default=OWN_RUNTIME,
        description="A ServingRuntime of the namespace or the cluster; the default is of deploy/base, and of "
        "sklearn, xgboost and lightgbm KServe's own. With another format than triton '' lets KServe choose",
    )
    runtime_version: str = Field(
        default="", description="Image tag of the runtime; '' = the runtime's own"
    )
    protocol: Literal["v1", "v2"] = Field(
        default="v2", description="v1: :predict and :explain, which Triton does not speak"
    )
    port: Literal["http", "grpc"] = Field(
        default="http",
        description="Knative mode has one port. grpc: the runtime's gRPC port (9000) as h2c",
    )
    min_replicas: int = Field(
        default=1,
        ge=0,
        description="0: none while nothing is asked (KPA), for which every idle pause ends in a cold start",
    )
    max_replicas: int = Field(default=1, ge=0, description="0 = no bound")
    scaling: Scaling | None = Field(default=None, description="null = KServe's default of the mode")
    concurrency: int = Field(
        default=0, ge=0, description="Requests in one pod at once, in Knative mode; 0 = any number"
    )
    timeout_s: int = Field(default=60, ge=1, le=600)
    service_account: str = ""
    storage_key: str = Field(
        default="", description="Entry of the Secret storage-config with the bucket's credentials"
    )
    resources: Resources = Field(default_factory=dict)
    gpu: Gpu | None = None
    placement: Placement = Field(default_factory=Placement)
    preflight: Literal["auto", "refuse", "report"] = Field(
        default="auto",
        description="What deploy does before its first write when the nodes have no room for the pods of the "
        "release, or may not be read. refuse: is refused, also when the pods that are there may not be read. "
        "report: goes on and says so, for a cluster that adds nodes when pods ask for them. auto: is refused "
        "where a pod asks for a device, such as a GPU; asks nothing of the nodes where none does",
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Of the pods, so that metrics can be selected by them"
    )
    args: tuple[str, ...] = Field(default=(), strict=False)
    env: dict[str, str] = Field(default_factory=dict)
    transformer: Transformer | None = None
    explainer: Explainer | None = None
    batcher: Batcher | None = None
    logger: Logger | None = None
    graph: Graph | None = None
    monitor: Monitor = Field(default_factory=Monitor)
    ready_timeout_s: float = Field(default=600, gt=0)

    _env = field_validator("env")(plain_env)
    _resources = field_validator("resources")(checked)

    @field_validator("args")
    @classmethod
    def _keeps_the_counters(cls, args: tuple[str, ...]) -> tuple[str, ...]:
        for arg in args:
            if re.search(r"counter_latencies\s*=\s*(false|0|off|no)\b", arg, re.IGNORECASE):
                raise ValueError(
                    f"{arg} leaves every counter of Triton at 0, so nothing could be judged; remove it"
                )
            if re.search(r"summary_latencies\s*=\s*(true|1|on|yes)\b", arg, re.IGNORECASE):
                raise ValueError(
                    f"{arg} costs a third of the throughput, and summaries cannot be added over replicas; "
                    "remove it and judge the counters or histograms"
                )
        return args

    @model_validator(mode="after")
    def _speaks(self) -> Self:
        if self.format == TRITON and self.protocol == "v1":
            raise ValueError("protocol v1 is not spoken by Triton; write v2, or another format")
        if self.batcher and self.protocol == "v2":
            raise ValueError(
                "batcher joins v1 requests alone; let Triton batch (triton.max_batch_size and "
                "max_queue_delay_us), or write protocol: v1 with another format"
            )
        if self.port == "grpc" and self.protocol == "v1":
            raise ValueError("port: grpc speaks v2; write protocol: v2")
        if self.port == "grpc" and self.transformer and self.transformer.collocated:
            raise ValueError(
                "port: grpc is the model's, and a collocated transformer takes the pod's one port; write "
                "port: http"
            )
        if (
            self.format != TRITON
            and self.runtime == OWN_RUNTIME
            and "runtime" in self.model_fields_set
        ):
            raise ValueError(
                f"runtime {OWN_RUNTIME} serves Triton's repositories; name another, or ''"
            )
        return self

    @model_validator(mode="after")
    def _scales(self) -> Self:
        if 0 < self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas {self.max_replicas} is below min_replicas {self.min_replicas}; raise it"
            )
        if self.min_replicas == 0 and (self.scaling is None or self.scaling.kind != "kpa"):
            raise ValueError(
                "min_replicas 0 is Knative's autoscaler's to do; write scaling: {kind: kpa}, or "
                "min_replicas: 1"
            )
        if self.scaling and self.scaling.kind == "keda" and self.min_replicas != 1:
            raise ValueError(
                f"min_replicas {self.min_replicas} beside KEDA would be counted by nobody in a canary, whose "
                "pods KServe then leaves alone; write 1, the ScaledObject goes on from there"
            )
        initial = getattr(self.scaling, "initial_scale", None)
        if initial and 0 < self.max_replicas < initial:
            raise ValueError(
                f"scaling.initial_scale {initial} is above max_replicas {self.max_replicas}; lower it"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.gpu and self.gpu.resource in self.resources.get("limits", {}):
            raise ValueError(
                f"resources.limits names {self.gpu.resource}, which gpu asks for already"
            )
        if reason := unsupported(self, self.mode):
            raise ValueError(reason)
        return self

    @property
    def served_by(self) -> str:
        """The runtime's name; '' = KServe chooses one by the format."""
        if self.format != TRITON and self.runtime == OWN_RUNTIME:
            return SERVERS.get(self.format, "")
        return self.runtime

    @property
    def by_kserve(self) -> bool:
        """Whether one of KServe's own Python servers serves it."""
        return self.format in SERVERS

    @property
    def asks_for_scores(self) -> bool:
        """Whether KServe's scikit-learn server answers by predict_proba."""
        return self.format == "sklearn" and self.env.get(PREDICT_PROBA, "").lower() == "true"

    @property
    def sizes(self) -> Resources:
        """The model container's requests and limits, its GPU among them."""
        return {**self.resources, **({"limits": self.limits} if self.limits else {})}

    @property
    def limits(self) -> dict[str, str]:
        """The model container's limits, its GPU among them."""
        return {**self.resources.get("limits", {}), **(self.gpu.limits if self.gpu else {})}
