"""KServe in Knative mode: a Knative Service for each component, and the virtual service before them.

One pass does what one reconcile does, in its order: predictor, transformer, explainer, and only when all of
them were written the ingress. A component that Knative refuses ends the reconcile (CTL:288-300).
"""

from collections.abc import Callable

from tidegate.sandbox.api.kinds import KSERVICES, PODS, VIRTUALSERVICES, Json
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import (
    components,
    kpa_settings,
    kserve_status,
    pods,
    targets,
    template,
    traffic,
    virtual_service,
)
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.objects import Wanted, address, ensure

_WEBHOOK = 'admission webhook "validation.webhook.serving.knative.dev" denied the request'


class KnativeModeController:
    """One InferenceService at a time."""

    def __init__(
        self, store: Store, clock: Callable[[], float], domain: str, events: Events
    ) -> None:
        self._store, self._clock, self._domain, self._events = store, clock, domain, events

    def reconcile(self, isvc: Json, runtime: Json) -> Json:
        """Write the objects and return the new status."""
        ksvcs: dict[str, Json] = {}
        for component in components.of(isvc):
            wanted = self._traffic(isvc, component)
            made = components.revision_template(isvc, component, runtime)
            if refusal := (
                traffic.refusal(wanted)
                or kpa_settings.refusal(made["metadata"]["annotations"])
                or template.pod_refusal(isvc, component)
            ):
                return self._refused(isvc, runtime, ksvcs, (component, refusal))
            ksvcs[component] = self._ensure(isvc, component, made, wanted)
        status = self._status(isvc, runtime, ksvcs)
        if kserve_status.is_whole(status, ksvcs):
            ensure(self._store, virtual_service.wanted(isvc, self._domain))
        return status

    def stop(self, isvc: Json) -> Json:
        """Delete all of it; the status says so."""
        namespace, name = address(isvc)
        named = [(KSERVICES, components.service_name(name, one)) for one in components.ALL]
        for kind, found in [*named, (VIRTUALSERVICES, name)]:
            if self._store.find(kind, namespace, found):
                self._store.delete(kind, namespace, found)
        return kserve_status.stopped(components.of(isvc), timestamp(self._clock()))

    def _traffic(self, isvc: Json, component: str) -> tuple[traffic.Target, ...]:
        rolled = kserve_status.rollout(isvc.get("status") or {}, component)
        tagged = isvc["metadata"].get("annotations", {}).get(template.TAG_ROUTING) == "true"
        percent = template.canary_percent(isvc, component)
        return traffic.desired(percent, rolled.latest_rolledout, tag_routing=tagged)

    def _ensure(
        self, isvc: Json, component: str, made: Json, wanted: tuple[traffic.Target, ...]
    ) -> Json:
        namespace, name = address(isvc)
        annotations = isvc["metadata"].get("annotations", {})
        return ensure(
            self._store,
            Wanted(
                kind=KSERVICES, namespace=namespace, name=components.service_name(name, component),
                owner=isvc, spec={"template": made, "traffic": targets.spec_json(wanted)},
                labels={template.ISVC_LABEL: name, "component": component},
                annotations={k: v for k, v in annotations.items() if k == template.ROLLOUT},
            ),
        )  # fmt: skip

    def _status(self, isvc: Json, runtime: Json, ksvcs: dict[str, Json]) -> Json:
        newest = (ksvcs[components.PREDICTOR].get("status") or {}).get(
            "latestCreatedRevisionName", ""
        )
        return kserve_status.propagate(
            kserve_status.Sources(
                isvc=isvc, ksvcs=ksvcs, pods=self._pods(isvc, newest), runtime=runtime,
                domain=self._domain, stamp=timestamp(self._clock()),
            )
        )  # fmt: skip

    def _refused(
        self, isvc: Json, runtime: Json, ksvcs: dict[str, Json], why: tuple[str, str]
    ) -> Json:
        """The component is not ready; those before it are as they are, those after it are not looked at."""
        component, refusal = why
        message = f"{_WEBHOOK}: validation failed: {refusal}"
        for reason, told in (
            ("InternalError", f"fails to reconcile {component}: {message}"),
            ("ReconcileFailed", message),
        ):
            self._events.warn(isvc, reason, told)
        before = self._status(isvc, runtime, ksvcs) if ksvcs else isvc.get("status") or {}
        stamp = timestamp(self._clock())
        return kserve_status.refused(before, "ReconcileFailed", message, stamp, component)

    def _pods(self, isvc: Json, revision: str) -> list[Json]:
        found = self._store.items(PODS, isvc["metadata"]["namespace"])
        return [p for p in found if p["metadata"].get("labels", {}).get(pods.REVISION) == revision]
