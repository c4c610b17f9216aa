"""A served model over the v2 gRPC protocol, where a pod's one port is h2c: which version answers."""

from collections.abc import Callable, Sequence

from tidegate.adapters import serving
from tidegate.adapters.grpc_connection import GrpcConnection, grpc_context
from tidegate.adapters.ingress import target
from tidegate.adapters.load import Request
from tidegate.config import settings
from tidegate.documents import Tensor
from tidegate.errors import RejectedError, UnavailableError

ATTEMPT_S = 4.0
FINAL = ("INVALID_ARGUMENT", "UNIMPLEMENTED", "PERMISSION_DENIED", "UNAUTHENTICATED")


def versions_over_grpc(
    host: str,
    model: str,
    inputs: Sequence[Tensor],
    *,
    sequential: bool = False,
    requests: int,
    is_over: Callable[[str], bool],
) -> tuple[str, ...]:
    """Send requests of one row of zeros; the version that answered each.

    Raises UnavailableError when nothing answers in time, RejectedError when the model refuses.
    """
    to = target(settings(), host, {})
    connection = GrpcConnection(to, ATTEMPT_S, tls=grpc_context(to))
    rows = [{tensor.name: serving.zeros(tensor) for tensor in inputs}]
    (request,) = serving.grpc_requests(rows, inputs, outputs=(), model=model, sequential=sequential)
    try:
        return tuple(_asked(connection, request, host, is_over) for _ in range(requests))
    finally:
        connection.close()


def _asked(
    connection: GrpcConnection, request: Request, host: str, is_over: Callable[[str], bool]
) -> str:
    while True:
        reply = connection.send(request)
        if not reply.error:
            return _version(reply.body, host)
        if any(word in reply.error for word in FINAL):
            raise RejectedError(
                f"{host} refuses a request of zeros: {reply.error}; check the model"
            )
        if is_over(f"{host} ({reply.error})"):
            raise UnavailableError(f"{host} does not answer: {reply.error}; check the ingress")


def _version(body: bytes, host: str) -> str:
    try:
        found = serving.read_grpc(body).version
    except (ValueError, KeyError) as error:
        raise RejectedError(f"{host} gave no v2 answer ({error}); check the model") from error
    if not found:
        raise RejectedError(f"{host} does not name a model_version; serve it with Triton")
    return found
