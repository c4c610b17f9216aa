"""A data plane in memory: revisions are ready when the test says so, the ingress remembers its table."""

from collections.abc import Sequence

from tidegate.sandbox.interfaces import HostRoute, RevisionSpec, RevisionStatus

LOADING = RevisionStatus(phase="Loading")
READY = RevisionStatus(phase="Ready")
STOPPED = RevisionStatus(phase="Stopped")


class FakeRuntime:
    """A RevisionRuntime without processes."""

    def __init__(self) -> None:
        self.specs: dict[str, RevisionSpec] = {}
        self.seen: dict[str, RevisionStatus] = {}
        self.stopped: list[str] = []

    def start(self, spec: RevisionSpec) -> None:
        self.specs.setdefault(spec.name, spec)
        self.seen.setdefault(spec.name, LOADING)

    def status(self, namespace: str, name: str) -> RevisionStatus:
        return self.seen.get(name, STOPPED)

    def stop(self, namespace: str, name: str) -> None:
        self.stopped.append(name)
        self.specs.pop(name, None)
        self.seen.pop(name, None)


class FakeIngress:
    """An Ingress without Envoy."""

    def __init__(self) -> None:
        self.table: dict[str, dict[str, int]] = {}
        self.history: list[dict[str, dict[str, int]]] = []
        self.routes: list[HostRoute] = []
        self.trouble: Exception | None = None

    def program(self, routes: Sequence[HostRoute]) -> None:
        if self.trouble:
            raise self.trouble
        for route in routes:
            assert sum(share for _, _, share in route.weights) == 100
            assert all(share > 0 for _, _, share in route.weights)
        self.table = {r.host: {name: share for _, name, share in r.weights} for r in routes}
        self.history.append(self.table)
        self.routes = list(routes)
