"""KServe: an InferenceService becomes a Knative Service, whose state becomes its status.

In Standard mode it becomes Deployments instead; which of the two it is, is decided here.
"""

from collections.abc import Callable

from tidegate.sandbox import program
from tidegate.sandbox.api import settings
from tidegate.sandbox.api.kinds import (
    CLUSTERSERVINGRUNTIMES,
    CONFIGMAPS,
    INFERENCESERVICES,
    KSERVICES,
    PODS,
    SERVINGRUNTIMES,
    Json,
)  # fmt: skip
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import (
    hosts,
    kserve_status,
    model_status,
    pods,
    runtimes,
    targets,
    template,
    traffic,
)  # fmt: skip
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.objects import Wanted, address, ensure
from tidegate.sandbox.controllers.standard import ReconcileError, StandardController

_STOP = "serving.kserve.io/stop"
_KNATIVE_WEBHOOK = 'admission webhook "validation.webhook.serving.knative.dev" denied the request'


class KserveController:
    """InferenceService -> ksvc, or Deployments -> status."""

    def __init__(self, store: Store, clock: Callable[[], float], domain: str) -> None:
        self._store, self._clock, self._domain = store, clock, domain
        self._events = Events(store, clock, "v1beta1Controllers")
        self._standard = StandardController(store, clock, domain, self._choose)

    def reconcile(self) -> None:
        """Every InferenceService, once."""
        for isvc in self._store.items(INFERENCESERVICES):
            try:
                status = self._reconcile(isvc)
            except ReconcileError as error:
                self._events.warn(isvc, "InternalError", str(error))
                continue
            except Exception as error:  # noqa: BLE001 - one broken object must not stop the others
                self._events.warn(isvc, "InternalError", f"{type(error).__name__}: {error}")
                continue
            if status is not None:
                self._store.write_status(INFERENCESERVICES, *address(isvc), status)

    def _reconcile(self, isvc: Json) -> Json | None:
        """The new status, or None where KServe returns early and leaves the old one."""
        cluster = settings.read(self._store.find(CONFIGMAPS, settings.NAMESPACE, settings.NAME))
        mode = settings.mode(isvc, cluster)
        if unsupported := _not_emulated(isvc, mode):
            return self._refuse(isvc, "NotEmulated", unsupported)
        if isvc["metadata"].get("annotations", {}).get(_STOP) == "true":
            return self._standard.stop(isvc) if mode == settings.STANDARD else self._stop(isvc)
        return self._run(isvc, cluster, mode)

    def _run(self, isvc: Json, cluster: settings.Settings, mode: str) -> Json | None:
        """Both modes begin alike: a storage and a runtime that will do."""
        uri = str(template.model(isvc).get("storageUri", ""))
        if refusal := template.storage_refusal(uri):
            # An Event is all that KServe says here: the old Ready=True remains.
            self._events.warn(isvc, "InternalError", refusal)
            return None
        runtime = self._choose(template.model(isvc), isvc["metadata"]["namespace"])
        if isinstance(runtime, runtimes.NoRuntime):
            self._events.warn(isvc, "InternalError", runtime.message)
            before = isvc.get("status") or {}
            broken = model_status.invalid(before.get("modelStatus") or {}, runtime)
            return before | {"modelStatus": broken}
        if mode == settings.STANDARD:
            return self._standard.reconcile(isvc, runtime, gateway_api=cluster.gateway_api)
        return self._roll(isvc, runtime)

    def _roll(self, isvc: Json, runtime: Json) -> Json:
        rolled = kserve_status.rollout(isvc.get("status") or {})
        tagged = isvc["metadata"].get("annotations", {}).get(template.TAG_ROUTING) == "true"
        wanted = traffic.desired(
            template.canary_percent(isvc), rolled.latest_rolledout, tag_routing=tagged
        )
        refusal = traffic.refusal(wanted) or template.pod_refusal(isvc)
        if refusal:
            message = f"{_KNATIVE_WEBHOOK}: validation failed: {refusal}"
            self._events.warn(isvc, "InternalError", f"fails to reconcile predictor: {message}")
            return self._refuse(isvc, "ReconcileFailed", message)
        ksvc = self._ensure_ksvc(isvc, runtime, wanted)
        newest = (ksvc.get("status") or {}).get("latestCreatedRevisionName", "")
        return kserve_status.propagate(
            kserve_status.Sources(
                isvc=isvc,
                ksvc=ksvc,
                pods=self._pods(isvc, newest),
                runtime=runtime,
                domain=self._domain,
                stamp=timestamp(self._clock()),
            )
        )

    def _ensure_ksvc(self, isvc: Json, runtime: Json, wanted: tuple[traffic.Target, ...]) -> Json:
        namespace, name = address(isvc)
        annotations = isvc["metadata"].get("annotations", {})
        moved = {k: v for k, v in annotations.items() if k == template.ROLLOUT}
        block = targets.spec_json(wanted)
        spec = {"template": template.revision_template(isvc, runtime), "traffic": block}
        return ensure(
            self._store,
            Wanted(
                kind=KSERVICES,
                namespace=namespace,
                name=name + hosts.SUFFIX,
                owner=isvc,
                spec=spec,
                labels={template.ISVC_LABEL: name, "component": "predictor"},
                annotations=moved,
            ),
        )

    def _choose(self, model: Json, namespace: str) -> Json | runtimes.NoRuntime:
        known = self._store.items(SERVINGRUNTIMES, namespace)
        known += self._store.items(CLUSTERSERVINGRUNTIMES)
        return runtimes.choose(model, known, namespace)

    def _pods(self, isvc: Json, revision: str) -> list[Json]:
        found = self._store.items(PODS, isvc["metadata"]["namespace"])
        return [p for p in found if p["metadata"].get("labels", {}).get(pods.REVISION) == revision]

    def _refuse(self, isvc: Json, reason: str, message: str) -> Json:
        self._events.warn(isvc, reason, message)
        stamp = timestamp(self._clock())
        return kserve_status.refused(isvc.get("status") or {}, reason, message, stamp)

    def _stop(self, isvc: Json) -> Json:
        namespace, name = address(isvc)
        if self._store.find(KSERVICES, namespace, name + hosts.SUFFIX):
            self._store.delete(KSERVICES, namespace, name + hosts.SUFFIX)
        return kserve_status.stopped(timestamp(self._clock()))


def _not_emulated(isvc: Json, mode: str) -> str:
    """What this cluster cannot do; saying so beats doing something else."""
    spec = isvc["spec"]
    if mode not in {settings.KNATIVE, settings.STANDARD}:
        return f"deploymentMode {mode} is not emulated; use Knative or Standard"
    for component in ("transformer", "explainer"):
        if spec.get(component):
            return f"spec.{component} is not emulated yet; remove it or use a real cluster"
    if not template.model(isvc):
        return "a predictor without `model` is not emulated; use predictor.model"
    return _not_run(spec["predictor"].get("containers") or [])


def _not_run(containers: list[Json]) -> str:
    """No image is run here, and of the containers beside a model only a transformer."""
    for one in containers:
        name, command = one.get("name", ""), one.get("command") or []
        if name != pods.TRANSFORMER:
            return f"container {name} beside the model is not emulated; use a real cluster"
        if not program.exists(command):
            return (
                f"container {name}: no image is run here, and its command {command} names no program of this "
                "machine; name one in `command`"
            )
    return ""
