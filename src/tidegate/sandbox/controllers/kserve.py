"""KServe: an InferenceService becomes Knative Services, whose state becomes its status.

In Standard mode it becomes Deployments instead; which of the two it is, is decided here.
"""

from collections.abc import Callable

from tidegate.sandbox import program
from tidegate.sandbox.api import settings
from tidegate.sandbox.api.kinds import (
    CLUSTERSERVINGRUNTIMES,
    CONFIGMAPS,
    INFERENCESERVICES,
    SERVINGRUNTIMES,
    Json,
)  # fmt: skip
from tidegate.sandbox.api.metadata import timestamp
from tidegate.sandbox.api.store import Store
from tidegate.sandbox.controllers import (
    components,
    kserve_status,
    model_status,
    pods,
    runtimes,
    template,
)
from tidegate.sandbox.controllers.events import Events
from tidegate.sandbox.controllers.knative_mode import KnativeModeController
from tidegate.sandbox.controllers.objects import address
from tidegate.sandbox.controllers.standard import ReconcileError, StandardController

_STOP = "serving.kserve.io/stop"


class KserveController:
    """InferenceService -> ksvcs, or Deployments -> status."""

    def __init__(
        self, store: Store, clock: Callable[[], float], domain: str, publish: Callable[[], None]
    ) -> None:
        """`publish` puts the virtual services in force; what a status says of them is so by then."""
        self._store, self._clock, self._publish = store, clock, publish
        self._events = Events(store, clock, "v1beta1Controllers")
        self._knative = KnativeModeController(store, clock, domain, self._events)
        self._standard = StandardController(store, clock, domain, self._choose)

    def reconcile(self) -> None:
        """Every InferenceService, once."""
        statuses = [(isvc, self._attempt(isvc)) for isvc in self._store.items(INFERENCESERVICES)]
        self._publish()
        for isvc, status in statuses:
            if status is not None:
                self._store.write_status(INFERENCESERVICES, *address(isvc), status)

    def _attempt(self, isvc: Json) -> Json | None:
        try:
            return self._reconcile(isvc)
        except ReconcileError as error:
            self._events.warn(isvc, "InternalError", str(error))
        except Exception as error:  # noqa: BLE001 - one broken object must not stop the others
            self._events.warn(isvc, "InternalError", f"{type(error).__name__}: {error}")
        return None

    def _reconcile(self, isvc: Json) -> Json | None:
        """The new status, or None where KServe returns early and leaves the old one."""
        cluster = settings.read(self._store.find(CONFIGMAPS, settings.NAMESPACE, settings.NAME))
        mode = settings.mode(isvc, cluster)
        if unsupported := _not_emulated(isvc, mode):
            return self._refuse(isvc, "NotEmulated", unsupported)
        if isvc["metadata"].get("annotations", {}).get(_STOP) == "true":
            return self._stop(isvc, mode)
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
        return self._knative.reconcile(isvc, runtime)

    def _stop(self, isvc: Json, mode: str) -> Json:
        own = self._standard if mode == settings.STANDARD else self._knative
        return own.stop(isvc)

    def _choose(self, model: Json, namespace: str) -> Json | runtimes.NoRuntime:
        known = self._store.items(SERVINGRUNTIMES, namespace)
        known += self._store.items(CLUSTERSERVINGRUNTIMES)
        return runtimes.choose(model, known, namespace)

    def _refuse(self, isvc: Json, reason: str, message: str) -> Json:
        self._events.warn(isvc, reason, message)
        stamp = timestamp(self._clock())
        return kserve_status.refused(isvc.get("status") or {}, reason, message, stamp)


def _not_emulated(isvc: Json, mode: str) -> str:
    """What this cluster cannot do; saying so beats doing something else."""
    spec = isvc["spec"]
    if mode not in {settings.KNATIVE, settings.STANDARD}:
        return f"deploymentMode {mode} is not emulated; use Knative or Standard"
    beside = [one for one in components.of(isvc) if one != components.PREDICTOR]
    if not template.model(isvc):
        return "a predictor without `model` is not emulated; use predictor.model"
    refusals = [_not_run(spec["predictor"].get("containers") or [])]
    refusals += [components.not_run(isvc, one) for one in beside]
    return next((one for one in refusals if one), "")


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
