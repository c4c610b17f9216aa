"""Knative's Service and Configuration: the template becomes revisions, their state comes back up."""

import re
from collections.abc import Callable

from tidegate.sandbox.api.kinds import CONFIGURATIONS, KSERVICES, REVISIONS, ROUTES, Json, Kind
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import conditions, traffic
from tidegate.sandbox.controllers.conditions import Condition
from tidegate.sandbox.controllers.objects import Wanted, address, ensure

_SERVICE = "serving.knative.dev/service"
_CONFIGURATION = "serving.knative.dev/configuration"
_GENERATION = "serving.knative.dev/configurationGeneration"
DEFAULT_DEADLINE_S = 600.0
RETENTION = "autoscaling.knative.dev/scale-to-zero-pod-retention-period"
DEADLINE = "serving.knative.dev/progress-deadline"


class ServiceController:
    """ksvc -> Configuration and Route; their status -> the ksvc's."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def reconcile(self) -> None:
        """Every ksvc, once."""
        for ksvc in self._store.items(KSERVICES):
            configuration = self._child(
                ksvc, CONFIGURATIONS, {"template": ksvc["spec"]["template"]}
            )
            route = self._child(ksvc, ROUTES, {"traffic": ksvc["spec"]["traffic"]})
            stamp = timestamp(self._clock())
            status = service_status(ksvc, configuration, route, stamp)
            self._store.write_status(KSERVICES, *address(ksvc), status)

    def _child(self, ksvc: Json, kind: Kind, spec: Json) -> Json:
        namespace, name = address(ksvc)
        labels = {_SERVICE: name} | ksvc["metadata"].get("labels", {})
        wanted = Wanted(
            kind=kind, namespace=namespace, name=name, owner=ksvc, spec=spec, labels=labels
        )
        return ensure(self._store, wanted)


def service_status(ksvc: Json, configuration: Json, route: Json, stamp: str) -> Json:
    """The ksvc's status. A child's word counts only about its current generation; traffic always."""
    before, rolled, routed = (item.get("status") or {} for item in (ksvc, configuration, route))
    parts = [_word("ConfigurationsReady", configuration), _word("RoutesReady", route)]
    every = [*parts, conditions.all_of("Ready", parts)]
    status: Json = {
        "observedGeneration": ksvc["metadata"]["generation"],
        "conditions": conditions.as_json(every, before, stamp),
    }
    current = rolled.get("observedGeneration") == configuration["metadata"]["generation"]
    for key in ("latestCreatedRevisionName", "latestReadyRevisionName"):
        if name := (rolled if current else before).get(key):
            status[key] = name
    kept = {key: routed[key] for key in ("traffic", "url", "address") if key in routed}
    return status | kept


def _word(name: str, child: Json) -> Condition:
    status = child.get("status") or {}
    if status.get("observedGeneration") != child["metadata"]["generation"]:
        return Condition(type=name, status="Unknown", reason="OutOfDate")
    found = conditions.find(status, "Ready")
    return Condition(type=name, status=found.status, reason=found.reason, message=found.message)


class ConfigurationController:
    """Configuration -> the Revision of its generation; which of them is the newest Ready one."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock

    def reconcile(self) -> None:
        """Every Configuration, once."""
        for configuration in self._store.items(CONFIGURATIONS):
            # Listed before a missing one is made: a deleted revision is forgotten as the newest Ready
            # one even though it comes back, which is the way out of a blocked Route.
            mine = self._revisions(configuration)
            created = self._revision(configuration)
            status = configuration_status(configuration, created, mine, timestamp(self._clock()))
            self._store.write_status(CONFIGURATIONS, *address(configuration), status)

    def _revisions(self, configuration: Json) -> list[Json]:
        namespace, name = address(configuration)
        found = self._store.items(REVISIONS, namespace)
        return [r for r in found if r["metadata"]["labels"].get(_CONFIGURATION) == name]

    def _revision(self, configuration: Json) -> Json:
        """The Revision of the current generation; a deleted one is made again."""
        namespace, name = address(configuration)
        revision_name = f"{name}-{configuration['metadata']['generation']:05d}"
        found = self._store.find(REVISIONS, namespace, revision_name)
        template = configuration["spec"]["template"]
        return found or ensure(
            self._store,
            Wanted(
                kind=REVISIONS,
                namespace=namespace,
                name=revision_name,
                owner=configuration,
                spec=template["spec"],
                labels=_revision_labels(configuration),
                annotations=template["metadata"].get("annotations", {}),
            ),
        )


def _revision_labels(configuration: Json) -> dict[str, str]:
    meta = configuration["metadata"]
    inherited: dict[str, str] = configuration["spec"]["template"]["metadata"].get("labels", {})
    return inherited | {
        _SERVICE: meta["labels"][_SERVICE],
        _CONFIGURATION: meta["name"],
        _GENERATION: str(meta["generation"]),
    }


def configuration_status(configuration: Json, created: Json, mine: list[Json], stamp: str) -> Json:
    """latestCreated, latestReady, and Ready as the latest created revision says."""
    before = configuration.get("status") or {}
    generations = {r["metadata"]["name"]: int(r["metadata"]["labels"][_GENERATION]) for r in mine}
    ready = [r["metadata"]["name"] for r in mine if is_ready(r)]
    newest = traffic.latest_ready(before.get("latestReadyRevisionName", ""), generations, ready)
    status: Json = {
        "observedGeneration": configuration["metadata"]["generation"],
        "latestCreatedRevisionName": created["metadata"]["name"],
        "conditions": conditions.as_json([_configuration_ready(created)], before, stamp),
    }
    return status | ({"latestReadyRevisionName": newest} if newest else {})


def is_ready(revision: Json) -> bool:
    """The Revision's Ready condition."""
    return conditions.find(revision.get("status") or {}, "Ready").is_true


def _configuration_ready(created: Json) -> Condition:
    found = conditions.find(created.get("status") or {}, "Ready")
    if found.status != "False":
        return found
    text = f'Revision "{created["metadata"]["name"]}" failed with message: {found.message}.'
    return Condition(type="Ready", status="False", reason="RevisionFailed", message=text)


def progress_deadline_s(revision: Json) -> float:
    """How long a revision may take."""
    return duration_s(revision, DEADLINE) or DEFAULT_DEADLINE_S


def duration_s(revision: Json, annotation: str) -> float:
    """What an annotation says; 0 where there is none."""
    return seconds_of(revision["metadata"].get("annotations", {}).get(annotation, "0")) or 0.0


def seconds_of(text: str) -> float | None:
    """A Go duration in h, m, s, ms; None when it is none."""
    if text == "0":
        return 0.0
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(value + unit for value, unit in parts) != text:
        return None
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(value) * units[unit] for value, unit in parts)
