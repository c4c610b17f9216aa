"""Opens the way to each arm of a load test: connections, golden requests, and the check of answers.

Only the candidate's answers are compared with the golden ones, which are its own source model's; the
incumbent is another version and may rightly answer otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.adapters import connections, serving
from tidegate.adapters.load import Lane, Reply, Request
from tidegate.config import settings
from tidegate.documents import Deployment
from tidegate.policy import Policy

GOLDEN_RATIO = 0.6180339887498949  # its multiples spread evenly, so a sample of answers is even too
REMEMBERED, REMEMBERED_BYTES = 10_000, 65_536


def candidate_lane(deployment: Deployment, policy: Policy, *, golden_path: Path) -> Lane:
    """The way to the candidate alone. Raises DocumentError or UsageError."""
    golden = serving.read_golden(golden_path)
    check = Check(golden=golden, policy=policy, version=deployment.repository.model_version)
    return _lane(deployment.candidate_host, deployment, policy, golden, check)


def baseline_lane(deployment: Deployment, policy: Policy, *, golden_path: Path) -> Lane:
    """The way to the incumbent."""
    golden = serving.read_golden(golden_path)
    version = deployment.incumbent.version if deployment.incumbent else ""
    check = Check(golden=golden, policy=policy, version=version or None, compared=False)
    return _lane(deployment.incumbent_host, deployment, policy, golden, check)


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
        except (ValueError, KeyError, TypeError) as error:
            return f"not a v2 answer ({type(error).__name__}: {error})"
        golden = self.golden if self.compared else serving.Golden(inputs={}, outputs={})
        parity = self.policy.parity
        return serving.difference(answer, golden, request.row, parity=parity, version=self.version)


def _lane(
    host: str,
    deployment: Deployment,
    policy: Policy,
    golden: serving.Golden,
    check: Callable[[int, Request, Reply], str],
) -> Lane:
    load, repository = policy.load, deployment.repository
    to = connections.target(settings().ingress_url, host)
    count, timeout = load.max_connections, load.timeout_s
    model = repository.triton_model
    if load.protocol == "grpc":
        return Lane(
            connections=connections.grpc_connections(to, count=count, timeout_s=timeout),
            requests=serving.grpc_requests(golden, repository.inputs, model=model),
            check=check,
            timeout_s=timeout,
        )
    return Lane(
        connections=connections.rest_connections(to, model=model, count=count, timeout_s=timeout),
        requests=serving.rest_requests(golden, repository.inputs),
        check=check,
        timeout_s=timeout,
    )
