"""What the emulated controllers ask of the data plane; the only seam between the two.

The controllers decide (revisions, traffic, conditions) and know no process; the data plane runs
processes and decides nothing. Whoever implements these Protocols can be swapped for a fake in tests.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Key = tuple[str, str]  # (namespace, revision, or ReplicaSet in Standard mode)
Phase = Literal["Pending", "Initializing", "Loading", "Ready", "Failed", "Stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A container that is run here as a process of its own: a transformer, an explainer."""

    container: (
        str  # transformer-container beside a model; kserve-container of a component of its own
    )
    argv: tuple[str, ...]  # with the ports of its pod, which become free ones of this machine
    port: int
    env: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = ""  # answers 200 once it can serve; empty: it takes connections
    is_alone: bool = False  # nothing else is in its pod: no model, no Triton
    reaches: tuple[str, ...] = ()  # names in the cluster that it may ask: digits-predictor.default


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionSpec:
    """One template's server: a Knative revision, or a ReplicaSet of a Deployment in Standard mode.

    As many pods as it has, so many servers there are, each with a number of its own.
    """

    namespace: str
    name: str  # digits-predictor-00002; digits-blue-predictor-6c9d8f7b5x
    service: str  # the ksvc, digits-predictor; the Service, digits-blue-predictor
    inferenceservice: str  # digits
    storage_uri: str
    labels: Mapping[str, str]  # pod labels: serving.knative.dev/revision ... plus predictor.labels
    workload: Literal["Revision", "Deployment"] = "Revision"
    format: str = ""  # of a server of KServe's own: sklearn, xgboost, lightgbm; empty: Triton
    args: tuple[str, ...] = ()  # extra arguments of the server
    env: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int | None = None  # limits.memory; a server above it is killed
    program: Program | None = None  # takes the requests, before the Triton of its pod
    replica: int = 0  # which of the pods of one template this server is

    @property
    def server(self) -> str:
        """One name for each server; the first goes by the template's own."""
        return f"{self.name}.{self.replica}" if self.replica else self.name

    @property
    def has_model(self) -> bool:
        """A model server is in the pod; not so for a transformer or an explainer of its own."""
        return self.program is None or not self.program.is_alone

    @property
    def component(self) -> str:
        """Which part of the InferenceService it is; empty for the router of an InferenceGraph."""
        return self.labels.get("component", "predictor" if self.inferenceservice else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionStatus:
    """What the runtime sees of one server of a revision."""

    phase: Phase
    reason: str = (
        ""  # one of controllers.troubles: StorageInitializerFailed, OutOfMemory, ImagePull, ...
    )
    message: str = ""  # the last log lines, or what kubelet, scheduler or quota say
    exit_code: int | None = None
    restarts: int = 0
    container: str = ""  # the one that it is about; empty: the model's


class RevisionRuntime(Protocol):
    """Runs the servers of revisions, one for each replica; every call returns at once."""

    def start(self, spec: RevisionSpec) -> None:
        """Start it; a second call for a started server changes nothing."""

    def status(self, namespace: str, name: str, replica: int = 0) -> RevisionStatus:
        """Say how it is; cheap, polled. `Stopped` for a server that was never started."""
        ...

    def stop(self, namespace: str, name: str, replica: int = 0) -> None:
        """Stop it, draining in the background; a second call changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """What a revision was asked in the second that ended at `at_s` (Unix time), in all of its pods."""

    at_s: float
    concurrency: float  # requests in flight, on average
    rps: float  # requests that began


class Demand(Protocol):
    """What the queue-proxies and the activator tell the autoscaler, and what it tells the activator."""

    def follow(self, counted: Collection[Key], held: Mapping[Key, float]) -> None:
        """From now on count these revisions' requests, and let those of `held` wait for a ready pod: revision
        -> for how many seconds at most. Replaces what was asked before."""

    def seconds(self, namespace: str, name: str) -> Sequence[Second]:
        """What a revision was asked in the last seconds, oldest first."""
        ...

    def waiting(self) -> Mapping[Key, int]:
        """Requests that wait for a pod now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What the containers of one server used, as metrics-server tells it."""

    at_s: float  # Unix time at which the window ended
    window_s: float
    cpu_cores: float  # CPU seconds per second, on average over the window
    memory_bytes: int  # resident, at its end


class ResourceMeter(Protocol):
    """Measures the servers that are scaled by CPU or memory."""

    def follow(self, keys: Collection[Key]) -> None:
        """From now on measure the servers of these templates; replaces what was asked before."""

    def usage(self, namespace: str, name: str, replica: int = 0) -> Usage | None:
        """The newest word on one server; None while no whole window of it was seen."""
        ...


class PrometheusQueries(Protocol):
    """Asks Prometheus; the answer is there within seconds."""

    def ask(self, query: str) -> Sequence[float]:
        """The values of an instant query now, NaN among them; UnavailableError or RejectedError without an
        answer."""
        ...


class JobRunner(Protocol):
    """Runs the containers of Jobs' pods; every call returns at once."""

    def start(self, namespace: str, pod: str, containers: Sequence[Mapping[str, Any]]) -> None:
        """Start them; a second call for a started pod changes nothing."""

    def exits(self, namespace: str, pod: str) -> Mapping[str, int | None]:
        """Container -> its exit code, None while it runs; nothing of a pod that was never started, and
        nothing of a container that cannot be run here."""
        ...

    def stop(self, namespace: str, pod: str) -> None:
        """Kill them; a second call changes nothing."""


Weights = tuple[tuple[str, str, int], ...]  # (namespace, revision name, percent): sum 100, all > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRule:
    """Requests of one host that go elsewhere, by their path."""

    regex: str  # RE2, of the whole path without the query
    weights: Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoute:
    """One virtual host at the ingress."""

    host: str  # digits-predictor.default.example.com, latest-digits-predictor.default.example.com
    weights: Weights
    rules: tuple[PathRule, ...] = ()  # before `weights`, the first that matches
    answers: Mapping[str, str] = field(default_factory=dict)
    """What the revision header of an answer says, where it is not the revision's own name: in Standard
    mode the Service, which outlives a ReplicaSet."""


class Ingress(Protocol):
    """Sends each host's requests to revisions by weight."""

    def program(self, routes: Sequence[HostRoute]) -> None:
        """Apply the whole wanted table, replacing the last one; return once it is in force."""
