"""One worker's connection to an inference server: REST on a socket of its own, gRPC on a few channels.

A socket with prepared bytes and a parser in C, because the generator's own time counts in every latency:
http.client took 3 times the CPU per request. No retry, no redirect, no pool. A keep-alive connection that
the server has closed while idle is opened anew BEFORE the request is sent; after that, nothing is sent twice.
"""

import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import httptools

from tidegate.adapters.ingress import Target, context, pem
from tidegate.adapters.load import Connection, Reply, Request
from tidegate.errors import UsageError

HEADER_LENGTH = "Inference-Header-Content-Length"
REVISION_HEADER = "x-tidegate-revision"
INFER = "/inference.GRPCInferenceService/ModelInfer"
WORKERS_PER_CHANNEL = 8  # HTTP/2 carries them side by side, and a balancer sees several connections
CHUNK = 65_536


@dataclass(slots=True)
class Answer:
    """What the parser has read of one answer."""

    revision: str = ""
    header_length: int | None = None
    parts: list[bytes] = field(default_factory=list)
    done: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools calls this for every header."""
        lowered = name.lower()
        if lowered == b"x-tidegate-revision":
            self.revision = value.decode("latin-1")
        elif lowered == b"inference-header-content-length":
            self.header_length = int(value)

    def on_body(self, data: bytes) -> None:
        """And this for every piece of the body, chunked or not."""
        self.parts.append(data)

    def on_message_complete(self) -> None:
        """And this at the end."""
        self.done = True


@dataclass(slots=True)
class RestConnection:
    """KServe v2 over HTTP/1.1."""

    to: Target
    path: str
    timeout_s: float
    tls: ssl.SSLContext | None = None
    _socket: socket.socket | None = None
    _head: bytes = field(init=False)

    def __post_init__(self) -> None:
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {self.to.host}"]
        lines += [f"{name}: {value}" for name, value in self.to.headers.items()]
        self._head = "\r\n".join([*lines, "Content-Type: application/octet-stream", ""]).encode()

    def send(self, request: Request) -> Reply:
        """Send one request; an error of any kind is words in the reply."""
        head = b"%bContent-Length: %d\r\n%b: %d\r\n\r\n" % (
            self._head, len(request.body), HEADER_LENGTH.encode(), request.header_length,
        )  # fmt: skip
        try:
            opened = self._open()
            opened.sendall(head + request.body)
            return self._answer(opened)
        except (OSError, ValueError, httptools.HttpParserError) as error:
            self.close()
            return Reply(error=_words(error, self.timeout_s))

    def _answer(self, opened: socket.socket) -> Reply:
        answer, ends = Answer(), time.perf_counter() + self.timeout_s
        parser = httptools.HttpResponseParser(answer)
        while True:
            data = opened.recv(CHUNK)
            if not data:
                raise ConnectionError("the server closed the connection before its answer ended")
            parser.feed_data(data)
            if answer.done:
                break
            if time.perf_counter() > ends:  # trickles in, byte by byte
                raise TimeoutError
        if not parser.should_keep_alive():
            self.close()
        return _reply(parser.get_status_code(), answer)

    def _open(self) -> socket.socket:
        if self._socket is not None and _closed_by_server(self._socket):
            self.close()
        if self._socket is None:
            self._socket = self._connected()
        return self._socket

    def _connected(self) -> socket.socket:
        made = socket.create_connection((self.to.address, self.to.port), timeout=self.timeout_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls is None:
            return made
        try:
            return self.tls.wrap_socket(made, server_hostname=self.to.server_name)
        except OSError:
            made.close()
            raise

    def close(self) -> None:
        """Close the socket; the next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _closed_by_server(opened: socket.socket) -> bool:
    """An idle connection with something to read has been closed by the other side, or, with TLS, been given
    a ticket for the next session."""
    if not select.select([opened], [], [], 0)[0]:
        return False
    if not isinstance(opened, ssl.SSLSocket):
        return True
    within = opened.gettimeout()
    opened.settimeout(0)
    try:
        opened.recv(1)
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True
    finally:
        opened.settimeout(within)
    return True


def _words(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return f"{type(error).__name__}: {error}"


def _reply(status: int, answer: Answer) -> Reply:
    body = b"".join(answer.parts)
    if status != 200:
        shown = " ".join(body[:200].decode(errors="replace").split())
        return Reply(error=f"HTTP {status}: {shown}", revision=answer.revision)
    return Reply(body=body, header_length=answer.header_length, revision=answer.revision)


@dataclass(slots=True)
class GrpcConnection:
    """KServe v2 over gRPC; several workers share a channel."""

    channel: Any
    timeout_s: float
    metadata: tuple[tuple[str, str], ...] = ()
    _call: Any = field(init=False)

    def __post_init__(self) -> None:
        self._call = self.channel.unary_unary(INFER)

    def send(self, request: Request) -> Reply:
        """Send one request; an error of any kind is words in the reply."""
        import grpc

        try:
            body, call = self._call.with_call(
                request.body, timeout=self.timeout_s, metadata=self.metadata
            )
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
    """`count` connections, opened with their first request. Raises UsageError."""
    path, tls = f"/v2/models/{model}/infer", context(to.tls) if to.tls else None
    return tuple(RestConnection(to, path, timeout_s, tls) for _ in range(count))


def grpc_connections(to: Target, *, count: int, timeout_s: float) -> tuple[Connection, ...]:
    """`count` workers, :authority = host, without gRPC's own retries. Raises UsageError."""
    channels = [grpc_channel(to) for _ in range(-(-count // WORKERS_PER_CHANNEL))]
    metadata = tuple((name.lower(), value) for name, value in to.headers.items())
    return tuple(
        GrpcConnection(channels[n // WORKERS_PER_CHANNEL], timeout_s, metadata)
        for n in range(count)
    )


def grpc_channel(to: Target) -> Any:
    """A channel of its own, :authority = host, without gRPC's own retries. Raises UsageError."""
    import grpc

    address = f"{to.address}:{to.port}"
    options = [
        ("grpc.default_authority", to.host),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if to.tls is None:
        return grpc.insecure_channel(address, options=options)
    if to.tls.insecure:
        raise UsageError(
            "TIDEGATE_INGRESS_INSECURE is true, and gRPC checks every certificate; name the ingress's "
            "certificates in TIDEGATE_INGRESS_CA"
        )
    credentials = grpc.ssl_channel_credentials(
        pem(to.tls.ca), pem(to.tls.key), pem(to.tls.certificate)
    )
    named = [*options, ("grpc.ssl_target_name_override", to.server_name)]
    return grpc.secure_channel(address, credentials, options=named)
