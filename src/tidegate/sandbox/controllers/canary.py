"""Standard mode's canaries: what each one runs, how many pods of it, how much traffic. Pure.

The rules are those of KServe's predictor reconciler (PRED:861-979) and HTTPRoute reconciler
(HR:684-743), traps included: a rule that looks wrong here is wrong there.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.sandbox.api.kinds import Json

AUTOSCALER = "serving.kserve.io/autoscalerClass"
_NOT_INHERITED = ("maxReplicas", "scaleTarget", "scaleMetric", "autoScaling")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One entry of `spec.canary` and whether its Deployment has an available pod."""

    name: str
    percent: int
    replicas: int
    ready: bool


def service_name(isvc: str, variant: str = "") -> str:
    """The Deployment's and Service's name; `variant` is `predictor.name` (CONST:802-807)."""
    return f"{isvc}-{variant}-predictor" if variant else f"{isvc}-predictor"


def overlaid(stable: Json, canary: Json) -> Json:
    """The canary's predictor: the stable one, its own fields on top (PRED:902-916).

    Only fields that are not zero count, so a canary cannot unset what the stable predictor says.
    Objects merge, lists are replaced. The scaling fields of the stable predictor do not carry over, so a
    canary's HPA has one possible number of pods, its `minReplicas`.
    """
    merged: Json = _merged(stable, canary)
    return {key: value for key, value in merged.items() if key not in _NOT_INHERITED}


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(above, dict):
        return above
    result = dict(below) if isinstance(below, dict) else {}
    for key, value in above.items():
        if value not in (None, "", 0, [], {}):
            result[key] = _merged(result.get(key), value)
    return result


def replicas(stable: Json, entry: Json) -> int:
    """The canary's own `minReplicas`, else its share of the stable ones, rounded up (PRED:861-870).

    At 0 percent that is none: a dark canary without `minReplicas` has no pod under class `none`.
    """
    own: int | None = entry["predictor"].get("minReplicas")
    if own is not None:
        return own
    low: int | None = stable.get("minReplicas")
    percent: int = entry["trafficPercent"]
    return math.ceil((1 if low is None else low) * percent / 100)


def reduced(min_replicas: int | None, canaries: Iterable[Canary]) -> int | None:
    """The stable predictor's pods, less those of ready canaries, but one at least (PRED:877-900)."""
    taken = sum(canary.replicas for canary in canaries if canary.ready)
    if min_replicas is None or not taken:
        return min_replicas
    return max(min_replicas - taken, 1)


def scaled(min_replicas: int | None, autoscaler: str, current: int) -> int:
    """`spec.replicas` of a Deployment; `current` is what it has, 1 when it is new.

    Class `none` takes `minReplicas` as it is. With any other class somebody else scales, and a reconcile
    changes nothing of what is there (deployment_reconciler.go: `checkDeploymentExist`, `Reconcile`).
    """
    if autoscaler == "none":
        return 1 if min_replicas is None else min_replicas
    return current


def weights(isvc: str, variant: str, canaries: Iterable[Canary]) -> list[tuple[str, int]]:
    """(Service, weight), the stable one first; a canary that is not ready gets no entry at all."""
    ready = [canary for canary in canaries if canary.ready]
    rest = 100 - sum(canary.percent for canary in ready)
    shares = [(service_name(isvc, canary.name), canary.percent) for canary in ready]
    return [(service_name(isvc, variant), rest), *shares]


def statuses(canaries: Iterable[Canary]) -> list[Json]:
    """`status.canaryStatuses`; KServe never fills the `modelStatus` of an entry (PRED:957-979)."""
    return [
        {"name": c.name, "ready": c.ready, "trafficPercent": c.percent} for c in canaries
    ]  # fmt: skip


def is_available(deployment: Json | None) -> bool:
    """What KServe takes for a ready canary: any available pod, of whatever template."""
    status: Mapping[str, int] = (deployment or {}).get("status") or {}
    return status.get("availableReplicas", 0) > 0
