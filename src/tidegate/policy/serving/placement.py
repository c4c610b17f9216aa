"""On which nodes the pods run."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from tidegate.policy.section import Section


class Toleration(Section):
    """Lets a pod onto nodes that a taint keeps others from."""

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        default="", description="'' = every effect"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError(f"value {self.value!r} says nothing with operator: Exists; remove it")
        if self.operator == "Equal" and not self.key:
            raise ValueError("key is empty; name the taint's, or write operator: Exists")
        return self


class Placement(Section):
    """Where the pods run. In Knative mode each of these needs a feature flag of its own, off as shipped."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: dict[str, Any] = Field(
        default_factory=dict, description="As in a pod's spec: nodeAffinity, podAntiAffinity, ..."
    )
    tolerations: tuple[Toleration, ...] = Field(default=(), strict=False)
    topology_spread: tuple[dict[str, Any], ...] = Field(
        default=(), strict=False, description="topologySpreadConstraints, as in a pod's spec"
    )
    runtime_class: str = ""
    scheduler: str = ""
    priority_class: str = ""

    @model_validator(mode="after")
    def _known_affinity(self) -> Self:
        known = {"nodeAffinity", "podAffinity", "podAntiAffinity"}
        if unknown := set(self.affinity) - known:
            raise ValueError(
                f"affinity.{min(unknown)} is not known; Kubernetes has {', '.join(sorted(known))}"
            )
        return self
