"""One worker's connection to an inference server: REST over http.client, gRPC over one shared channel.

http.client because it does exactly one thing per call: no retry, no redirect, no pool; and it costs a
third of the CPU of an async client. A keep-alive connection that the server has closed while idle is
opened anew BEFORE the request is sent; after that, nothing is sent twice.
"""

import http.client
import select
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tidegate.adapters.load import Connection, Reply, Request
from tidegate.errors import UsageError

HEADER_LENGTH = "Inference-Header-Content-Length"
REVISION_HEADER = "x-tidegate-revision"
INFER = "/inference.GRPCInferenceService/ModelInfer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, and under which host name."""

    address: str
    port: int
    tls: bool
    host: str


def target(ingress_url: str, host: str) -> Target:
    """The ingress with the service's host name, or the host itself. Raises UsageError."""
    parts = urlsplit(ingress_url or f"http://{host}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"TIDEGATE_INGRESS_URL is {ingress_url!r}; write http://address:port or https://address:port"
        )
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    return Target(address=parts.hostname, port=port, tls=tls, host=host)


@dataclass(slots=True)
class RestConnection:
    """KServe v2 over HTTP/1.1."""

    to: Target
    path: str
    timeout_s: float
    _http: http.client.HTTPConnection | None = None

    def send(self, request: Request) -> Reply:
        """Send one request; an error of any kind is words in the reply."""
        headers = {
            "Host": self.to.host,
            "Content-Type": "application/octet-stream",
            HEADER_LENGTH: str(request.header_length),
        }
        try:
            connection = self._open()
            connection.request("POST", self.path, body=request.body, headers=headers)
            response = connection.getresponse()
            return _reply(response, response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            return Reply(error=_words(error, self.timeout_s))

    def _open(self) -> http.client.HTTPConnection:
        if self._http is not None and self._http.sock and _closed_by_server(self._http.sock):
            self.close()
        if self._http is None:
            self._http = self._connection()
            self._http.connect()
        return self._http

    def _connection(self) -> http.client.HTTPConnection:
        if not self.to.tls:
            return http.client.HTTPConnection(self.to.address, self.to.port, timeout=self.timeout_s)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            self.to.address, self.to.port, timeout=self.timeout_s, context=context
        )

    def close(self) -> None:
        """Close the socket; the next request opens a new one."""
        if self._http is not None:
            self._http.close()
            self._http = None


def _closed_by_server(sock: Any) -> bool:
    """An idle connection with something to read has been closed by the other side."""
    return bool(select.select([sock], [], [], 0)[0])


def _words(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return f"{type(error).__name__}: {error}"


def _reply(response: http.client.HTTPResponse, body: bytes) -> Reply:
    revision = response.getheader(REVISION_HEADER) or ""
    if response.status != 200:
        shown = " ".join(body[:200].decode(errors="replace").split())
        return Reply(error=f"HTTP {response.status}: {shown}", revision=revision)
    length = response.getheader(HEADER_LENGTH)
    return Reply(body=body, header_length=int(length) if length else None, revision=revision)


@dataclass(slots=True)
class GrpcConnection:
    """KServe v2 over gRPC; workers share one channel (HTTP/2 carries them side by side)."""

    channel: Any
    timeout_s: float
    _call: Any = field(init=False)

    def __post_init__(self) -> None:
        self._call = self.channel.unary_unary(INFER)

    def send(self, request: Request) -> Reply:
        """Send one request; an error of any kind is words in the reply."""
        import grpc

        try:
            body, call = self._call.with_call(request.body, timeout=self.timeout_s)
        except grpc.RpcError as error:
            return Reply(error=f"gRPC {error.code().name}: {error.details()}")
        metadata = dict(call.initial_metadata() or ())
        return Reply(body=body, revision=metadata.get(REVISION_HEADER, ""))

    def close(self) -> None:
        """Close the shared channel."""
        self.channel.close()


def rest_connections(
    to: Target, *, model: str, count: int, timeout_s: float
) -> tuple[Connection, ...]:
    """`count` connections, opened with their first request."""
    path = f"/v2/models/{model}/infer"
    return tuple(RestConnection(to, path, timeout_s) for _ in range(count))


def grpc_connections(to: Target, *, count: int, timeout_s: float) -> tuple[Connection, ...]:
    """`count` workers on one channel, :authority = host, without gRPC's own retries."""
    import grpc

    address = f"{to.address}:{to.port}"
    options = [("grpc.default_authority", to.host), ("grpc.enable_retries", 0)]
    if to.tls:
        channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), options=options)
    else:
        channel = grpc.insecure_channel(address, options=options)
    return tuple(GrpcConnection(channel, timeout_s) for _ in range(count))
