"""The embedded cluster as one object: starts its parts at the same time, watches them, ends them all.

`with Sandbox(folder) as sandbox:` runs it inside the calling process; `tidegate sandbox up` runs the
same object in a supervisor of its own. Servers of the infrastructure are reported DEAD, never
restarted: a release judged across a restarted Prometheus or Envoy would be judged on broken evidence.
"""

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tidegate import __version__
from tidegate.errors import TidegateError, UnavailableError
from tidegate.sandbox import binaries, parts, triton_command
from tidegate.sandbox.controllers.hpa.rules import FLAGS, Flags
from tidegate.sandbox.data_plane import DataPlane, Ports
from tidegate.sandbox.process import Child, kill_marked
from tidegate.sandbox.queue_proxy import Era
from tidegate.sandbox.state import Holder, Mode, Part, Phase, State, StateDirectory, explanation
from tidegate.sandbox.usage import RESOLUTION_S

if TYPE_CHECKING:
    from tidegate.sandbox.api.server import ApiServer
    from tidegate.sandbox.controllers.loop import ControllerLoop

DOMAIN = "example.com"  # Knative's own default


class Sandbox:
    """One embedded cluster on one state folder."""

    def __init__(
        self,
        state_dir: Path,
        *,
        ports: Ports | None = None,
        era: Era = "serving_invocation",
        mode: Mode = "Knative",
        domain: str = DOMAIN,
        hpa: Flags = FLAGS,
        metric_resolution_s: float = RESOLUTION_S,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = StateDirectory(state_dir)
        self.sandbox_id = uuid.uuid4().hex
        self._ports = ports or Ports()
        self._era: Era = era
        self._mode: Mode = mode
        self._domain = domain
        self._hpa, self._metric_resolution_s = hpa, metric_resolution_s
        self._progress = progress
        self._phase: Phase = "Starting"
        self._since = time.time()
        self._failure: TidegateError | None = None
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._writing = threading.Lock()
        self._refresher: threading.Thread | None = None
        self._stop_lock = threading.Lock()
        self.data_plane: DataPlane | None = None
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
        """The variables by which programs find this cluster; empty before it was started."""
        data = self.data_plane
        if data is None:
            return {}
        return {
            "KUBECONFIG": str(self.directory.kubeconfig),
            "MLFLOW_TRACKING_URI": data.mlflow.url,
            "TIDEGATE_PROMETHEUS_URL": data.prometheus.url,
            "TIDEGATE_INGRESS_URL": data.ingress.url,
            "TIDEGATE_STORAGE_URI": f"file://{self.directory.storage}",
        }

    def _holder(self) -> Holder:
        created = psutil.Process().create_time()
        return Holder(pid=os.getpid(), create_time=created, sandbox_id=self.sandbox_id)

    def _clean(self, before: Holder | None) -> None:
        """Remove what a supervisor that was killed left; the new cluster knows no revision."""
        if before is not None:
            kill_marked(before.sandbox_id)
            triton_command.remove_shared_memory(before.sandbox_id)
        for folder in ("revisions", "jobs"):
            shutil.rmtree(self.directory.root / folder, ignore_errors=True)
        for log in self.directory.logs.glob("*.log"):
            if log.name != "supervisor.log":  # ours, open already
                log.unlink()

    def _start_servers(self) -> None:
        self.data_plane = data = DataPlane(
            self.directory, sandbox_id=self.sandbox_id, ports=self._ports, era=self._era,
            on_exit=self._on_exit, on_change=self._changed.set,
            metric_resolution_s=self._metric_resolution_s,
        )  # fmt: skip
        starts = dict(data.starts())
        starts["kubernetes-api"] = partial(self._start_api, data)
        self._write()
        pool = ThreadPoolExecutor(len(starts))
        try:
            waiting = {pool.submit(start): name for name, start in starts.items()}
            for done in as_completed(waiting):
                done.result()
                self._progress(f"{waiting[done]} is ready after {time.time() - self._since:.1f} s")
                self._write()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _start_api(self, data: DataPlane) -> None:
        from tidegate.sandbox.api import server  # the web framework, while MLflow is starting
        from tidegate.sandbox.ports import wanted_or_free

        port = wanted_or_free(self._ports.kubernetes, flag="--kubernetes-port")
        self.api = server.ApiServer(port=port, state_dir=self.directory.root, pod_logs=data.pod_log)
        self.api.start()

    def _start_control_plane(self) -> None:
        from tidegate.sandbox.controllers import loop

        data = self.data_plane
        if self.api is None or data is None or self._closing.is_set():
            raise UnavailableError("the sandbox was stopped while it was starting")
        self.controllers = loop.ControllerLoop(
            self.api.store, data.runtime, data.ingress, domain=self._domain, mode=self._mode,
            jobs=data.jobs, demand=data.demand, meter=data.usage, hpa=self._hpa,
            queries=data.prometheus,
        )  # fmt: skip
        self.controllers.start()
        self.directory.write_environment(self.environment())
        self._phase = "Ready"
        self._refresher = threading.Thread(
            target=self._refresh, args=(data,), name="refresher", daemon=True
        )
        self._refresher.start()
        self._write()

    def _end(self) -> None:
        """Controllers first, so that nothing is started again; then all servers at once."""
        for part in (self.controllers, self.api):
            if part is not None:
                part.stop()
        if self.data_plane is not None:
            self.data_plane.close()
        kill_marked(self.sandbox_id)
        triton_command.remove_shared_memory(self.sandbox_id)
        self._phase = "Failed" if self._failure else "Stopped"
        with contextlib.suppress(TidegateError):  # a full disk must not keep the lock
            self._write()
        self.directory.release()

    def _on_exit(self, child: Child) -> None:
        if not child.stopping:
            self._progress(f"{child.name} DIED with {child.exit_code}; read {child.log}")
            self._changed.set()
            if self._phase != "Ready":  # nobody refreshes yet
                self._write()

    def _refresh(self, data: DataPlane) -> None:
        """Follow revisions: scrape targets, ingress endpoints, state.json."""
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            if self._closing.is_set():
                return
            try:
                self._write()
                data.follow_revisions()
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
            parts=[] if self._phase in ("Stopped", "Failed") else self._parts(),
            environment=self.environment() if self._phase == "Ready" else {},
            message=str(failure or ""),
            exit_code=failure.exit_code if failure else 0,
            mode=self._mode,
        )

    def _parts(self) -> list[Part]:
        return parts.rows(self.data_plane, api_url=self.api.url if self.api else None)

    def __enter__(self) -> "Sandbox":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
