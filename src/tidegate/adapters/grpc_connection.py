"""One worker's connection to an inference server over gRPC: unary calls on a socket of its own.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. No retry. A connection that the server has
closed, or said good-bye on, while it was idle is opened anew BEFORE the request is sent; after that, nothing
is sent twice, except, once, what the server vouches that it has not looked at (GOAWAY).
"""

import ssl
import struct
import time
from dataclasses import dataclass, field
from urllib.parse import unquote

from tidegate.adapters.connections import connected, in_words
from tidegate.adapters.http2 import Exchange, Headers, Session, UnprocessedError, headers
from tidegate.adapters.ingress import Target, context
from tidegate.adapters.load import Connection, Reply, Request

REVISION_HEADER = "x-tidegate-revision"
INFER = "/inference.GRPCInferenceService/ModelInfer"
PREFIX = struct.Struct(">BL")  # compressed or not, and the length of the message
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
    "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip


@dataclass(slots=True)
class GrpcConnection:
    """One method of one server, with the target's headers as metadata."""

    to: Target
    timeout_s: float
    method: str = INFER
    tls: ssl.SSLContext | None = None
    _session: Session | None = None
    _block: bytes = field(init=False)

    def __post_init__(self) -> None:
        metadata = [(name.lower(), value) for name, value in self.to.headers.items()]
        self._block = headers(
            (":method", "POST"), (":scheme", "https" if self.tls else "http"), (":path", self.method),
            (":authority", self.to.host), ("te", "trailers"), ("content-type", "application/grpc"),
            ("grpc-timeout", f"{max(1, round(1000 * self.timeout_s))}m"), ("user-agent", "tidegate"),
            *metadata,
        )  # fmt: skip

    def send(self, request: Request) -> Reply:
        """Send one request; an error of any kind is words in the reply."""
        message = PREFIX.pack(0, len(request.body)) + request.body
        ends = time.perf_counter() + self.timeout_s
        try:
            try:
                return self._called(message, ends)
            except UnprocessedError:
                self.close()
                return self._called(message, ends)
        except OSError as error:
            self.close()
            return Reply(error=in_words(error, self.timeout_s))

    def _called(self, message: bytes, ends: float) -> Reply:
        session = self._opened()
        reply = _reply(session.call(self._block, message, ends))
        if not session.usable:
            self.close()
        return reply

    def _opened(self) -> Session:
        if self._session is not None and not self._session.is_alive():
            self.close()
        if self._session is None:
            self._session = Session(connected(self.to, self.tls, self.timeout_s))
        return self._session

    def close(self) -> None:
        """Close the socket; the next request opens a new one."""
        if self._session is not None:
            self._session.close()
            self._session = None


def grpc_connections(to: Target, *, count: int, timeout_s: float) -> tuple[Connection, ...]:
    """`count` connections for ModelInfer, opened with their first request. Raises UsageError."""
    tls = grpc_context(to)
    return tuple(GrpcConnection(to, timeout_s, INFER, tls) for _ in range(count))


def grpc_context(to: Target) -> ssl.SSLContext | None:
    """TLS that asks for HTTP/2 (ALPN); None: plain. Raises UsageError."""
    if to.tls is None:
        return None
    made = context(to.tls)
    made.set_alpn_protocols(["h2"])
    return made


def _reply(exchange: Exchange) -> Reply:
    """The message, or what the status says is wrong."""
    first = exchange.blocks[0] if exchange.blocks else {}
    revision = first.get(REVISION_HEADER, "")
    if trouble := _trouble(exchange, first):
        return Reply(error=trouble, revision=revision)
    body = b"".join(exchange.parts)
    if len(body) < PREFIX.size or PREFIX.unpack_from(body) != (0, len(body) - PREFIX.size):
        return Reply(error="gRPC: the answer is not one plain message", revision=revision)
    return Reply(body=body[PREFIX.size :], revision=revision)


def _trouble(exchange: Exchange, first: Headers) -> str:
    last = exchange.blocks[-1] if exchange.blocks else {}
    if (code := last.get("grpc-status")) is not None:  # the server's own word, whatever HTTP says
        return "" if code == "0" else f"gRPC {_name(code)}: {unquote(last.get('grpc-message', ''))}"
    if exchange.reset:
        return f"gRPC: the stream was reset ({exchange.reset})"
    if (status := first.get(":status", "none")) != "200":
        shown = " ".join(b"".join(exchange.parts)[:200].decode(errors="replace").split())
        return f"HTTP {status}: {shown}"
    return "gRPC: the answer ended without a status"


def _name(code: str) -> str:
    known = code.isdecimal() and int(code) < len(CODES)
    return CODES[int(code)] if known else f"status {code[:20]}"
