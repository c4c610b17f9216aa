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
from tidegate.adapters.kserve_json import KServeJson
from tidegate.adapters.load import Lane, Reply, Request
from tidegate.config import settings
from tidegate.core.asked import inputs_of
from tidegate.documents import Deployment, ModelRepository, RepositoryModel, Tensor
from tidegate.policy import Policy
from tidegate.policy.serving import TRITON

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
    dialect: KServeJson | None = None  # of a server of KServe's own; None: Triton's v2

    def read(self, reply: Reply) -> serving.Answer:
        """Decode an answer. Raises ValueError or KeyError when it is none."""
        return _read(reply, self.protocol, self.dialect)

    def open(self) -> Lane:
        """Connections that open with their first request. Raises UsageError."""
        count, timeout_s = self.connections, self.timeout_s
        opened = (
            grpc_connections(self.to, count=count, timeout_s=timeout_s)
            if self.protocol == "grpc"
            else connections.rest_connections(
                self.to, path=self._path, count=count, timeout_s=timeout_s
            )
        )
        return Lane(
            connections=opened, requests=self.requests, check=self.check, timeout_s=timeout_s
        )

    @property
    def _path(self) -> str:
        return self.dialect.path(self.model) if self.dialect else connections.infer(self.model)

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
    dialect = dialect_of(deployment.repository)
    rows, requests = _asked(deployment, policy, golden_path.parent, golden)
    return Way(
        to=target(settings(), host, load.headers),
        protocol=load.protocol,
        model=deployment.repository.triton_model,
        requests=requests,
        rows=rows,
        check=Check(
            golden=golden,
            policy=policy,
            version=None if dialect else version,  # deploy has asked for it, at the same host
            compared=compared,
            dialect=dialect,
        ),
        connections=load.max_connections,
        timeout_s=load.timeout_s,
        dialect=dialect,
    )


def dialect_of(repository: ModelRepository) -> KServeJson | None:
    """How a server of KServe's own is asked; None for Triton."""
    if repository.format == TRITON:
        return None
    return KServeJson(
        protocol=repository.protocol,
        input=repository.inputs[0],
        output=repository.outputs[0].name,
    )


def _read(reply: Reply, protocol: str, dialect: KServeJson | None) -> serving.Answer:
    if dialect:
        return dialect.read(reply.body)
    if protocol == "grpc":
        return serving.read_grpc(reply.body)
    return serving.read_rest(reply.body, reply.header_length)


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
    if dialect := dialect_of(deployment.repository):
        return dialect.requests(rows)
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
    dialect: KServeJson | None = None
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
            answer = _read(reply, self.policy.load.protocol, self.dialect)
        except (ValueError, KeyError) as error:
            spoken = self.dialect.protocol if self.dialect else "v2"
            return f"not a {spoken} answer ({type(error).__name__}: {error})"
        if not self.compared:
            return served_answers.unusable(answer, self.golden, version=self.version)
        parity = self.policy.parity
        return served_answers.difference(
            answer, self.golden, request.row, parity=parity, version=self.version
        )
