"""The whole policy."""

from typing import Literal

from pydantic import Field, model_validator

from tidegate.policy.graph_fit import unanswered
from tidegate.policy.load import Load
from tidegate.policy.model import Model, Optimize, Parity
from tidegate.policy.promql import longest_range_s
from tidegate.policy.repository import Repository
from tidegate.policy.section import Section
from tidegate.policy.serving import Serving
from tidegate.policy.slo import QueriedObjective, Slo
from tidegate.policy.telemetry import Telemetry
from tidegate.policy.traffic import Traffic
from tidegate.policy.triton import Triton

NAME_MAX = 46  # latest-<name>-predictor must be a DNS label of 63
TRANSFORMED_NAME_MAX = 44  # latest-<name>-transformer, likewise
BASELINE_NAME_MAX = NAME_MAX - len("-base-123456")


class ReportTo(Section):
    """Where the report goes besides the run's artifacts."""

    mlflow: bool = Field(
        default=True, description="Tag the model version and log the page to its run"
    )
    webhook_url: str = Field(default="", description="Told how every release ended")
    webhook_format: Literal["slack", "json"] = Field(
        default="slack",
        description="slack: text and blocks, as Slack's incoming webhooks; json: plain fields",
    )


class Policy(Section):
    """The whole policy."""

    version: Literal[1] = Field(default=1, description="Version of this schema")
    name: str = Field(
        max_length=NAME_MAX,
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
    repository: Repository = Field(default_factory=Repository)
    serving: Serving = Field(default_factory=Serving)
    load: Load = Field(default_factory=Load)
    slo: Slo = Field(default_factory=Slo)
    traffic: Traffic = Field(default_factory=Traffic)
    report: ReportTo = Field(default_factory=ReportTo)
    telemetry: Telemetry = Field(default_factory=Telemetry)

    @model_validator(mode="after")
    def _looks_at_one_step(self) -> "Policy":
        """A longer range than the bake would judge two shares of traffic as one."""
        for at, one in enumerate(self.slo.objectives):
            if not isinstance(one, QueriedObjective) or not one.live:
                continue
            longest = longest_range_s(one.text)
            if longest > self.traffic.bake_s:
                raise ValueError(
                    f"slo.objectives.{at}.query = {one.text!r} looks back {longest:g} s, longer than "
                    f"traffic.bake_s {self.traffic.bake_s:g}; write [$window], or live: false"
                )
        return self

    @model_validator(mode="after")
    def _names_a_baseline(self) -> "Policy":
        """<name>-base-<6 digits> is an InferenceService too, whose longest host must be a DNS label."""
        spare = len(self.name) - BASELINE_NAME_MAX
        if self.load.baseline == "dedicated" and spare > 0:
            raise ValueError(
                f"name {self.name!r} has no room for a dedicated baseline's, which is {NAME_MAX} characters "
                f"at most; shorten it by {spare}, or write load.baseline: matched"
            )
        return self

    @model_validator(mode="after")
    def _names_its_models_apart(self) -> "Policy":
        taken = {self.triton_model, self.main_model}
        same = next((one.name for one in self.repository.models if one.name in taken), "")
        if same:
            raise ValueError(
                f"repository.models: {same!r} is the released model's name; use another"
            )
        return self

    @model_validator(mode="after")
    def _names_its_components(self) -> "Policy":
        """latest-<name>-transformer must be a DNS label, too."""
        own = self.serving.transformer and not self.serving.transformer.collocated
        if own and (spare := len(self.name) - TRANSFORMED_NAME_MAX) > 0:
            raise ValueError(
                f"name {self.name!r} has no room for a transformer's, which leaves {TRANSFORMED_NAME_MAX} "
                f"characters; shorten it by {spare}, or write serving.transformer.collocated: true"
            )
        return self

    @model_validator(mode="after")
    def _scales_to_none_without_a_canary(self) -> "Policy":
        """A share of users who wait for cold starts would be judged, and not the model."""
        if self.serving.min_replicas > 0:
            return self
        if self.traffic.steps != (100,):
            raise ValueError(
                "serving.min_replicas 0 lets a canary scale away between two of its requests, so a live gate "
                "would judge cold starts; write traffic.steps: [100], or min_replicas: 1"
            )
        if not self.traffic.keep_warm_s:
            raise ValueError(
                "serving.min_replicas 0 lets the candidate scale away between load test and promotion; set "
                "traffic.keep_warm_s to the longest pause that it should stay for"
            )
        return self

    @model_validator(mode="after")
    def _asks_what_is_served(self) -> "Policy":
        """What the load test sends must be what the pod takes."""
        serving = self.serving
        if serving.port == "grpc" and self.load.protocol != "grpc":
            raise ValueError(
                "serving.port is grpc, but load.protocol is http; write load.protocol: grpc"
            )
        within = serving.transformer and serving.transformer.collocated
        if within and self.load.protocol == "grpc":
            raise ValueError(
                "load.protocol is grpc, but serving.transformer has the pod's one port, by http; write "
                "load.protocol: http"
            )
        if within and not self.load.capture:
            raise ValueError(
                "serving.transformer takes what clients send, and golden data are what the model takes; set "
                "load.capture to captured requests"
            )
        return self

    @model_validator(mode="after")
    def _is_asked_by_its_graph(self) -> "Policy":
        """KServe's router asks each service by REST, by the path of its protocol and its name."""
        graph = self.serving.graph
        if graph is not None and (reason := unanswered(self, graph)):
            raise ValueError(f"serving.graph {graph.name}: {reason}")
        return self

    @property
    def triton_model(self) -> str:
        """Name in the URL path."""
        return self.triton.model_name or self.name

    @property
    def main_model(self) -> str:
        """The released model's own name in the server: another one where clients ask an ensemble."""
        suffix = "-model" if self.repository.is_ensemble else ""
        return f"{self.triton_model}{suffix}"
