"""The API as a server: a thread, a loopback port, a store."""

import socket
import threading
from pathlib import Path

import uvicorn

from tidegate.sandbox.api import schemas, settings
from tidegate.sandbox.api.admission import Admission
from tidegate.sandbox.api.app import PodLogs, create_app
from tidegate.sandbox.api.kinds import CONFIGMAPS, NAMESPACES, SERVICEACCOUNTS, Json
from tidegate.sandbox.api.kubeconfig import write_kubeconfig
from tidegate.sandbox.api.rbac import Rules
from tidegate.sandbox.api.store import HISTORY, Store
from tidegate.sandbox.api.verbs import Verbs

_START_S = 10.0
NAMESPACES_AT_START = ("default", "kube-system")


class ApiServer:
    """The emulated Kubernetes API server.

    `port` 0 takes a free one. `state_dir` gets a `kubeconfig`; objects live in memory only, so a
    stopped cluster is an empty one. `crd_dir` holds CRD files whose schemas are then enforced.
    `pod_logs` answers `kubectl logs`. `rules` are what each user may do; without them, everything.
    """

    def __init__(
        self, port: int = 0, state_dir: Path | None = None, *, crd_dir: Path | None = None,
        pod_logs: PodLogs | None = None, history: int = HISTORY, rules: Rules | None = None,
    ) -> None:  # fmt: skip
        admission = Admission(schemas.load(crd_dir))
        self.store = Store(admit=admission, history=history)
        admission.configuration = self._kserve_configuration
        self._populate()
        self._closing = threading.Event()
        self._state_dir = state_dir
        self._socket = _bound(port)  # now, so that a taken port is an error here, not in the thread
        verbs = Verbs(self.store, admission)
        app = create_app(
            self.store, verbs, closing=self._closing.is_set, pod_logs=pod_logs, rules=rules
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", ws="none",
                timeout_graceful_shutdown=2,
            )
        )  # fmt: skip
        self._thread = threading.Thread(target=self._serve, name="kubernetes-api", daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    def start(self) -> None:
        """Serve; returns once requests are answered (the socket listens from here on)."""
        self._socket.listen(128)
        self._thread.start()
        if self._state_dir:
            write_kubeconfig(self._state_dir / "kubeconfig", self.url)

    def stop(self) -> None:
        """End open watches, then the server; a second call does nothing."""
        self._closing.set()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_START_S)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def _kserve_configuration(self) -> Json | None:
        return self.store.find(CONFIGMAPS, settings.NAMESPACE, settings.NAME)

    def _populate(self) -> None:
        for name in NAMESPACES_AT_START:
            status = {"phase": "Active"}
            self.store.create(NAMESPACES, {"metadata": {"name": name}, "status": status})
        self.store.create(SERVICEACCOUNTS, {"metadata": {"name": "default"}}, "default")


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.close()
        raise
    return bound
