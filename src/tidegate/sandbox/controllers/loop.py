"""One thread that reconciles everything: woken by a change, by the runtime, and now and then.

All controllers see all objects in each pass. With a handful of objects that costs a few
milliseconds, and a pass that finds nothing to do writes nothing, so it wakes nobody.
"""

import logging
import threading
import time
from collections.abc import Callable

from tidegate.sandbox.api.kinds import CONFIGMAPS, EVENTS, LEASES, NODES, SECRETS
from tidegate.sandbox.api.settings import KNATIVE
from tidegate.sandbox.api.store import Change, Store
from tidegate.sandbox.controllers.cluster import populate
from tidegate.sandbox.controllers.deployment import DeploymentController
from tidegate.sandbox.controllers.gateway import GatewayController
from tidegate.sandbox.controllers.hpa.controller import HpaController
from tidegate.sandbox.controllers.hpa.rules import FLAGS, Flags
from tidegate.sandbox.controllers.inference_graph import InferenceGraphController
from tidegate.sandbox.controllers.ingress_table import IngressTable
from tidegate.sandbox.controllers.job import JobController
from tidegate.sandbox.controllers.keda.controller import KedaController
from tidegate.sandbox.controllers.knative import ConfigurationController, ServiceController
from tidegate.sandbox.controllers.kserve import KserveController
from tidegate.sandbox.controllers.revision import RevisionController
from tidegate.sandbox.controllers.route import RouteController
from tidegate.sandbox.controllers.virtual_service import VirtualServices
from tidegate.sandbox.interfaces import (
    Demand,
    Ingress,
    JobRunner,
    PrometheusQueries,
    ResourceMeter,
    RevisionRuntime,
)  # fmt: skip

_log = logging.getLogger(__name__)
DOMAIN = "example.com"
_POLL_S = 0.1  # how soon a server that got ready, or died, is noticed
_RESYNC_S = 1.0  # grace periods and deadlines pass without any change to wake us
_IGNORED = {CONFIGMAPS, EVENTS, LEASES, NODES, SECRETS}
_MAX_PASSES = 50


class ControllerLoop:
    """KServe, Knative and Deployments over a store, a runtime and an ingress.

    `stop` ends the reconciling and touches no server: whoever started the runtime stops it.
    """

    def __init__(
        self, store: Store, runtime: RevisionRuntime, ingress: Ingress, domain: str = DOMAIN, *,
        clock: Callable[[], float] = time.time, scale_down_grace_s: float = 15.0,
        mode: str = KNATIVE, jobs: JobRunner | None = None, demand: Demand | None = None,
        meter: ResourceMeter | None = None, hpa: Flags = FLAGS,
        queries: PrometheusQueries | None = None,
    ) -> None:  # fmt: skip
        self._store = store
        populate(store, domain, mode)
        table = IngressTable(ingress)
        virtual = VirtualServices(store, table)
        self._kserve = KserveController(store, clock, domain, virtual.publish)
        self._graphs = InferenceGraphController(store, clock)
        self._services = ServiceController(store, clock)
        self._configurations = ConfigurationController(store, clock)
        self._demand = demand
        self._revisions = RevisionController(store, runtime, clock, scale_down_grace_s, demand)
        self._routes = RouteController(store, table, clock, domain)
        self._deployments = DeploymentController(store, runtime, clock)
        self._gateway = GatewayController(store, table, clock)
        self._keda = KedaController(store, clock, queries)
        self._hpas = HpaController(store, clock, meter=meter, external=self._keda.value, flags=hpa)
        self._jobs = JobController(store, jobs, clock) if jobs else None
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="controllers", daemon=True)
        self._unsubscribe: Callable[[], None] | None = None

    def start(self) -> None:
        """Reconcile from now on, in a thread."""
        self._unsubscribe = self._store.subscribe(self._on_change)
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a second call does nothing."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._unsubscribe:
            self._unsubscribe()
            self._unsubscribe = None

    def settle(self) -> None:
        """Reconcile here and now until nothing changes; for a loop that was not started."""
        for _ in range(_MAX_PASSES):
            before = self._store.version
            self.reconcile()
            if self._store.version == before:
                return
        raise RuntimeError(f"The controllers still write after {_MAX_PASSES} passes.")

    def reconcile(self) -> None:
        """One pass. The Configuration always comes before the Route.

        The other order is Knative's race after a stage: the Route would answer about the old
        revision at the new percent, and KServe would take that for a roll-back.
        """
        self._kserve.reconcile()
        self._graphs.reconcile()
        self._services.reconcile()
        self._configurations.reconcile()
        self._revisions.reconcile(self._routes.routed)
        self._configurations.reconcile()
        self._routes.reconcile(self._revisions.serves)
        self._standard()
        if self._jobs:
            self._jobs.reconcile()
        self._services.reconcile()
        self._kserve.reconcile()
        self._graphs.reconcile()

    def _standard(self) -> None:
        """The number of pods, new servers, then the routes to them, and only then do the old ones end."""
        self._keda.reconcile()
        self._hpas.reconcile()
        self._deployments.reconcile()
        self._gateway.reconcile(self._deployments.serving)
        self._deployments.retire()

    def _statuses(self) -> tuple[object, ...]:
        jobs = self._jobs.exits() if self._jobs else {}
        waiting = dict(self._demand.waiting()) if self._demand else {}
        return self._revisions.statuses() | self._deployments.statuses(), jobs, waiting

    def _on_change(self, change: Change) -> None:
        if change.kind not in _IGNORED:
            self._wake.set()

    def _run(self) -> None:
        seen, due = self._statuses(), 0.0
        while not self._stopping.is_set():
            was_woken = self._wake.wait(_POLL_S)
            now, latest = time.monotonic(), self._statuses()
            if was_woken or latest != seen or now >= due:
                self._wake.clear()
                self._pass()
                seen, due = latest, time.monotonic() + _RESYNC_S

    def _pass(self) -> None:
        try:
            self.reconcile()
        except Exception:  # noqa: BLE001 - a bug must not end the cluster; the next pass tries again
            _log.exception("A pass of the controllers failed")
            self._stopping.wait(_POLL_S)
