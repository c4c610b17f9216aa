"""What a trigger's answer means, and what KEDA does beside its HPA. Pure.

kedacore/keda 2.20 pkg/scalers/prometheus_scaler.go (`ExecutePromQuery`, `GetMetricsAndActivity`) and
pkg/scaling/executor/scale_scaledobjects.go (`RequestScale`). `fallback`, `idleReplicaCount`, scaling
modifiers and the pausing annotations are not emulated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.hpa.rules import UnmeasuredError

POLLING_S, COOLDOWN_S, MAX_REPLICAS = 30, 300, 100  # where nothing is said
READY = "ScaledObject is defined correctly and is ready for scaling"
_ACTIVE = "Scaling is performed because triggers are active"
_INACTIVE = "Scaling is not performed because triggers are not active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A Prometheus trigger."""

    metric: str  # s0-prometheus
    query: str
    threshold: float
    activation: float = 0.0
    ignores_null: bool = True
    type: Literal["AverageValue", "Value"] = "AverageValue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one trigger's query came to."""

    metric: str
    value: float = 0.0
    is_active: bool = False
    is_null: bool = False  # it answered nothing, which counts as 0
    trouble: str = ""


def triggers(scaled_object: Json) -> tuple[Trigger, ...]:
    """Those of the object. Raises ValueError, in one line, for what KEDA takes for no trigger of these."""
    try:
        listed = (scaled_object.get("spec") or {}).get("triggers") or ()
        found = tuple(_trigger(index, one) for index, one in enumerate(listed))
    except (AttributeError, TypeError) as error:
        raise ValueError(f"triggers cannot be read: {error}") from error
    if not found:  # scaletriggers_types.go: ValidateTriggers
        raise ValueError("no triggers defined in the ScaledObject/ScaledJob")
    return found


def _trigger(index: int, given: Json) -> Trigger:
    kind, said = given.get("type"), given.get("metadata") or {}
    if kind != "prometheus":
        raise ValueError(
            f"error getting scaler for trigger #{index}: no scaler found for type: {kind}; the sandbox "
            "has prometheus alone"
        )
    if missing := [name for name in ("serverAddress", "query", "threshold") if not said.get(name)]:
        raise ValueError(
            f"error getting scaler for trigger #{index}: error parsing prometheus metadata: missing "
            f"required parameter {missing[0]!r} in [triggerMetadata]"
        )
    return Trigger(
        metric=f"s{index}-prometheus",
        query=str(said["query"]),
        threshold=_number(index, "threshold", said["threshold"]),
        activation=_number(index, "activationThreshold", said.get("activationThreshold", "0")),
        ignores_null=str(said.get("ignoreNullValues", "true")).lower() in {"true", "t", "1"},
        type=given.get("metricType") or "AverageValue",
    )


def _number(index: int, name: str, text: object) -> float:
    try:
        found = float(str(text))
    except ValueError:
        found = math.nan
    if not math.isfinite(found) or (name == "threshold" and round(found * 1000) < 1):
        raise ValueError(
            f"error getting scaler for trigger #{index}: unable to set param {name!r} value {text!r}"
        )
    return found


def answered(trigger: Trigger, found: Sequence[float]) -> Answer:
    """No sample, NaN and an infinity are 0, unless `ignoreNullValues` is false; two samples are no answer.

    So says KEDA: with nothing to go by, its HPA goes down to `minReplicaCount`, as fast as `behavior` allows.
    """
    if len(found) > 1:
        text = f"prometheus query {trigger.query} returned multiple elements"
        return Answer(metric=trigger.metric, trouble=text)
    if not found or not math.isfinite(found[0]):
        said = f"returns {found[0]:f}" if found else "answers nothing: the result is empty"
        if not trigger.ignores_null:
            return Answer(metric=trigger.metric, trouble=f"prometheus query {said}")
        return Answer(metric=trigger.metric, is_active=trigger.activation < 0, is_null=True)
    value = math.trunc(found[0] * 1000) / 1000  # KEDA tells the HPA thousandths
    return Answer(metric=trigger.metric, value=value, is_active=found[0] > trigger.activation)


def known(answer: Answer) -> float:
    """The value; raises UnmeasuredError where there is none."""
    if answer.trouble:
        raise UnmeasuredError(answer.trouble)
    return answer.value


def pace(scaled_object: Json) -> tuple[float, float]:
    """`pollingInterval` and `cooldownPeriod`, in s. Raises ValueError or TypeError of what is no number."""
    spec = scaled_object["spec"]
    cooldown = spec.get("cooldownPeriod")
    return (
        float(spec.get("pollingInterval") or POLLING_S),
        float(COOLDOWN_S if cooldown is None else cooldown),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What KEDA's own loop decides by; times in s."""

    low: int
    current: int
    cooldown_s: float
    last_active: float | None
    now: float


def polled(standing: Standing, answers: Sequence[Answer]) -> tuple[list[Condition], int | None]:
    """The conditions Ready and Active, and how many pods there should be now where that is KEDA's to say."""
    is_active = any(one.is_active for one in answers)
    is_error = any(one.trouble for one in answers)
    pods = _pods(standing, is_active=is_active, is_error=is_error)
    return [_ready(answers, is_active=is_active), _active(answers, is_active=is_active)], pods


def _pods(standing: Standing, *, is_active: bool, is_error: bool) -> int | None:
    """From none to the first, back to none after the cooldown, and up to the least; the HPA does the rest."""
    if is_active:
        return max(1, standing.low) if standing.current == 0 else None
    if is_error:
        return None
    if standing.low == 0 and standing.current > 0:
        since = standing.last_active
        is_cool = since is None or since + standing.cooldown_s < standing.now
        return 0 if is_cool else None
    return standing.low if standing.current < standing.low else None


def _ready(answers: Sequence[Answer], *, is_active: bool) -> Condition:
    """An error of all that matters is no readiness; one beside an active trigger leaves it unknown."""
    wrong = [f"{one.metric}: {one.trouble}" for one in answers if one.trouble]
    if not wrong:
        return Condition(type="Ready", status="True", reason="ScaledObjectReady", message=READY)
    if is_active:
        text = "Some triggers defined in ScaledObject are not working correctly"
        return Condition(
            type="Ready", status="Unknown", reason="PartialTriggerError", message=_with(text, wrong)
        )
    text = "Triggers defined in ScaledObject are not working correctly"
    return Condition(
        type="Ready", status="False", reason="TriggerError", message=_with(text, wrong)
    )  # fmt: skip


def _active(answers: Sequence[Answer], *, is_active: bool) -> Condition:
    """Which metric is not there is added here; KEDA does not tell it from 0."""
    nothing = [f"no data, taken for 0: {one.metric}" for one in answers if one.is_null]
    if is_active:
        return Condition(
            type="Active", status="True", reason="ScalerActive", message=_with(_ACTIVE, nothing)
        )
    return Condition(
        type="Active", status="False", reason="ScalerNotActive", message=_with(_INACTIVE, nothing)
    )


def _with(text: str, more: Sequence[str]) -> str:
    return "; ".join((text, *more))
