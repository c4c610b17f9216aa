"""The autoscaler's settings from a Revision's annotations: Knative's names and defaults. Pure."""

from collections.abc import Mapping

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.knative import RETENTION, duration_s
from tidegate.sandbox.controllers.kpa import Settings
from tidegate.sandbox.controllers.template import MIN_SCALE

PREFIX = "autoscaling.knative.dev/"
CLASS, KPA = f"{PREFIX}class", "kpa.autoscaling.knative.dev"
_CONCURRENCY, _RPS = 100.0, 200.0  # of a pod, where nobody says
_LEAST_TARGET = 0.01  # pkg/apis/autoscaling/register.go, TargetMin
_WINDOW_S, _PANIC_PERCENT, _PANIC_THRESHOLD = 60.0, 10.0, 200.0


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
