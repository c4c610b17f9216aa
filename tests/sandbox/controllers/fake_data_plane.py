"""A data plane in memory: revisions are ready when the test says so, the ingress remembers its table."""

from collections.abc import Callable, Collection, Mapping, Sequence

from tidegate.sandbox.interfaces import (
    HostRoute,
    Key,
    RevisionSpec,
    RevisionStatus,
    Second,
    Usage,
)  # fmt: skip

LOADING = RevisionStatus(phase="Loading")
READY = RevisionStatus(phase="Ready")
STOPPED = RevisionStatus(phase="Stopped")


class FakeRuntime:
    """A RevisionRuntime without processes; a further replica is as the first unless `seen` has it."""

    def __init__(self) -> None:
        self.specs: dict[str, RevisionSpec] = {}  # by server
        self.seen: dict[str, RevisionStatus] = {}
        self.stopped: list[str] = []

    def start(self, spec: RevisionSpec) -> None:
        self.specs.setdefault(spec.server, spec)
        if not spec.replica:
            self.seen.setdefault(spec.name, LOADING)

    def status(self, namespace: str, name: str, replica: int = 0) -> RevisionStatus:
        server = f"{name}.{replica}" if replica else name
        if server not in self.specs and server not in self.seen:
            return STOPPED
        return self.seen.get(server, self.seen.get(name, STOPPED))

    def stop(self, namespace: str, name: str, replica: int = 0) -> None:
        server = f"{name}.{replica}" if replica else name
        self.stopped.append(server)
        self.specs.pop(server, None)
        self.seen.pop(server, None)


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


class FakeDemand:
    """A Demand that the test writes: `load` is every second's concurrency until it is changed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.load: dict[str, float] = {}
        self.queued: dict[str, int] = {}
        self.counted: set[str] = set()
        self.held: dict[str, float] = {}

    def follow(self, counted: Collection[Key], held: Mapping[Key, float]) -> None:
        self.counted = {name for _, name in counted}
        self.held = {name: limit for (_, name), limit in held.items()}

    def seconds(self, namespace: str, name: str) -> list[Second]:
        load, now = self.load.get(name, 0.0), self._clock()
        return [Second(at_s=now, concurrency=load, rps=load)]

    def waiting(self) -> dict[Key, int]:
        return {("default", name): count for name, count in self.queued.items() if count}


class FakeMeter:
    """A ResourceMeter that the test writes: what each server of a Service uses, until it is changed."""

    def __init__(self, clock: Callable[[], float], runtime: FakeRuntime) -> None:
        self._clock, self._runtime = clock, runtime
        self.cores: dict[str, float] = {}  # by Service
        self.memory_bytes = 0
        self.followed: set[str] = set()

    def follow(self, keys: Collection[Key]) -> None:
        self.followed = {name for _, name in keys}

    def usage(self, namespace: str, name: str, replica: int = 0) -> Usage | None:
        spec = self._runtime.specs.get(f"{name}.{replica}" if replica else name)
        if spec is None or spec.service not in self.cores or name not in self.followed:
            return None
        return Usage(
            at_s=self._clock(), window_s=15.0, cpu_cores=self.cores[spec.service],
            memory_bytes=self.memory_bytes,
        )  # fmt: skip


class FakeQueries:
    """PrometheusQueries that the test writes: what each query answers, or the error it ends with."""

    def __init__(self) -> None:
        self.said: dict[str, list[float] | Exception] = {}
        self.asked: list[str] = []

    def ask(self, query: str) -> list[float]:
        self.asked.append(query)
        found = self.said.get(query, [])
        if isinstance(found, Exception):
            raise found
        return found
