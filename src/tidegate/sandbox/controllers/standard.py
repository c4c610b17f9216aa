"""KServe in Standard mode: an InferenceService becomes Deployments, Services and weighted routes.

One pass does what one reconcile does, in its order: the canaries first, then whatever no entry names
any more is deleted, then the stable predictor, then transformer and explainer, and at last each route whose
components are ready. What is of a transformer or an explainer that the spec has no more stays: KServe looks
for orphans among predictors alone (PRED:1000-1035).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from tidegate.sandbox.api.kinds import (
    DEPLOYMENTS,
    HPAS,
    HTTPROUTES,
    INGRESSES,
    PODS,
    SERVICES,
    Json,
    Kind,
)  # fmt: skip
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import (
    canary,
    components,
    runtimes,
    standard_autoscaler,
    standard_objects,
    standard_routes,
    standard_status,
    template,
)
from tidegate.sandbox.controllers.canary import Canary
from tidegate.sandbox.controllers.components import PREDICTOR
from tidegate.sandbox.controllers.objects import Wanted, address, ensure
from tidegate.sandbox.controllers.replicaset import ROLLOUT

Choose = Callable[[Json, str], Json | runtimes.NoRuntime]  # (model, namespace) -> runtime


class ReconcileError(Exception):
    """KServe gives this reconcile up; an Event says why, and the status stays as it was."""


class StandardController:
    """One InferenceService at a time."""

    def __init__(
        self, store: Store, clock: Callable[[], float], domain: str, choose: Choose
    ) -> None:
        self._store, self._clock, self._domain, self._choose = store, clock, domain, choose

    def reconcile(self, isvc: Json, runtime: Json, *, gateway_api: bool) -> Json:
        """Write the objects and return the new status. Raises ReconcileError for a canary's faults.

        A canary that cannot be built holds up the stable predictor too, as in KServe.
        """
        canaries = [self._canary(isvc, entry) for entry in isvc["spec"].get("canary") or []]
        self._drop_orphans(isvc)
        stable = self._stable(isvc, runtime, canaries)
        beside = [one for one in components.of(isvc) if one != PREDICTOR]
        deployments = {PREDICTOR: stable} | {one: self._beside(isvc, one) for one in beside}
        self._route(isvc, canaries, deployments, gateway_api=gateway_api)
        return standard_status.propagate(
            standard_status.Standing(
                isvc=isvc, deployments=deployments, canaries=canaries, pods=self._pods(stable),
                routes=self._routes(isvc) if gateway_api else None, runtime=runtime,
                domain=self._domain, stamp=timestamp(self._clock()),
            )
        )  # fmt: skip

    def stop(self, isvc: Json) -> Json:
        """Delete all of it; the status says so."""
        for kind in (DEPLOYMENTS, SERVICES, HPAS):
            for component in components.of(isvc):
                for item in self._labelled(kind, isvc, component):
                    self._store.delete(kind, *address(item))
        namespace, name = address(isvc)
        routes = [(HTTPROUTES, one) for one in standard_routes.names(isvc).values()]
        for kind, found in [*routes, (INGRESSES, name)]:
            if self._store.find(kind, namespace, found):
                self._store.delete(kind, namespace, found)
        return standard_status.stopped(isvc, timestamp(self._clock()))

    def _canary(self, isvc: Json, entry: Json) -> Canary:
        stable, name = isvc["spec"]["predictor"], entry["predictor"]["name"]
        predictor = canary.overlaid(stable, entry["predictor"])
        count = canary.replicas(stable, entry)
        runtime = self._runtime(isvc, predictor, name)
        deployed = self._deploy(isvc, predictor, runtime, count)
        return Canary(
            name=name,
            percent=entry["trafficPercent"],
            replicas=count,
            ready=canary.is_available(deployed),
        )

    def _runtime(self, isvc: Json, predictor: Json, name: str) -> Json:
        model = predictor.get("model") or {}
        prefix = (
            "fails to reconcile canary deployments: fails to build resources for canary"
            f" {name}"
        )  # fmt: skip
        if refusal := template.storage_refusal(str(model.get("storageUri", ""))):
            raise ReconcileError(f"{prefix}: StorageURI not supported: {refusal}")
        runtime = self._choose(model, isvc["metadata"]["namespace"])
        if isinstance(runtime, runtimes.NoRuntime):
            raise ReconcileError(f"{prefix}: {runtime.message}")
        return runtime

    def _stable(self, isvc: Json, runtime: Json, canaries: list[Canary]) -> Json:
        predictor = isvc["spec"]["predictor"]
        wanted = canary.reduced(predictor.get("minReplicas"), canaries)
        return self._deploy(isvc, predictor, runtime, wanted)

    def _deploy(self, isvc: Json, predictor: Json, runtime: Json, low: int | None) -> Json:
        name = canary.service_name(isvc["metadata"]["name"], predictor.get("name", ""))
        count = self._count(isvc, name, low)
        wanted = standard_objects.deployment(isvc, predictor, runtime, count)
        return self._write(isvc, wanted, predictor | {"minReplicas": low})

    def _beside(self, isvc: Json, component: str) -> Json:
        """A transformer's or an explainer's Deployment."""
        name = components.service_name(isvc["metadata"]["name"], component)
        count = self._count(isvc, name, isvc["spec"][component].get("minReplicas"))
        wanted = standard_objects.component_deployment(isvc, component, count)
        return self._write(isvc, wanted, isvc["spec"][component])

    def _count(self, isvc: Json, name: str, low: int | None) -> int:
        before = self._store.find(DEPLOYMENTS, isvc["metadata"]["namespace"], name)
        autoscaler = (isvc["metadata"].get("annotations") or {}).get(canary.AUTOSCALER, "")
        return canary.scaled(low, autoscaler, before["spec"]["replicas"] if before else 1)

    def _write(self, isvc: Json, wanted: Wanted, extension: Json) -> Json:
        """The Deployment, the Service before it and the HPA, for which `extension` has the bounds."""
        before = self._store.find(DEPLOYMENTS, wanted.namespace, wanted.name)
        self._own(standard_objects.service(isvc, wanted))
        deployed = self._own(replace(wanted, annotations=wanted.annotations | _kept(before)))
        standard_autoscaler.reconcile(self._store, wanted, extension)
        return deployed

    def _own(self, wanted: Wanted) -> Json:
        """Another owner's object of the same name is left alone: `a` + `b-c` and `a-b` + `c` collide."""
        found = self._store.find(wanted.kind, wanted.namespace, wanted.name)
        owners = (found or wanted.owner)["metadata"].get("ownerReferences") or []
        if found and wanted.owner["metadata"]["uid"] not in {owner["uid"] for owner in owners}:
            by = f"{owners[0]['kind']} {owners[0]['name']}" if owners else "nobody"
            raise ReconcileError(
                f"Object {wanted.namespace}/{wanted.name} is already owned by {by}"
            )
        return ensure(self._store, wanted)

    def _drop_orphans(self, isvc: Json) -> None:
        """Whatever carries the InferenceService's labels and is no predictor of it (PRED:1000-1035)."""
        spec = isvc["spec"]
        variants = [spec["predictor"], *(entry["predictor"] for entry in spec.get("canary") or [])]
        name = isvc["metadata"]["name"]
        expected = {canary.service_name(name, variant.get("name", "")) for variant in variants}
        for kind in (DEPLOYMENTS, SERVICES):
            for item in self._labelled(kind, isvc):
                if item["metadata"]["name"] not in expected:
                    self._store.delete(kind, *address(item))

    def _labelled(self, kind: Kind, isvc: Json, component: str = PREDICTOR) -> list[Json]:
        namespace, name = address(isvc)
        identity = {template.ISVC_LABEL: name, "component": component}
        return [
            item
            for item in self._store.items(kind, namespace)
            if identity.items() <= (item["metadata"].get("labels") or {}).items()
        ]

    def _route(
        self,
        isvc: Json,
        canaries: list[Canary],
        deployments: Mapping[str, Json],
        *,
        gateway_api: bool,
    ) -> None:
        """A route whose components are not ready stays as it is (HR:260-266)."""
        ready = {
            component
            for component, one in deployments.items()
            if standard_status.ready_of(component, one).is_true
        }
        if not gateway_api:
            if ready.issuperset(standard_routes.ingress_needs(isvc)):
                ensure(self._store, standard_routes.ingress(isvc, self._domain))
            return
        variant = isvc["spec"]["predictor"].get("name", "")
        shares = canary.weights(isvc["metadata"]["name"], variant, canaries)
        for what in standard_routes.names(isvc):
            if ready.issuperset(standard_routes.needs(isvc, what)):
                wanted = standard_routes.http_route(isvc, what, shares, self._domain)
                ensure(self._store, wanted)

    def _routes(self, isvc: Json) -> dict[str, Json | None]:
        namespace, named = isvc["metadata"]["namespace"], standard_routes.names(isvc)
        return {what: self._store.find(HTTPROUTES, namespace, n) for what, n in named.items()}

    def _pods(self, deployment: Json) -> list[Json]:
        namespace, name = address(deployment)
        app = standard_objects.app_label(name)
        found = self._store.items(PODS, namespace)
        return [p for p in found if p["metadata"].get("labels", {}).get("app") == app]


def _kept(deployment: Json | None) -> dict[str, str]:
    """The Deployment controller's own annotation, which is not KServe's to remove."""
    found: dict[str, str] = ((deployment or {}).get("metadata") or {}).get("annotations") or {}
    return {key: value for key, value in found.items() if key == ROLLOUT}
