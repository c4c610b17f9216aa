"""Autoscaling in an InferenceService's own words: fields of the predictor, annotations of its class. Pure.

Knative's autoscaler reads annotations of the revision's template; KServe makes those of replicas, metric and
target from the predictor's fields (controller/v1alpha1/utils/utils.go:48-81), the rest is ours to write. The
class stands on the InferenceService itself, where KServe's webhook looks for it (VAL:410-432).
"""

from collections.abc import Mapping
from typing import Any

from tidegate.core.isvc.queries import query_of, threshold_of
from tidegate.core.isvc.typed import Json, Typed
from tidegate.policy.serving import Hpa, Keda, Kpa, Scaling

AUTOSCALER = "serving.kserve.io/autoscalerClass"  # effective in Standard mode alone
KNATIVE_CLASS = "autoscaling.knative.dev/class"
KNATIVE = "autoscaling.knative.dev/"
CLASSES = (AUTOSCALER, KNATIVE_CLASS)


class Metric(Typed):
    """Where an external metric comes from."""

    backend: str = "prometheus"
    server_address: str
    query: str


class Target(Typed):
    """Its value per replica, at which one more is made."""

    type: str = "Value"
    value: str


class Reference(Typed):
    """A TriggerAuthentication."""

    name: str


class Authentication(Typed):
    """How the Prometheus server is asked."""

    authentication_ref: Reference
    auth_modes: str = "bearer"


class External(Typed):
    """One external metric."""

    metric: Metric
    target: Target
    authentication_ref: Authentication | None = None


class MetricSpec(Typed):
    """One entry of `autoScaling.metrics`."""

    type: str = "External"
    external: External


class AutoScaling(Typed):
    """`spec.predictor.autoScaling`: KEDA's, in Standard mode."""

    metrics: tuple[MetricSpec, ...]


def fields(scaling: Scaling | None, name: str, namespace: str) -> dict[str, Any]:
    """The predictor's own fields, by their Python names."""
    if isinstance(scaling, Kpa):
        return {"scale_metric": scaling.metric, "scale_target": scaling.target}
    if isinstance(scaling, Hpa):
        return {"scale_metric": scaling.metric, "scale_target": scaling.target_percent}
    if isinstance(scaling, Keda) and scaling.via == "auto_scaling":
        metrics = tuple(_metrics(scaling, name, namespace))
        return {"auto_scaling": AutoScaling(metrics=metrics)}
    return {}


def _metrics(scaling: Keda, name: str, namespace: str) -> list[MetricSpec]:
    named = scaling.authentication
    access = Authentication(authentication_ref=Reference(name=named)) if named else None
    pods = f"{name}-.*predictor-.*"
    return [
        MetricSpec(
            external=External(
                metric=Metric(
                    server_address=scaling.server,
                    query=query_of(trigger, namespace=namespace, pods=pods),
                ),
                target=Target(value=threshold_of(trigger)),
                authentication_ref=access,
            )
        )
        for trigger in scaling.triggers
    ]


def template_annotations(scaling: Scaling | None) -> dict[str, str]:
    """What Knative's autoscaler reads of the revision, besides what KServe writes from the fields."""
    if not isinstance(scaling, Kpa):
        return {}
    found = {
        f"{KNATIVE}target-utilization-percentage": str(scaling.utilization_percent),
        f"{KNATIVE}window": f"{scaling.window_s}s",
    }
    if scaling.initial_scale:
        found[f"{KNATIVE}initial-scale"] = str(scaling.initial_scale)
    if scaling.scale_down_delay_s:
        found[f"{KNATIVE}scale-down-delay"] = f"{scaling.scale_down_delay_s}s"
    return found


def class_annotations(scaling: Scaling | None, mode: str) -> dict[str, str]:
    """The autoscaler's class, on the InferenceService; {} = the mode's default."""
    if scaling is None:
        return {}
    if mode == "Knative":
        return {KNATIVE_CLASS: f"{scaling.kind}.autoscaling.knative.dev"}
    if isinstance(scaling, Keda):
        return {AUTOSCALER: "keda" if scaling.via == "auto_scaling" else "external"}
    return {AUTOSCALER: "hpa"}


def class_trouble(annotations: Mapping[str, str], scaling: Scaling | None, mode: str) -> str:
    """Why a service that is there cannot take the policy's class by a release; '' when it has it already.

    It is an annotation of the InferenceService, and those go to every pod: beside a canary, production's own
    would be made anew, and after a roll-back the class would stay.
    """
    for key, wanted in class_annotations(scaling, mode).items():
        held = annotations.get(key) or _default(key)
        if held != wanted:
            return (
                f"its autoscaler is {held}, and serving.scaling wants {wanted}: the class is an annotation "
                "that goes to production's pods too, so no release changes it; annotate it beforehand "
                f"({key}={wanted}), or leave serving.scaling as it is served"
            )
    return ""


def _default(key: str) -> str:
    return "hpa" if key == AUTOSCALER else "kpa.autoscaling.knative.dev"


def manifest_fields(scaling: Scaling | None, name: str, namespace: str) -> Json:
    """The fields as they stand in the manifest."""
    found = fields(scaling, name, namespace)
    names = {"scale_metric": "scaleMetric", "scale_target": "scaleTarget"}
    plain = {names[key]: value for key, value in found.items() if key in names}
    held = found.get("auto_scaling")
    return plain | ({"autoScaling": held.as_dict()} if held else {})
