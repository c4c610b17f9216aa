"""A HorizontalPodAutoscaler's `spec` as its controller reads it, with the API's defaults. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.core.quantity import amount
from tidegate.core.room import shape
from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.hpa.limits import DOWN, UP, Limits, Side
from tidegate.sandbox.controllers.hpa.rules import FLAGS, Flags, Resource, UnmeasuredError

CPU_PERCENT = 80  # where no metric is given (pkg/apis/autoscaling/v2/defaults.go)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceMetric:
    """CPU or memory, in percent of the requests or as it is."""

    name: Resource
    percent: int | None = None
    average: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalMetric:
    """A number that an adapter knows, as it is or shared by the pods."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float | None = None
    average: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMetric:
    """One of a kind that nothing here answers: Pods, Object, ContainerResource."""

    type: str


Metric = ResourceMetric | ExternalMetric | OtherMetric


def trouble(hpa: Json) -> str:
    """What cannot be read of it; the API here has no schema of HPAs, where Kubernetes refuses such a one."""
    try:
        limits(hpa, FLAGS)
        metrics(hpa)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return f"spec cannot be read: {type(error).__name__} {error}"
    return ""


def target(hpa: Json) -> tuple[str, str]:
    """Kind and name of what is scaled; empty where they are not given."""
    found = (hpa.get("spec") or {}).get("scaleTargetRef")
    if not isinstance(found, dict):
        return "", ""
    return str(found.get("kind", "")), str(found.get("name", ""))


def limits(hpa: Json, flags: Flags) -> Limits:
    """Bounds and behaviour; a window for fewer pods that is not given is the cluster's."""
    spec = hpa.get("spec") or {}
    behavior = spec.get("behavior") or {}
    low = spec.get("minReplicas")
    low = 1 if low is None else int(low)
    return Limits(
        low=low,
        high=max(low, int(spec.get("maxReplicas") or low)),
        up=_side(behavior.get("scaleUp"), UP, UP.window_s),
        down=_side(behavior.get("scaleDown"), DOWN, flags.downscale_stabilization_s),
    )


def _side(given: Json | None, usual: Side, window_s: float) -> Side:
    said = given or {}
    window = said.get("stabilizationWindowSeconds")
    policies = tuple(
        (one["type"], int(one["value"]), float(one["periodSeconds"]))
        for one in said.get("policies") or ()
    )
    return Side(
        window_s=window_s if window is None else float(window),
        policies=policies or usual.policies,
        select=said.get("selectPolicy") or usual.select,
    )


def metrics(hpa: Json) -> tuple[Metric, ...]:
    """What it is scaled by."""
    listed = (hpa.get("spec") or {}).get("metrics")
    if not listed:
        return (ResourceMetric(name="cpu", percent=CPU_PERCENT),)
    return tuple(_metric(one) for one in listed)


def _metric(one: Json) -> Metric:
    if one["type"] == "Resource":
        return _resource(one["resource"]["name"], one["resource"]["target"])
    if one["type"] == "External":
        metric, aim = one["external"]["metric"], one["external"]["target"]
        labels = (metric.get("selector") or {}).get("matchLabels") or {}
        return ExternalMetric(
            name=metric["name"],
            labels=dict(labels),
            value=_positive(aim, "value"),
            average=_positive(aim, "averageValue"),
        )
    return OtherMetric(type=one["type"])


def _resource(name: Resource, aim: Json) -> ResourceMetric:
    percent, average = aim.get("averageUtilization"), _positive(aim, "averageValue")
    if name not in {"cpu", "memory"}:
        raise ValueError(f"{name} is not measured, cpu and memory are")
    if average is None and not (isinstance(percent, int) and percent > 0):
        raise ValueError(f"averageUtilization {percent!r} of {name} is no whole number above 0")
    return ResourceMetric(name=name, percent=percent, average=average)


def _positive(aim: Json, field: str) -> float | None:
    """None of what is not given; neither 0 nor what cannot be read is a target (validateMetricTarget)."""
    if aim.get(field) is None:
        return None
    found = amount(aim[field])
    if found is None or found <= 0:
        raise ValueError(f"{field} {aim[field]!r} is no quantity above 0")
    return float(found)


def requests(pods: list[Json], resource: Resource) -> dict[str, float]:
    """Pod -> what all its containers request. Raises UnmeasuredError where one requests none of it."""
    return {pod["metadata"]["name"]: _requested(pod, resource) for pod in pods}


def _requested(pod: Json, resource: Resource) -> float:
    total = 0.0
    for container in pod["spec"]["containers"]:
        found = shape.requests(container).get(resource)
        if found is None:
            name = pod["metadata"]["name"]
            raise UnmeasuredError(
                f"missing request for {resource} in container {container['name']} of Pod {name}"
            )
        total += float(found)
    return total
