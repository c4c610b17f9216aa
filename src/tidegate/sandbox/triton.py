"""The kubelet of the sandbox: one real tritonserver for each replica, restarted like a container.

A transformer or an explainer of its own is a revision with its own program in place of the server.
`address` says where a name of the cluster is on this machine.
"""

import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate.sandbox import room, triton_command
from tidegate.sandbox.endpoint import Endpoint
from tidegate.sandbox.interfaces import RevisionSpec, RevisionStatus
from tidegate.sandbox.process import Spawner
from tidegate.sandbox.revision import Revision

Key = tuple[str, str, int]  # (namespace, revision, replica)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A running server as the metrics side and `status` see it."""

    spec: RevisionSpec
    endpoint: Endpoint
    status: RevisionStatus
    pid: int | None
    pids: tuple[int, ...] = ()  # of all its containers
    create_time: float
    log: Path
    since: float


class TritonRuntime:
    """Implements RevisionRuntime; each server has a thread that is its kubelet.

    Beyond `most_servers` a second or further replica finds no node, and its pod stays Pending.
    """

    def __init__(
        self,
        directory: Path,
        *,
        spawner: Spawner | None = None,
        sandbox_id: str | None = None,
        logs: Path | None = None,
        claims: Mapping[str, Path] | None = None,
        drain_s: float = 2.0,
        back_off_s: tuple[float, ...] = (0.0, 5.0, 10.0, 20.0, 40.0),
        on_change: Callable[[], None] = lambda: None,
        most_servers: int | None = None,
        address: Callable[[str], str] = lambda name: name,
    ) -> None:
        self._directory = directory
        self._logs = logs or directory
        self._owned_spawner = None if spawner else Spawner()
        self._spawner = spawner or self._owned_spawner
        self._sandbox_id = sandbox_id or uuid.uuid4().hex
        self._claims = dict(claims or {})
        self._drain_s = drain_s
        self._back_off_s = back_off_s
        self.on_change = on_change
        self._most = room.most_servers() if most_servers is None else most_servers
        self._address = address
        self._revisions: dict[Key, Revision] = {}
        self._refused: dict[Key, RevisionStatus] = {}
        self._lock = threading.Lock()
        self._prepare()

    def start(self, spec: RevisionSpec) -> None:
        """Start the server unless it is started, or there is no room for it."""
        with self._lock:
            key = (spec.namespace, spec.name, spec.replica)
            known = self._revisions.get(key)
            if known is not None and not known.is_stopping:
                return
            self._refused.pop(key, None)
            if spec.replica and (refusal := room.refusal(self._alive(), self._most)):
                self._refused[key] = refusal
                return
            self._revisions[key] = self._revision(spec, after=known)
        self.on_change()

    def status(self, namespace: str, name: str, replica: int = 0) -> RevisionStatus:
        """How the server is; Stopped when it was never started."""
        key = (namespace, name, replica)
        if refused := self._refused.get(key):
            return refused
        revision = self._revisions.get(key)
        return revision.status if revision else RevisionStatus(phase="Stopped")

    def stop(self, namespace: str, name: str, replica: int = 0) -> None:
        """Drain and end the server in the background; the ingress leaves it at once if others are ready."""
        key = (namespace, name, replica)
        self._refused.pop(key, None)
        revision = self._revisions.get(key)
        if revision is not None and not revision.is_stopping:
            revision.stop(drain_s=self._drain_s)
            if replica:
                self.on_change()

    def endpoint(self, namespace: str, name: str) -> Endpoint | None:
        """Where a revision's first server listens from its start to its end; None when there is none."""
        revision = self._revisions.get((namespace, name, 0))
        return revision.endpoint if revision else None

    def endpoints(self, namespace: str, name: str) -> tuple[Endpoint, ...]:
        """Where a revision's ready servers listen; when none is, where its first one does."""
        first = self.endpoint(namespace, name)
        return self.ready(namespace, name) or ((first,) if first else ())

    def ready(self, namespace: str, name: str) -> tuple[Endpoint, ...]:
        """Where the servers listen that can take a request now."""
        with self._lock:
            mine = [r for key, r in sorted(self._revisions.items()) if key[:2] == (namespace, name)]
        up = [r for r in mine if r.status.phase == "Ready" and not r.is_stopping]
        return tuple(one.endpoint for one in up)

    def pods(self) -> list[Pod]:
        """Every server that has not been stopped."""
        with self._lock:
            revisions = list(self._revisions.values())
        return [_pod(r) for r in revisions if r.status.phase != "Stopped"]

    def close(self) -> None:
        """End every server at once and wait until they are gone."""
        with self._lock:
            revisions = list(self._revisions.values())
        for revision in revisions:
            revision.stop(drain_s=0.0, grace_s=0.5)  # nobody is routed here any more
        for revision in revisions:
            revision.join()
        if self._owned_spawner is not None:
            self._owned_spawner.close()
        triton_command.remove_shared_memory(self._sandbox_id)

    def _alive(self) -> int:
        return sum(not r.is_stopping for r in self._revisions.values())

    def _prepare(self) -> None:
        self._backends = triton_command.assemble_backends(self._directory / "backends")
        self._logs.mkdir(parents=True, exist_ok=True)

    def _revision(self, spec: RevisionSpec, *, after: Revision | None) -> Revision:
        assert self._spawner is not None
        return Revision(
            spec,
            directory=self._directory / "revisions" / spec.namespace / spec.server,
            backends=self._backends,
            log=self._logs / f"{spec.namespace}.{spec.server}.log",
            claims=self._claims,
            spawner=self._spawner,
            sandbox_id=self._sandbox_id,
            back_off_s=self._back_off_s,
            on_change=lambda: self.on_change(),
            address=self._address,
            after=after,
        )

    def __enter__(self) -> "TritonRuntime":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _pod(revision: Revision) -> Pod:
    child = revision.child
    return Pod(
        spec=revision.spec,
        endpoint=revision.endpoint,
        status=revision.status,
        pid=child.pid if child else None,
        pids=revision.pids,
        create_time=child.create_time if child else 0.0,
        log=revision.log,
        since=revision.since,
    )
