"""The ingress: a real Envoy whose clusters, listeners and routes are three files, replaced atomically.

A change is made before it is broken: new clusters, then routes, then, after a drain, the old
clusters go. `program` returns when the data plane itself answers with the new version.
It is the gateway inside the cluster, too: `address` gives a name of the cluster a port of its own.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from tidegate.errors import RejectedError, TidegateError, UnavailableError
from tidegate.sandbox import binaries, envoy_config
from tidegate.sandbox.container import answers
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.envoy_config import Json
from tidegate.sandbox.interfaces import HostRoute, Key
from tidegate.sandbox.ports import free_port, wanted_or_free
from tidegate.sandbox.process import Child, Spawner

Lookup = Callable[[str, str], Sequence[Endpoint]]
Served = Mapping[Key, Sequence[Endpoint]]
_POLL_S = 0.01


class EnvoyIngress:
    """Implements Ingress; `endpoints` says where a revision's servers listen, nowhere when it has none."""

    def __init__(
        self,
        directory: Path,
        *,
        endpoints: Lookup,
        port: int | None = None,
        spawner: Spawner | None = None,
        sandbox_id: str | None = None,
        log: Path | None = None,
        drain_s: float = 5.0,
        on_exit: Callable[[Child], None] | None = None,
    ) -> None:
        self.port = wanted_or_free(port, flag="--ingress-port")
        self.admin_port = wanted_or_free(None, flag="")
        self._directory = directory
        self._clusters_file = directory / "clusters" / "clusters.json"
        self._listeners_file = directory / "listeners" / "listeners.json"
        self._routes_file = directory / "routes" / "routes.json"
        self._log = log or directory / "envoy.log"
        self._endpoints = endpoints
        self._owned_spawner = None if spawner else Spawner()
        self._spawner = spawner or self._owned_spawner
        self._sandbox_id = sandbox_id or uuid.uuid4().hex
        self._drain_s = drain_s
        self._on_exit = on_exit
        self._version = 0
        self._routes: tuple[HostRoute, ...] = ()
        self._served: dict[Key, Sequence[Endpoint]] = {}
        self._local: dict[str, int] = {}  # host in the cluster -> the port that stands for it
        self._lock = threading.RLock()
        self._drop: threading.Timer | None = None
        self._client = httpx.Client(timeout=5.0, trust_env=False)
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """Where clients send requests, with the Host of the service that they want."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, timeout_s: float = 20.0) -> None:
        """Start Envoy with an empty table."""
        for file in (self._clusters_file, self._listeners_file, self._routes_file):
            file.parent.mkdir(parents=True, exist_ok=True)
        _write(self._clusters_file, envoy_config.clusters_document(0, {}))
        _write(self._listeners_file, self._listeners())
        _write(self._routes_file, envoy_config.routes_document(0, ()))
        _write(self._directory / "bootstrap.json", self._bootstrap())
        self.child = self._spawn()
        self.child.wait_ready(self._is_ready, timeout_s=timeout_s)

    def program(self, routes: Sequence[HostRoute]) -> None:
        """Put the whole table in force; RejectedError when Envoy refuses it."""
        with self._lock:
            table = tuple(routes)
            wanted = self._look_up(envoy_config.revisions_of(table))
            if table == self._routes and wanted.items() <= self._served.items():
                return
            self._apply_clusters({**self._served, **wanted})
            self._apply_routes(table)
            self._drop_later(wanted)

    def refresh(self) -> None:
        """Look the endpoints up again: a restarted server may listen elsewhere."""
        with self._lock:
            self.program(self._routes)

    def address(self, name: str) -> str:
        """Host and port on this machine of `<service>.<namespace>`, by a listener made when first asked.

        It answers 404 while no route of that name is in the table, as a gateway of the cluster does.
        """
        host = f"{name}.svc.cluster.local"
        with self._lock:
            if host not in self._local:
                self._listen(host, free_port())
            return f"127.0.0.1:{self._local[host]}"

    def admin(self, path: str) -> str:
        """What Envoy's admin interface answers; UnavailableError when it does not."""
        try:
            return self._client.get(f"http://127.0.0.1:{self.admin_port}{path}").text
        except httpx.HTTPError as error:
            raise UnavailableError(f"envoy's admin interface: {error}; read {self._log}") from error

    def close(self) -> None:
        """End Envoy."""
        with self._lock:
            if self._drop is not None:
                self._drop.cancel()
        if self.child is not None:
            self.child.stop(grace_s=2.0)
        if self._owned_spawner is not None:
            self._owned_spawner.close()
        self._client.close()

    def _apply_clusters(self, wanted: Served) -> None:
        if wanted == self._served:
            return
        self._version += 1
        document = envoy_config.clusters_document(self._version, wanted)
        self._put(self._clusters_file, document, self._clusters_version, "cluster_manager.cds")
        self._served = dict(wanted)

    def _listen(self, host: str, port: int) -> None:
        """On failure the name has no port, and whoever asks next gets another one."""
        self._local[host] = port
        try:
            self._apply_listeners()
            self._await_answer(port)
            self._apply_routes(self._routes)
        except TidegateError:
            del self._local[host]
            raise

    def _apply_listeners(self) -> None:
        self._version += 1
        document, version = self._listeners(), self._listeners_version
        self._put(self._listeners_file, document, version, "listener_manager.lds")

    def _listeners(self) -> Json:
        return envoy_config.listeners_document(self._version, self._local, self._routes_file)

    def _apply_routes(self, table: tuple[HostRoute, ...]) -> None:
        self._version += 1
        document = envoy_config.routes_document(self._version, table, self._local)
        stats = f"http.ingress.rds.{envoy_config.ROUTES}"
        self._put(self._routes_file, document, self._routes_version, stats)
        self._routes = table

    def _put(self, file: Path, document: Json, version: Callable[[], str], stats: str) -> None:
        """Write one of the files and wait until it is in force; a refusal may come at once."""
        rejected = self._rejected(stats)
        _write(file, document)
        self._await(version, stats, rejected)

    def _await(
        self, version: Callable[[], str], stats: str, rejected: int, timeout_s: float = 10.0
    ) -> None:
        deadline = time.monotonic() + timeout_s
        while version() != str(self._version):
            if self._rejected(stats) > rejected:
                raise RejectedError(f"envoy refused the configuration; read {self._log}")
            if self.child is None or not self.child.is_alive:
                raise UnavailableError(f"envoy is not running; read {self._log}")
            if time.monotonic() > deadline:
                raise UnavailableError(f"envoy did not apply the configuration; read {self._log}")
            time.sleep(_POLL_S)

    def _await_answer(self, port: int, timeout_s: float = 10.0) -> None:
        """A new listener is in the configuration a moment before its worker takes connections."""
        deadline = time.monotonic() + timeout_s
        while self._told_version(f"http://127.0.0.1:{port}") == "":
            if time.monotonic() > deadline:
                raise UnavailableError(f"envoy does not listen on {port}; read {self._log}")
            time.sleep(_POLL_S)

    def _clusters_version(self) -> str:
        return self._version_text("cluster_manager.cds")

    def _listeners_version(self) -> str:
        return self._version_text("listener_manager.lds")

    def _version_text(self, stats: str) -> str:
        text = self.admin(f"/stats?filter={stats}.version_text&type=TextReadouts")
        return text.strip().partition(": ")[2].strip('"')

    def _routes_version(self) -> str:
        """Asked through the listener: Envoy runs one worker, so its answer is what requests get."""
        return self._told_version(self.url)

    def _told_version(self, url: str) -> str:
        try:
            return self._client.get(url, headers={"host": envoy_config.VERSION_HOST}).text
        except httpx.HTTPError:
            return ""

    def _rejected(self, stats: str) -> int:
        text = self.admin(f"/stats?filter={stats}.update_rejected")
        return int(text.strip().partition(": ")[2] or 0)

    def _drop_later(self, wanted: Served) -> None:
        if self._drop is not None:
            self._drop.cancel()
        if wanted.keys() != self._served.keys():
            self._drop = threading.Timer(self._drain_s, self._drop_unused)
            self._drop.daemon = True
            self._drop.start()

    def _drop_unused(self) -> None:
        with self._lock:
            if self.child is not None and self.child.is_alive:
                self._apply_clusters(self._look_up(envoy_config.revisions_of(self._routes)))

    def _look_up(self, keys: set[Key]) -> dict[Key, Sequence[Endpoint]]:
        return {key: tuple(self._endpoints(*key)) for key in keys}

    def _bootstrap(self) -> Json:
        return envoy_config.bootstrap(
            port=self.port,
            admin_port=self.admin_port,
            clusters=self._clusters_file,
            listeners=self._listeners_file,
            routes=self._routes_file,
        )

    def _spawn(self) -> Child:
        assert self._spawner is not None
        binary, bootstrap = binaries.envoy(), self._directory / "bootstrap.json"
        # One worker: two would be free to disagree about the table for a moment.
        options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]
        return Child(
            "envoy",
            [str(binary), "-c", str(bootstrap), *options],
            env=os.environ,
            log=self._log,
            spawner=self._spawner,
            sandbox_id=self._sandbox_id,
            on_exit=self._on_exit,
        )

    def _is_ready(self) -> bool:
        ready = answers(self._client, f"http://127.0.0.1:{self.admin_port}/ready")
        return ready and self._routes_version() == "0"

    def __enter__(self) -> "EnvoyIngress":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write(path: Path, document: Json) -> None:
    """Replace by rename, which is the only change that Envoy's file watch acts on."""
    temporary = path.parent / f".{path.name}.new"
    temporary.write_text(json.dumps(document, indent=1))
    temporary.replace(path)
