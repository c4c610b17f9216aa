"""The autoscaler's settings from a Revision's annotations: Knative's names, bounds and defaults. Pure."""

import math
from collections.abc import Callable, Mapping

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.knative import RETENTION, duration_s, seconds_of
from tidegate.sandbox.controllers.kpa import Settings
from tidegate.sandbox.controllers.template import MIN_SCALE

PREFIX = "autoscaling.knative.dev/"
CLASS, KPA = f"{PREFIX}class", "kpa.autoscaling.knative.dev"
_CONCURRENCY, _RPS = 100.0, 200.0  # of a pod, where nobody says
_LEAST_TARGET = 0.01  # pkg/apis/autoscaling/register.go, TargetMin
_WINDOW_S, _PANIC_PERCENT, _PANIC_THRESHOLD = 60.0, 10.0, 200.0
_MOST_PODS, _LONGEST_S = 2**31 - 1, 3600.0
_METRICS = ("concurrency", "rps")


def refusal(annotations: Mapping[str, str]) -> str:
    """Why Knative's webhook refuses a template's annotations; empty when it does not.

    The bounds are those of pkg/apis/autoscaling/annotation_validation.go; durations are told in seconds.
    """
    for name, (read, low, high) in _BOUNDS.items():
        text = annotations.get(f"{PREFIX}{name}")
        if text is None:
            continue
        value = read(text)
        if value is None or math.isnan(value):
            return f"invalid value: {text}: {_at(name)}"
        if not low <= value <= high:
            return f"expected {low:g} <= {text} <= {high:g}: {_at(name)}"
    metric = annotations.get(f"{PREFIX}metric", _METRICS[0])
    is_known = annotations.get(CLASS, KPA) != KPA or metric in _METRICS
    return "" if is_known else f"invalid value: {metric}: {_at('metric')}"


def _at(name: str) -> str:
    return f"spec.template.metadata.annotations.{PREFIX}{name}"


def _whole(text: str) -> float | None:
    return int(text) if text.removeprefix("-").isdecimal() else None


def _real(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


_BOUNDS: Mapping[str, tuple[Callable[[str], float | None], float, float]] = {
    "min-scale": (_whole, 0, _MOST_PODS),
    "max-scale": (_whole, 0, _MOST_PODS),
    "initial-scale": (_whole, 1, _MOST_PODS),
    "activation-scale": (_whole, 2, _MOST_PODS),
    "target": (_real, _LEAST_TARGET, math.inf),
    "target-utilization-percentage": (_real, 1, 100),
    "panic-window-percentage": (_real, 1, 100),
    "panic-threshold-percentage": (_real, 110, 1000),
    "window": (seconds_of, 6, _LONGEST_S),
    "scale-down-delay": (seconds_of, 0, _LONGEST_S),
    RETENTION.removeprefix(PREFIX): (seconds_of, 0, _LONGEST_S),
}


def is_kpa(revision: Json) -> bool:
    """Whether Knative's own autoscaler is responsible; another class is another program's."""
    return _annotations(revision).get(CLASS, KPA) == KPA


def settings(revision: Json) -> Settings:
    """All that the decision needs."""
    found = _annotations(revision)
    is_rps = found.get(f"{PREFIX}metric") == "rps"
    window_s = duration_s(revision, f"{PREFIX}window") or _WINDOW_S
    panic_percent = _number(found, "panic-window-percentage", _PANIC_PERCENT)
    return Settings(
        metric="rps" if is_rps else "concurrency",
        target=_target(revision, is_rps=is_rps),
        low=least(revision),
        high=int(_number(found, "max-scale", 0)),
        initial=int(_number(found, "initial-scale", 1)),
        activation=int(_number(found, "activation-scale", 1)),
        window_s=window_s,
        panic_window_s=max(1.0, round(window_s * panic_percent / 100)),
        panic_threshold=_number(found, "panic-threshold-percentage", _PANIC_THRESHOLD) / 100,
        down_delay_s=duration_s(revision, f"{PREFIX}scale-down-delay"),
        retention_s=duration_s(revision, RETENTION),
    )


def least(revision: Json) -> int:
    """`min-scale`; a template of KServe always has it."""
    return int(_annotations(revision).get(MIN_SCALE, "1"))


def _target(revision: Json, *, is_rps: bool) -> float:
    """Of what one pod may have, the share at which the autoscaler aims."""
    found = _annotations(revision)
    limit = float(revision["spec"].get("containerConcurrency") or 0)
    total = _number(found, "target", 0.0)
    if limit and not is_rps:
        total = min(total, limit) if total else limit
    share = _number(found, "target-utilization-percentage", 70.0)
    return max(_LEAST_TARGET, (total or (_RPS if is_rps else _CONCURRENCY)) * share / 100)


def _annotations(revision: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = revision["metadata"].get("annotations") or {}
    return found


def _number(annotations: Mapping[str, str], name: str, otherwise: float) -> float:
    return float(annotations.get(f"{PREFIX}{name}", otherwise))
