"""The embedded cluster as one object: starts its parts at the same time, watches them, ends them all.

`with Sandbox(folder) as sandbox:` runs it inside the calling process; `tidegate sandbox up` runs the
same object in a supervisor of its own. Servers of the infrastructure are reported DEAD, never
restarted: a release judged across a restarted Prometheus or Envoy would be judged on broken evidence.
"""

import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tidegate import __version__
from tidegate.errors import TidegateError, UnavailableError
from tidegate.sandbox import binaries, parts, prometheus, triton_command
from tidegate.sandbox.envoy import EnvoyIngress
from tidegate.sandbox.mlflow_server import MlflowServer
from tidegate.sandbox.process import Child, Spawner, kill_marked
from tidegate.sandbox.prometheus import Prometheus
from tidegate.sandbox.queue_proxy import Era, QueueProxyMetrics, RevisionLabels
from tidegate.sandbox.state import Holder, Phase, State, StateDirectory, explanation
from tidegate.sandbox.triton import TritonRuntime

if TYPE_CHECKING:
    from tidegate.sandbox.api.server import ApiServer
    from tidegate.sandbox.controllers.loop import ControllerLoop

DOMAIN = "example.com"  # Knative's own default


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports that were asked for; None takes a free one."""

    ingress: int | None = None
    mlflow: int | None = None
    prometheus: int | None = None
    kubernetes: int | None = None


class Sandbox:
    """One embedded cluster on one state folder."""

    def __init__(
        self,
        state_dir: Path,
        *,
        ports: Ports | None = None,
        era: Era = "serving_invocation",
        domain: str = DOMAIN,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = StateDirectory(state_dir)
        self.sandbox_id = uuid.uuid4().hex
        self._ports = ports or Ports()
        self._era: Era = era
        self._domain = domain
        self._progress = progress
        self._phase: Phase = "Starting"
        self._since = time.time()
        self._failure: TidegateError | None = None
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._refresher: threading.Thread | None = None
        self._stop_lock = threading.Lock()
        self.api: ApiServer | None = None
        self.controllers: ControllerLoop | None = None

    def start(self) -> None:
        """Start everything; when a part fails, end the others and raise its error."""
        binaries.require_all()
        self.directory.create()
        before = self.directory.holder()
        self.directory.acquire(self._holder())
        try:
            self._clean(before)
            self._build()
            self._start_servers()
            self._start_control_plane()
        except BaseException as error:
            failure = (
                explanation(error, self.directory.root) if isinstance(error, OSError) else error
            )
            if isinstance(failure, TidegateError) and not self._closing.is_set():
                self._failure = failure  # what `up` will say; a start that was stopped did not fail
            self.stop()
            raise failure from error

    def stop(self) -> None:
        """End everything and wait until it is gone; a second call changes nothing."""
        with self._stop_lock:
            if self._closing.is_set():
                return
            self._closing.set()
            self._changed.set()
            self._end()

    def environment(self) -> dict[str, str]:
        """The variables by which programs find this cluster."""
        return {
            "KUBECONFIG": str(self.directory.kubeconfig),
            "MLFLOW_TRACKING_URI": self.mlflow.url,
            "TIDEGATE_PROMETHEUS_URL": self.prometheus.url,
            "TIDEGATE_INGRESS_URL": self.ingress.url,
            "TIDEGATE_STORAGE_URI": f"file://{self.directory.storage}",
        }

    def dead(self) -> list[str]:
        """Names of infrastructure parts that ended by themselves."""
        return [c.name for c in self._children() if not c.is_alive and not c.stopping]

    def _holder(self) -> Holder:
        created = psutil.Process().create_time()
        return Holder(pid=os.getpid(), create_time=created, sandbox_id=self.sandbox_id)

    def _clean(self, before: Holder | None) -> None:
        """Remove what a supervisor that was killed left; the new cluster knows no revision."""
        if before is not None:
            kill_marked(before.sandbox_id)
            triton_command.remove_shared_memory(before.sandbox_id)
        shutil.rmtree(self.directory.root / "revisions", ignore_errors=True)
        for log in self.directory.logs.glob("*.log"):
            if log.name != "supervisor.log":  # ours, open already
                log.unlink()

    def _build(self) -> None:
        root, logs = self.directory.root, self.directory.logs
        self._spawner = Spawner()
        self.mlflow = MlflowServer(
            root / "mlflow", port=self._ports.mlflow, log=logs / "mlflow.log", **self._common()
        )
        self.prometheus = Prometheus(
            root / "prometheus",
            port=self._ports.prometheus,
            log=logs / "prometheus.log",
            **self._common(),
        )
        self.runtime = TritonRuntime(
            root,
            spawner=self._spawner,
            sandbox_id=self.sandbox_id,
            logs=logs,
            on_change=self._touch,
        )
        self.ingress = EnvoyIngress(
            root / "envoy", endpoint=self.runtime.endpoint, port=self._ports.ingress,
            log=logs / "envoy.log", **self._common(),
        )  # fmt: skip
        self.queue_proxy = QueueProxyMetrics(
            scrape=self._scrape_envoy, revisions=self._revisions, era=self._era
        )

    def _common(self) -> "parts.Common":
        return {"spawner": self._spawner, "sandbox_id": self.sandbox_id, "on_exit": self._on_exit}

    def _start_servers(self) -> None:
        self.mlflow.spawn()  # at once: it takes longest, and the rest starts meanwhile
        self._write()
        self.queue_proxy.start()
        starts = {
            "mlflow": self.mlflow.start,
            "prometheus": self.prometheus.start,
            "envoy": self.ingress.start,
            "kubernetes-api": self._start_api,
        }
        pool = ThreadPoolExecutor(len(starts))
        try:
            waiting = {pool.submit(start): name for name, start in starts.items()}
            for done in as_completed(waiting):
                done.result()
                self._progress(f"{waiting[done]} is ready after {time.time() - self._since:.1f} s")
                self._write()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _start_api(self) -> None:
        from tidegate.sandbox.api import server  # the web framework, while MLflow is starting
        from tidegate.sandbox.ports import wanted_or_free

        port = wanted_or_free(self._ports.kubernetes, flag="--kubernetes-port")
        self.api = server.ApiServer(
            port=port, state_dir=self.directory.root, pod_logs=self._pod_log
        )
        self.api.start()

    def _start_control_plane(self) -> None:
        from tidegate.sandbox.controllers import loop

        if self.api is None or self._closing.is_set():
            raise UnavailableError("the sandbox was stopped while it was starting")
        self.controllers = loop.ControllerLoop(
            self.api.store, self.runtime, self.ingress, domain=self._domain
        )
        self.controllers.start()
        self.directory.write_environment(self.environment())
        self._phase = "Ready"
        self._refresher = threading.Thread(target=self._refresh, name="refresher", daemon=True)
        self._refresher.start()
        self._write()

    def _end(self) -> None:
        """Controllers first, so that nothing is started again; then all servers at once."""
        for part in (self.controllers, self.api):
            if part is not None:
                part.stop()
        if hasattr(self, "queue_proxy"):
            closers = (
                self.runtime.close,
                self.ingress.close,
                self.prometheus.close,
                self.mlflow.close,
            )
            with ThreadPoolExecutor(len(closers)) as pool:
                list(pool.map(lambda close: close(), closers))
            self.queue_proxy.close()
            self._spawner.close()
        kill_marked(self.sandbox_id)
        triton_command.remove_shared_memory(self.sandbox_id)
        self._phase = "Failed" if self._failure else "Stopped"
        self._write()
        self.directory.release()

    def _touch(self) -> None:
        self._changed.set()

    def _on_exit(self, child: Child) -> None:
        if not child.stopping:
            self._progress(f"{child.name} DIED with {child.exit_code}; read {child.log}")
            self._touch()
            if self._phase != "Ready":  # nobody refreshes yet
                self._write()

    def _refresh(self) -> None:
        """Follow revisions: scrape targets, ingress endpoints, state.json."""
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            if self._closing.is_set():
                return
            try:
                port = self.queue_proxy.port
                self.prometheus.set_targets(
                    prometheus.targets_of(self.runtime.pods(), queue_proxy_port=port)
                )
                self._write()
                self.ingress.refresh()
            except (TidegateError, OSError) as error:  # a full disk now may be free again later
                self._progress(f"could not follow a change: {error}")
            time.sleep(0.05)

    def _write(self) -> None:
        with self._writing:
            self.directory.write(self._state())

    def _state(self) -> State:
        failure = self._failure
        return State(
            tidegate=__version__,
            sandbox_id=self.sandbox_id,
            phase=self._phase,
            pid=os.getpid(),
            create_time=psutil.Process().create_time(),
            since=self._since,
            parts=[] if self._phase in ("Stopped", "Failed") else parts.rows(self),
            environment=self.environment() if self._phase == "Ready" else {},
            message=str(failure or ""),
            exit_code=failure.exit_code if failure else 0,
        )

    def _children(self) -> list[Child]:
        children = (self.mlflow.child, self.prometheus.child, self.ingress.child)
        return [child for child in children if child is not None]

    def _scrape_envoy(self) -> str:
        return self.ingress.admin("/stats/prometheus?filter=revision_duration")

    def _revisions(self) -> list[RevisionLabels]:
        specs = [pod.spec for pod in self.runtime.pods()]
        return [
            RevisionLabels(namespace=s.namespace, name=s.name, service=s.service) for s in specs
        ]

    def _pod_log(self, namespace: str, pod: str) -> str:
        for found in self.runtime.pods():
            if found.spec.namespace == namespace and pod.startswith(f"{found.spec.name}-"):
                return found.log.read_text(errors="replace") if found.log.exists() else ""
        return ""

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
