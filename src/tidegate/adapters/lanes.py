"""Opens the way to each arm of a load test: connections, requests, and the check of answers.

Only the candidate's answers are compared with the golden ones, which are its own source model's; the
incumbent is another version and may rightly answer otherwise. Captured requests have no known answers. What
is not compared must still be an answer: the version asked for, and no NaN.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tidegate.adapters import captured, connections, served_answers, serving
from tidegate.adapters.grpc_connection import grpc_connections
from tidegate.adapters.ingress import Target, target
from tidegate.adapters.load import Lane, Reply, Request
from tidegate.config import settings
from tidegate.core.asked import inputs_of
from tidegate.documents import Deployment, RepositoryModel, Tensor
from tidegate.policy import Policy

GOLDEN_RATIO = 0.6180339887498949  # its multiples spread evenly, so a sample of answers is even too
REMEMBERED, REMEMBERED_BYTES = 10_000, 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Everything that opens a lane, in this process or another."""

    to: Target
    protocol: str
    model: str
    requests: Sequence[Request]
    rows: Sequence[serving.Row]
    check: Callable[[int, Request, Reply], str]
    connections: int
    timeout_s: float

    def open(self) -> Lane:
        """Connections that open with their first request. Raises UsageError."""
        count, timeout_s = self.connections, self.timeout_s
        opened = (
            grpc_connections(self.to, count=count, timeout_s=timeout_s)
            if self.protocol == "grpc"
            else connections.rest_connections(
                self.to, model=self.model, count=count, timeout_s=timeout_s
            )
        )
        return Lane(
            connections=opened, requests=self.requests, check=self.check, timeout_s=timeout_s
        )

    def split(self, processes: int) -> tuple["Way", ...]:
        """The connections dealt out to processes, at least one to each."""
        return tuple(
            replace(self, connections=max(1, len(range(number, self.connections, processes))))
            for number in range(processes)
        )


def candidate_way(deployment: Deployment, policy: Policy, *, golden: Path) -> Way:
    """The way to the candidate alone; what the policy names besides lies beside the golden file.

    Raises DocumentError or UsageError.
    """
    version = deployment.repository.model_version
    compared = not policy.load.capture
    return _way(deployment.candidate_host, deployment, policy, golden, version, compared=compared)


def baseline_way(deployment: Deployment, policy: Policy, *, golden: Path) -> Way:
    """The way to the incumbent."""
    version = deployment.incumbent.version if deployment.incumbent else ""
    host = deployment.incumbent_host
    return _way(host, deployment, policy, golden, version or None, compared=False)


def companion_way(
    deployment: Deployment, policy: Policy, beside: RepositoryModel, *, golden: Path
) -> Way:
    """The way to a model beside the candidate, with its own golden rows.

    Raises DocumentError or UsageError.
    """
    load, known = policy.load, serving.read_golden(golden)
    rows, names = serving.golden_rows(known, beside.inputs), tuple(known.outputs)
    requests = _sent(
        rows, beside.inputs, names, load.protocol, beside.name, sequential=beside.sequential
    )
    return Way(
        to=target(settings(), deployment.candidate_host, load.headers),
        protocol=load.protocol,
        model=beside.name,
        requests=requests,
        rows=rows,
        check=Check(golden=known, policy=policy, version=beside.version),
        connections=1,
        timeout_s=load.timeout_s,
    )


def _way(
    host: str,
    deployment: Deployment,
    policy: Policy,
    golden_path: Path,
    version: str | None,
    *,
    compared: bool,
) -> Way:
    load, golden = policy.load, _of_clients(deployment, serving.read_golden(golden_path))
    rows, requests = _asked(deployment, policy, golden_path.parent, golden)
    return Way(
        to=target(settings(), host, load.headers),
        protocol=load.protocol,
        model=deployment.repository.triton_model,
        requests=requests,
        rows=rows,
        check=Check(golden=golden, policy=policy, version=version, compared=compared),
        connections=load.max_connections,
        timeout_s=load.timeout_s,
    )


def _of_clients(deployment: Deployment, golden: serving.Golden) -> serving.Golden:
    """Without the states that a server keeps: they are outputs of the graph, and of no answer."""
    if not deployment.repository.sequential:
        return golden
    given = {tensor.name for tensor in deployment.repository.outputs}
    outputs = {name: array for name, array in golden.outputs.items() if name in given}
    return replace(golden, outputs=outputs)


def _asked(
    deployment: Deployment, policy: Policy, tree: Path, golden: serving.Golden
) -> tuple[tuple[serving.Row, ...], tuple[Request, ...]]:
    """What is sent, as tensors and encoded: over REST a captured request is the JSON that it came as."""
    path, inputs = policy.load.capture, inputs_of(deployment.repository, policy)
    if not path:
        rows = serving.golden_rows(golden, inputs)
        return rows, _encoded(deployment, policy, rows, golden)
    found = captured.read(tree / path, what=f"load.capture {path}", inputs=inputs)
    rows = tuple(one.row for one in found)
    if policy.load.protocol == "grpc":
        return rows, _encoded(deployment, policy, rows, golden)
    return rows, tuple(Request(row=n, body=one.body) for n, one in enumerate(found))


def _encoded(
    deployment: Deployment, policy: Policy, rows: Sequence[serving.Row], golden: serving.Golden
) -> tuple[Request, ...]:
    inputs = inputs_of(deployment.repository, policy)
    names = () if policy.serving.transformer else tuple(golden.outputs)
    repository, protocol = deployment.repository, policy.load.protocol
    return _sent(
        rows, inputs, names, protocol, repository.triton_model, sequential=repository.sequential
    )


def _sent(
    rows: Sequence[serving.Row],
    inputs: Sequence[Tensor],
    outputs: Sequence[str],
    protocol: str,
    model: str,
    *,
    sequential: bool,
) -> tuple[Request, ...]:
    """The rows encoded for the protocol; of a model with a memory each as a sequence of its own."""
    if protocol == "grpc":
        return serving.grpc_requests(
            rows, inputs, outputs=outputs, model=model, sequential=sequential
        )
    return serving.rest_requests(rows, inputs, outputs=outputs, sequential=sequential)


@dataclass(slots=True, kw_only=True)
class Check:
    """Compares an answer with the golden one; equal bytes for a row are compared once."""

    golden: serving.Golden
    policy: Policy
    version: str | None
    compared: bool = True
    seen: dict[tuple[int, bytes], str] = field(default_factory=dict)

    def __call__(self, number: int, request: Request, reply: Reply) -> str:
        """Words for what is wrong; '' when nothing is, or the answer is not in the sample."""
        if (number * GOLDEN_RATIO) % 1.0 >= self.policy.load.check_ratio:
            return ""
        key = (request.row, reply.body)
        if key not in self.seen:
            found = self._difference(request, reply)
            if len(self.seen) >= REMEMBERED or len(reply.body) > REMEMBERED_BYTES:
                return found
            self.seen[key] = found
        return self.seen[key]

    def _difference(self, request: Request, reply: Reply) -> str:
        try:
            answer = (
                serving.read_grpc(reply.body)
                if self.policy.load.protocol == "grpc"
                else serving.read_rest(reply.body, reply.header_length)
            )
        except (ValueError, KeyError) as error:
            return f"not a v2 answer ({type(error).__name__}: {error})"
        if not self.compared:
            return served_answers.unusable(answer, self.golden, version=self.version)
        parity = self.policy.parity
        return served_answers.difference(
            answer, self.golden, request.row, parity=parity, version=self.version
        )
