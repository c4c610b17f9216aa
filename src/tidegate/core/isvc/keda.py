"""KEDA's ScaledObject, as far as it is written here. Pure.

Fields, types and bounds are those of KEDA 2.20 (kedacore/keda apis/keda/v1alpha1/scaledobject_types.go and
scaletriggers_types.go; a trigger's metadata: pkg/scalers/prometheus_scaler.go), and so are two rules of its
webhook (scaledobject_webhook.go: verifyName, CheckReplicaCountBoundsAreValid). What breaks one is not made.
"""

from typing import Literal, Self

from pydantic import Field, model_validator

from tidegate.core.isvc.typed import Typed

NAME_MAX = 63  # the ScaledObject's name and the HPA's are values of a label
HPA_WINDOW_MAX = 3600  # s; Kubernetes' HPA, of both stabilization windows
MANAGED_BY = {"app.kubernetes.io/managed-by": "tidegate"}  # by this a release knows its own
PREFIX = "keda-hpa-"  # of the HPA that KEDA makes, unless it is named


class Metadata(Typed):
    """`metadata`; the labels are whoever's who made it."""

    name: str = Field(min_length=1, max_length=NAME_MAX)
    namespace: str
    labels: dict[str, str] | None = None


class ScaleTarget(Typed):
    """`scaleTargetRef`."""

    api_version: Literal["apps/v1"] = "apps/v1"
    kind: Literal["Deployment"] = "Deployment"
    name: str = Field(min_length=1)


class ScalingRules(Typed):
    """`behavior.scaleDown`, in the words of Kubernetes' HPA."""

    stabilization_window_seconds: int = Field(ge=0, le=HPA_WINDOW_MAX)


class Behavior(Typed):
    """`behavior`."""

    scale_down: ScalingRules


class HpaConfig(Typed):
    """`advanced.horizontalPodAutoscalerConfig`."""

    name: str | None = Field(default=None, max_length=NAME_MAX)
    behavior: Behavior


class Advanced(Typed):
    """`advanced`."""

    horizontal_pod_autoscaler_config: HpaConfig


class PrometheusQuery(Typed):
    """`metadata` of a trigger: every value is a string, the threshold's a decimal number."""

    server_address: str = Field(pattern=r"^https?://")
    query: str = Field(min_length=1)
    threshold: str = Field(pattern=r"^-?\d+(\.\d+)?(e[+-]?\d+)?$")


class AuthenticationRef(Typed):
    """A TriggerAuthentication of the namespace."""

    name: str = Field(min_length=1)


class Trigger(Typed):
    """One entry of `triggers`. Value: the query's answer is compared as it is."""

    type: Literal["prometheus"] = "prometheus"
    metric_type: Literal["Value", "AverageValue"] = "Value"
    metadata: PrometheusQuery
    authentication_ref: AuthenticationRef | None = None


class Spec(Typed):
    """`spec`; times are in seconds."""

    scale_target_ref: ScaleTarget
    polling_interval: int = Field(ge=1)
    cooldown_period: int = Field(ge=0)
    min_replica_count: int = Field(ge=0)
    max_replica_count: int = Field(ge=1)
    advanced: Advanced
    triggers: tuple[Trigger, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min_replica_count > self.max_replica_count:
            raise ValueError(
                f"minReplicaCount {self.min_replica_count} is above maxReplicaCount "
                f"{self.max_replica_count}; lower it"
            )
        return self


class ScaledObject(Typed):
    """The whole object."""

    api_version: Literal["keda.sh/v1alpha1"] = "keda.sh/v1alpha1"
    kind: Literal["ScaledObject"] = "ScaledObject"
    metadata: Metadata
    spec: Spec

    @model_validator(mode="after")
    def _has_an_hpa(self) -> Self:
        if len(self.hpa) > NAME_MAX:
            raise ValueError(
                f"the HPA's name {self.hpa} is longer than {NAME_MAX} characters; name it shorter in "
                "advanced.horizontalPodAutoscalerConfig"
            )
        return self

    @property
    def hpa(self) -> str:
        """The name of the HPA that KEDA makes."""
        return self.spec.advanced.horizontal_pod_autoscaler_config.name or hpa_name(
            self.metadata.name
        )


def hpa_name(scaled_object: str) -> str:
    """KEDA's own name for the HPA of a ScaledObject."""
    return f"{PREFIX}{scaled_object}"


def shorter_hpa_name(scaled_object: str) -> str | None:
    """A name that fits where KEDA's own does not; None where it does."""
    if len(hpa_name(scaled_object)) <= NAME_MAX:
        return None
    return hpa_name(scaled_object.removesuffix("-predictor"))
