"""How the replicas follow the load: Knative's KPA, Kubernetes' HPA, or KEDA."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tidegate.policy.section import Section


class Kpa(Section):
    """Knative's own autoscaler: by requests in flight or per second, down to none. Knative mode."""

    kind: Literal["kpa"] = "kpa"
    metric: Literal["concurrency", "rps"] = "concurrency"
    target: int = Field(default=8, ge=1, description="Per replica")
    utilization_percent: int = Field(
        default=70, ge=1, le=100, description="Share of the target at which one more is made"
    )
    window_s: int = Field(default=60, ge=6, le=3600, description="Over which load is averaged")
    initial_scale: int | None = Field(
        default=None,
        ge=1,
        description="Replicas that a new revision starts with; null = the cluster's",
    )
    scale_down_delay_s: int = Field(default=0, ge=0, le=3600)


class Hpa(Section):
    """Kubernetes' autoscaler, by CPU or memory. Both modes; a GPU's load it does not see."""

    kind: Literal["hpa"] = "hpa"
    metric: Literal["cpu", "memory"] = "cpu"
    target_percent: int = Field(default=80, ge=1, le=100, description="Of what is requested")


class Trigger(Section):
    """One thing that KEDA scales by."""

    kind: Literal["prometheus", "queue_time", "gpu_utilization"] = Field(
        default="prometheus",
        description="queue_time: ms that a request waits in Triton's queue. gpu_utilization: % of the "
        "pods' GPUs, from the DCGM exporter. prometheus: a query of your own",
    )
    threshold: float = Field(
        gt=0, description="The query's value at which one more replica is made"
    )
    query: str = Field(
        default="",
        description="For kind: prometheus; an average over the replicas, compared as it is",
    )

    @model_validator(mode="after")
    def _one_query(self) -> Self:
        if (self.kind == "prometheus") != bool(self.query):
            raise ValueError(
                "kind: prometheus and query go together; the other kinds bring their own"
            )
        if self.kind == "gpu_utilization" and self.threshold > 100:
            raise ValueError(
                f"threshold {self.threshold:g} of gpu_utilization is in %; write 100 or less"
            )
        return self


class Keda(Section):
    """KEDA, by what Prometheus says. Standard mode alone: KServe ignores it in Knative mode."""

    kind: Literal["keda"] = "keda"
    via: Literal["scaled_object", "auto_scaling"] = Field(
        default="scaled_object",
        description="scaled_object: a ScaledObject that each release writes for its candidate before the "
        "first share, with autoscalerClass external. auto_scaling: the predictor's own field and class keda; "
        "no release then, for KServe gives a canary a ScaledObject without triggers",
    )
    server: str = Field(default="http://prometheus-operated.monitoring:9090", pattern=r"^https?://")
    triggers: tuple[Trigger, ...] = Field(strict=False, min_length=1)
    polling_s: int = Field(default=15, ge=1)
    cooldown_s: int = Field(
        default=900,
        ge=0,
        le=3600,  # the HPA's window takes no more
        description="Before fewer; replicas that vanish in a bake would be judged, too",
    )
    authentication: str = Field(default="", description="A TriggerAuthentication of the namespace")


Scaling = Annotated[Kpa | Hpa | Keda, Field(discriminator="kind")]
