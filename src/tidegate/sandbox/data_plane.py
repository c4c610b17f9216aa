"""The real servers of a sandbox, wired together: who asks whom, and how all of them end."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from tidegate.config import settings
from tidegate.core.storage_place import mounts_of
from tidegate.sandbox import prometheus
from tidegate.sandbox.controllers.replica_pods import replica_of
from tidegate.sandbox.controllers.troubles import STORAGE_FAILED, STORAGE_INITIALIZER
from tidegate.sandbox.demand import EnvoyDemand
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.interfaces import RevisionSpec
from tidegate.sandbox.jobs import ProcessJobs
from tidegate.sandbox.mesh_metrics import MeshMetrics
from tidegate.sandbox.mlflow_server import MlflowServer
from tidegate.sandbox.process import Child, Spawner
from tidegate.sandbox.prometheus import Prometheus
from tidegate.sandbox.queue_proxy import Era, QueueProxyMetrics, RevisionLabels
from tidegate.sandbox.revision import log_of
from tidegate.sandbox.state import StateDirectory
from tidegate.sandbox.triton import TritonRuntime
from tidegate.sandbox.usage import RESOLUTION_S, ProcessMeter, Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports that were asked for; None takes a free one."""

    ingress: int | None = None
    mlflow: int | None = None
    prometheus: int | None = None
    kubernetes: int | None = None


class _Common(TypedDict):
    spawner: Spawner
    sandbox_id: str
    on_exit: Callable[[Child], None]


class DataPlane:
    """MLflow, Prometheus, Envoy, the Tritons and the queue-proxy's metrics; made, not yet started."""

    def __init__(
        self,
        directory: StateDirectory,
        *,
        sandbox_id: str,
        ports: Ports,
        era: Era,
        on_exit: Callable[[Child], None],
        on_change: Callable[[], None],
        metric_resolution_s: float = RESOLUTION_S,
    ) -> None:
        root, logs = directory.root, directory.logs
        self._spawner = spawner = Spawner()
        common: _Common = {"spawner": spawner, "sandbox_id": sandbox_id, "on_exit": on_exit}
        self.mlflow = MlflowServer(
            root / "mlflow", port=ports.mlflow, log=logs / "mlflow.log", **common
        )
        self.prometheus = Prometheus(
            root / "prometheus", port=ports.prometheus, log=logs / "prometheus.log", **common
        )
        self.runtime = TritonRuntime(
            root, spawner=spawner, sandbox_id=sandbox_id, logs=logs, on_change=on_change,
            claims=_claims(),
            address=lambda name: self.ingress.address(name),
        )  # fmt: skip
        self.jobs = ProcessJobs(root / "jobs", spawner=spawner, sandbox_id=sandbox_id)
        self.ingress = EnvoyIngress(
            root / "envoy", endpoints=self._endpoints, port=ports.ingress,
            log=logs / "envoy.log", **common,
        )  # fmt: skip
        self.demand = EnvoyDemand(
            admin=self.ingress.admin, ready=self.runtime.ready, on_change=on_change
        )
        self.usage = ProcessMeter(self._processes, resolution_s=metric_resolution_s)
        self.queue_proxy = QueueProxyMetrics(
            scrape=self._scrape_envoy, revisions=self._revisions, era=era,
            mesh=MeshMetrics(self._specs),
        )  # fmt: skip

    def starts(self) -> Mapping[str, Callable[[], None]]:
        """What to call, at the same time, until each returns ready."""
        self.mlflow.spawn()  # at once: it takes longest, and the rest starts meanwhile
        self.queue_proxy.start()
        self.demand.start()
        self.usage.start()
        return {
            "mlflow": self.mlflow.start,
            "prometheus": self.prometheus.start,
            "envoy": self.ingress.start,
        }

    def follow_revisions(self) -> None:
        """Point Prometheus and Envoy at the revisions that there are now."""
        port = self.queue_proxy.port
        self.prometheus.set_targets(
            prometheus.targets_of(self.runtime.pods(), queue_proxy_port=port)
        )
        self.ingress.refresh()

    def dead(self) -> list[str]:
        """Servers of the infrastructure that ended by themselves."""
        children = (self.mlflow.child, self.prometheus.child, self.ingress.child)
        return [c.name for c in children if c and not c.is_alive and not c.stopping]

    def pod_log(self, namespace: str, pod: str, container: str = "") -> str:
        """What `kubectl logs` shows of a revision's pod, all runs of its server, or of a Job's."""
        for found in self.runtime.pods():
            if _is_of(pod, found.spec) and found.spec.namespace == namespace:
                if container == STORAGE_INITIALIZER:
                    return found.status.message if found.status.reason == STORAGE_FAILED else ""
                own = found.spec.program if found.spec.has_model else None
                is_beside = own is not None and own.container == container
                log = log_of(found.log, container) if is_beside else found.log
                return log.read_text(errors="replace") if log.exists() else ""
        return self.jobs.log(namespace, pod, container)

    def close(self) -> None:
        """End all servers at once and wait until they are gone."""
        self.demand.close()
        self.usage.close()
        servers = (self.runtime, self.jobs, self.ingress, self.prometheus, self.mlflow)
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(lambda server: server.close(), servers))
        self.queue_proxy.close()
        self._spawner.close()

    def _endpoints(self, namespace: str, name: str) -> tuple[Endpoint, ...]:
        """The activator's, in place of the servers', while it holds a revision's requests."""
        held = self.demand.activator.endpoint(namespace, name)
        return (held,) if held else self.runtime.endpoints(namespace, name)

    def _scrape_envoy(self) -> str:
        return self.ingress.admin("/stats/prometheus?filter=revision_duration")

    def _revisions(self) -> list[RevisionLabels]:
        return [
            RevisionLabels(namespace=s.namespace, name=s.name, service=s.service, replica=s.replica)
            for s in self._specs()
            if s.workload == "Revision"
        ]

    def _processes(self) -> dict[Server, tuple[int, ...]]:
        return {
            (pod.spec.namespace, pod.spec.name, pod.spec.replica): pod.pids
            for pod in self.runtime.pods()
            if pod.pids
        }

    def _specs(self) -> list[RevisionSpec]:
        return [pod.spec for pod in self.runtime.pods()]


def _is_of(pod: str, spec: RevisionSpec) -> bool:
    return pod.startswith(f"{spec.name}-") and replica_of(pod) == spec.replica


def _claims() -> dict[str, Path]:
    """The folders that stand for claims here: those that publish is told, too."""
    return {claim: Path(at) for claim, at in mounts_of(settings().claim_mounts).items()}
