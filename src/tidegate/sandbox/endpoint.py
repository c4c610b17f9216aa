"""Where one server of a revision is reached, and on which ports its containers are."""

from dataclasses import dataclass

from tidegate.sandbox import ports
from tidegate.sandbox.interfaces import RevisionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Loopback ports of one server; they stay the same over restarts."""

    http: int
    grpc: int
    metrics: int
    program: int | None = None  # of a pod without a model, it is the other three as well
    replica: int = 0  # whose they are
    is_activator: bool = False

    @property
    def entry(self) -> int:
        """Where requests go: to the program before the model, when there is one."""
        return self.program or self.http

    @property
    def grpc_entry(self) -> int:
        """Likewise; a pod has one port, so nothing goes past the program."""
        return self.program or self.grpc

    def of_pod(self, spec: RevisionSpec) -> dict[int, int]:
        """The ports that the containers know -> the ones here."""
        found = {8080: self.http, 9000: self.grpc, 8002: self.metrics}
        if spec.program and self.program:
            found[spec.program.port] = self.program
        return found


def new_endpoint(spec: RevisionSpec) -> Endpoint:
    """Free ports for what this server runs."""
    if not spec.has_model:
        port = ports.free_port()  # the pod's one
        return Endpoint(http=port, grpc=port, metrics=port, program=port, replica=spec.replica)
    http = ports.free_port()
    return Endpoint(
        http=http, grpc=ports.free_port(),
        metrics=http if spec.format else ports.free_port(),  # KServe's own servers have one port
        program=ports.free_port() if spec.program else None, replica=spec.replica,
    )  # fmt: skip
