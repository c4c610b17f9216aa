"""From what pods use to how many there should be: Kubernetes' replica calculator. Pure.

The rules are those of kubernetes/kubernetes pkg/controller/podautoscaler/replica_calculator.go, named beside
each; metrics/utilization.go has the two ratios. CPU is in cores, memory in bytes, times are Unix seconds.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Resource = Literal["cpu", "memory"]
_MOST = 2**31 - 1


class UnmeasuredError(Exception):
    """Nothing can be computed, and why; no number of pods follows from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """kube-controller-manager's, by its own names (--horizontal-pod-autoscaler-...), with its defaults."""

    sync_period_s: float = 15.0
    tolerance: float = 0.1
    downscale_stabilization_s: float = 300.0
    cpu_initialization_period_s: float = 300.0
    initial_readiness_delay_s: float = 30.0


FLAGS = Flags()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one pod used of a resource, on average over the window that ended at `at_s`."""

    value: float
    at_s: float
    window_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """One pod as the calculator sees it."""

    name: str
    is_running: bool  # not Pending
    is_ready: bool
    started_s: float | None = None
    ready_since_s: float | None = None  # or not ready since; None: nothing is said of it
    used: Sample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What one metric asks for; the current value in the words of its target."""

    replicas: int
    utilization: int | None = None  # percent of what is requested
    average: float | None = None  # in one pod
    value: float | None = None  # as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class _Groups:
    ready: int
    used: dict[str, float]
    unready: frozenset[str]
    missing: frozenset[str]


def utilization(
    pods: Sequence[PodSeen],
    requests: Mapping[str, float],
    *,
    target_percent: int,
    current: int,
    resource: Resource,
    now: float,
    flags: Flags,
) -> Proposal:
    """GetResourceReplicas: usage over requests, in whole percent, against the target.

    A missing pod uses all that it requests when there would be fewer pods, and nothing when more.
    Raises UnmeasuredError when no pod's usage counts.
    """
    groups = _grouped(pods, resource, now, flags)
    absent = {name: requests[name] * max(100, target_percent) / 100 for name in groups.missing}

    def percent(used: Mapping[str, float]) -> int:
        whole = sum(requests[name] for name in used)
        if whole <= 0:
            raise UnmeasuredError("no metrics returned matched known pods")
        return int(sum(used.values()) * 100 / whole)

    found = _proposed(
        groups, absent, lambda used: percent(used) / target_percent, current, flags.tolerance
    )
    mean = sum(groups.used.values()) / len(groups.used)
    return Proposal(replicas=found, utilization=percent(groups.used), average=mean)


def average(
    pods: Sequence[PodSeen],
    *,
    target: float,
    current: int,
    resource: Resource,
    now: float,
    flags: Flags,
) -> Proposal:
    """GetRawResourceReplicas: mean usage against the target; a missing pod uses the target, or nothing."""
    groups = _grouped(pods, resource, now, flags)
    absent = dict.fromkeys(groups.missing, target)

    def mean(used: Mapping[str, float]) -> float:
        return sum(used.values()) / len(used)

    found = _proposed(groups, absent, lambda used: mean(used) / target, current, flags.tolerance)
    return Proposal(replicas=found, average=mean(groups.used))


def external_value(
    value: float, pods: Sequence[PodSeen], *, target: float, current: int, flags: Flags
) -> Proposal:
    """GetExternalMetricReplicas: the value against the target, times the ready pods."""
    ratio = value / target
    if current and _is_within(ratio, flags.tolerance):
        return Proposal(replicas=current, value=value)
    if current and not pods:
        raise UnmeasuredError("no pods returned by selector while calculating replica count")
    ready = sum(one.is_running and one.is_ready for one in pods) if current else 1
    return Proposal(replicas=_ceil(ratio * ready), value=value)


def external_average(value: float, *, target: float, replicas: int, flags: Flags) -> Proposal:
    """GetExternalPerPodMetricReplicas: the value shared by `replicas` pods against the target."""
    share = math.ceil(value / replicas * 1000) / 1000 if replicas else 0.0
    if replicas and _is_within(value / (target * replicas), flags.tolerance):
        return Proposal(replicas=replicas, average=share)
    return Proposal(replicas=_ceil(value / target), average=share)


def _grouped(pods: Sequence[PodSeen], resource: Resource, now: float, flags: Flags) -> _Groups:
    """groupPods: Pending pods and, for CPU, those that still start are unready; others may be missing."""
    if not pods:
        raise UnmeasuredError("no pods returned by selector while calculating replica count")
    unready, missing, used = set(), set(), {}
    for pod in pods:
        if not pod.is_running:
            unready.add(pod.name)
        elif pod.used is None:
            missing.add(pod.name)
        elif resource == "cpu" and _still_starts(pod, pod.used, now, flags):
            unready.add(pod.name)
        else:
            used[pod.name] = pod.used.value
    if not used:
        raise UnmeasuredError(
            "did not receive metrics for targeted pods (pods might be unready)"
        )  # fmt: skip
    return _Groups(
        ready=len(used), used=used, unready=frozenset(unready), missing=frozenset(missing)
    )


def _still_starts(pod: PodSeen, used: Sample, now: float, flags: Flags) -> bool:
    """Its CPU is that of a start: unready, or no whole window has passed since it got ready."""
    if pod.started_s is None or pod.ready_since_s is None:
        return True
    if pod.started_s + flags.cpu_initialization_period_s > now:
        return not pod.is_ready or used.at_s < pod.ready_since_s + used.window_s
    never_ready = pod.started_s + flags.initial_readiness_delay_s > pod.ready_since_s
    return not pod.is_ready and never_ready


def _proposed(
    groups: _Groups,
    absent: Mapping[str, float],
    ratio_of: Callable[[Mapping[str, float]], float],
    current: int,
    tolerance: float,
) -> int:
    """The part that both resource rules share: no change within the tolerance, nor against the direction."""
    ratio = ratio_of(groups.used)
    is_more_with_unready = bool(groups.unready) and ratio > 1.0
    if not is_more_with_unready and not groups.missing:
        return current if _is_within(ratio, tolerance) else _ceil(ratio * groups.ready)
    used = dict(groups.used)
    if ratio != 1.0:
        used |= {name: absent[name] if ratio < 1.0 else 0.0 for name in groups.missing}
    if is_more_with_unready:
        used |= dict.fromkeys(groups.unready, 0.0)
    again = ratio_of(used)
    if _is_within(again, tolerance) or (ratio - 1.0) * (again - 1.0) < 0:
        return current
    wanted = _ceil(again * len(used))
    turns = (again < 1.0 and wanted > current) or (again > 1.0 and wanted < current)
    return current if turns else wanted


def _is_within(ratio: float, tolerance: float) -> bool:
    return 1.0 - tolerance <= ratio <= 1.0 + tolerance


def _ceil(number: float) -> int:
    return _MOST if number > _MOST else math.ceil(number)


def most(
    proposals: Collection[Proposal], *, failed: int, current: int
) -> Proposal | None:  # fmt: skip
    """computeReplicasForMetrics: the metric that asks for most wins.

    None where nothing is known, or where a metric is not known and the others ask for fewer pods.
    """
    if not proposals:
        return None
    found = max(proposals, key=lambda one: one.replicas)
    return None if failed and found.replicas < current else found
