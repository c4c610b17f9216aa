"""What the metrics of one HPA ask for, and which of them asks for most (`computeReplicasForMetrics`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tidegate.sandbox.api.kinds import Json
from tidegate.sandbox.controllers.hpa import rules, spec, status
from tidegate.sandbox.controllers.hpa.rules import Flags, Proposal, UnmeasuredError
from tidegate.sandbox.controllers.hpa.sight import seen
from tidegate.sandbox.controllers.hpa.spec import ExternalMetric, Metric, ResourceMetric
from tidegate.sandbox.controllers.hpa.status import Said
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.interfaces import Usage

External = Callable[
    [str, str, Mapping[str, str]], float
]  # (namespace, metric, labels) -> its value


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One HPA, what it scales, and the pods of that."""

    hpa: Json
    deployment: Json
    pods: list[Json]
    used: Mapping[str, Usage | None]  # by the name of the pod
    said: Said

    @property
    def current(self) -> int:
        """`spec.replicas` of the Deployment, 1 where it is not given (pkg/apis/apps/v1/defaults.go)."""
        return int(self.deployment["spec"].get("replicas", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The metric that asks for most, None where it is not known; and (reason, message) of what failed."""

    most: tuple[Metric, Proposal] | None
    failures: Sequence[tuple[str, str]]


def asked(scene: Scene, external: External, now: float, flags: Flags) -> Asked:
    """Ask all of them, and tell their values in the status; one that is not known forbids fewer pods."""
    found: list[tuple[Metric, Proposal]] = []
    failures: list[tuple[str, str]] = []
    for metric in spec.metrics(scene.hpa):
        try:
            proposal = _one(scene, metric, external, now, flags)
        except UnmeasuredError as error:
            failures.append((status.reason_of(metric), str(error)))
        else:
            found.append((metric, proposal))
            scene.said.metrics.append(status.current(metric, proposal))
    best = rules.most([p for _, p in found], failed=len(failures), current=scene.current)
    return Asked(most=next((one for one in found if one[1] is best), None), failures=failures)


def _one(
    scene: Scene, metric: Metric, external: External, now: float, flags: Flags
) -> Proposal:  # fmt: skip
    if isinstance(metric, ResourceMetric):
        return _of_resource(scene, metric, now, flags)
    if isinstance(metric, ExternalMetric):
        return _of_external(scene, metric, external, flags)
    raise UnmeasuredError(f"unable to get metric {metric.type}: no custom metrics API is here")


def _of_resource(scene: Scene, metric: ResourceMetric, now: float, flags: Flags) -> Proposal:
    pods = seen(scene.pods, scene.used, metric.name)
    if metric.average is not None:
        return rules.average(
            pods, target=metric.average, current=scene.current, resource=metric.name, now=now,
            flags=flags,
        )  # fmt: skip
    try:
        return rules.utilization(
            pods, spec.requests(scene.pods, metric.name),
            target_percent=metric.percent or spec.CPU_PERCENT, current=scene.current,
            resource=metric.name, now=now, flags=flags,
        )  # fmt: skip
    except UnmeasuredError as error:
        raise UnmeasuredError(f"failed to get {metric.name} utilization: {error}") from error


def _of_external(
    scene: Scene, metric: ExternalMetric, external: External, flags: Flags
) -> Proposal:  # fmt: skip
    target = metric.value if metric.average is None else metric.average
    if not target:
        raise UnmeasuredError(
            "invalid external metric source: neither a value target nor an average value target was set"
        )
    value = external(address(scene.hpa)[0], metric.name, metric.labels)
    if metric.average is not None:
        pods = int((scene.deployment.get("status") or {}).get("replicas", 0))
        return rules.external_average(value, target=target, replicas=pods, flags=flags)
    return rules.external_value(
        value, seen(scene.pods, {}), target=target, current=scene.current, flags=flags
    )
