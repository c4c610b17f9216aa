"""What an HPA says of itself: conditions, metrics, counts, in Kubernetes' own words. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tidegate.core.quantity import milli
from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers import conditions
from tidegate.sandbox.controllers.conditions import Condition, State
from tidegate.sandbox.controllers.hpa.rules import Proposal
from tidegate.sandbox.controllers.hpa.spec import ExternalMetric, Metric, ResourceMetric

ABLE, ACTIVE, LIMITED = "AbleToScale", "ScalingActive", "ScalingLimited"
_UNABLE = "the HPA was unable to compute the replica count: "


@dataclass(slots=True, kw_only=True)
class Said:
    """A status in the making; what is not said anew stays as it was (setCondition)."""

    before: Json
    conditions: dict[str, Condition] = field(default_factory=dict)
    metrics: list[Json] = field(default_factory=list)

    def say(self, name: str, state: State, reason: str, message: str) -> None:
        """One condition."""
        self.conditions[name] = Condition(type=name, status=state, reason=reason, message=message)

    def unable(self, reason: str, message: str) -> None:
        """No number of pods follows from the metrics."""
        self.say(ACTIVE, "False", reason, f"{_UNABLE}{message}")

    def whole(
        self, *, current: int, desired: int, generation: int, stamp: str, moved: bool
    ) -> Json:
        """The status to be written."""
        held = {c["type"]: conditions.find(self.before, c["type"]) for c in _held(self.before)}
        every = (held | self.conditions).values()
        found: Json = {
            "observedGeneration": generation,
            "currentReplicas": current,
            "desiredReplicas": desired,
            "currentMetrics": self.metrics,
            "conditions": conditions.as_json(every, self.before, stamp),
        }
        last = stamp if moved else self.before.get("lastScaleTime")
        return found | ({"lastScaleTime": last} if last else {})


def _held(before: Json) -> Sequence[Json]:
    return before.get("conditions") or ()


def reason_of(metric: Metric) -> str:
    """Of a metric that is not to be had."""
    if isinstance(metric, ResourceMetric):
        return "FailedGetResourceMetric"
    if isinstance(metric, ExternalMetric):
        return "FailedGetExternalMetric"
    return f"FailedGet{metric.type}Metric"


def name_of(metric: Metric) -> str:
    """In the words of ScalingActive and of the Event of a rescale."""
    if isinstance(metric, ResourceMetric):
        share = " utilization (percentage of request)" if metric.percent is not None else ""
        return f"{metric.name} resource{share}"
    if isinstance(metric, ExternalMetric):
        return f"external metric {metric.name}({dict(metric.labels)})"
    return f"{metric.type} metric"


def current(metric: Metric, found: Proposal) -> Json:
    """One entry of `currentMetrics`."""
    now: Json = {}
    if found.utilization is not None:
        now["averageUtilization"] = found.utilization
    if found.average is not None:
        now["averageValue"] = _quantity(metric, found.average)
    if found.value is not None:
        now["value"] = milli(found.value)
    if isinstance(metric, ResourceMetric):
        return {"type": "Resource", "resource": {"name": metric.name, "current": now}}
    assert isinstance(metric, ExternalMetric)
    selector = {"matchLabels": dict(metric.labels)} if metric.labels else None
    identity: Json = {"name": metric.name} | ({"selector": selector} if selector else {})
    return {"type": "External", "external": {"metric": identity, "current": now}}


def _quantity(metric: Metric, number: float) -> str:
    is_memory = isinstance(metric, ResourceMetric) and metric.name == "memory"
    return str(int(number)) if is_memory else milli(number)
