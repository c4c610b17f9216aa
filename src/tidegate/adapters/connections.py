"""One worker's connection to an inference server over REST: a socket of its own.

A socket with prepared bytes and a parser in C, because the generator's own time counts in every latency:
http.client took 3 times the CPU per request. No retry, no redirect, no pool. A keep-alive connection that
the server has closed while idle is opened anew BEFORE the request is sent; after that, nothing is sent twice.
"""

import select
import socket
import ssl
import time
from dataclasses import dataclass, field

import httptools

from tidegate.adapters.ingress import Target, context
from tidegate.adapters.load import Connection, Reply, Request

HEADER_LENGTH = "Inference-Header-Content-Length"
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
        self._head = "\r\n".join([*lines, ""]).encode()

    def send(self, request: Request) -> Reply:
        """Send one request; an error of any kind is words in the reply."""
        size = len(request.body)
        head = b"%b%bContent-Length: %d\r\n\r\n" % (self._head, _form(request), size)
        try:
            opened = self._open()
            opened.sendall(head + request.body)
            return self._answer(opened)
        except (OSError, ValueError, httptools.HttpParserError) as error:
            self.close()
            return Reply(error=in_words(error, self.timeout_s))

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
            self._socket = connected(self.to, self.tls, self.timeout_s)
        return self._socket

    def close(self) -> None:
        """Close the socket; the next request opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _form(request: Request) -> bytes:
    """Headers of JSON alone, or of JSON with binary tensors behind it."""
    if not request.header_length:
        return b"Content-Type: application/json\r\n"
    length = (HEADER_LENGTH.encode(), request.header_length)
    return b"Content-Type: application/octet-stream\r\n%b: %d\r\n" % length


def connected(to: Target, tls: ssl.SSLContext | None, timeout_s: float) -> socket.socket:
    """A socket to the server, encrypted where there is a context. Raises OSError."""
    made = socket.create_connection((to.address, to.port), timeout=timeout_s)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is None:
        return made
    try:
        return tls.wrap_socket(made, server_hostname=to.server_name)
    except OSError:
        made.close()
        raise


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


def in_words(error: Exception, timeout_s: float) -> str:
    """What went wrong with a connection."""
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return f"{type(error).__name__}: {error}"


def _reply(status: int, answer: Answer) -> Reply:
    body = b"".join(answer.parts)
    if status != 200:
        shown = " ".join(body[:200].decode(errors="replace").split())
        return Reply(error=f"HTTP {status}: {shown}", revision=answer.revision)
    return Reply(body=body, header_length=answer.header_length, revision=answer.revision)


def infer(model: str) -> str:
    """Where v2 asks a model."""
    return f"/v2/models/{model}/infer"


def rest_connections(
    to: Target, *, path: str, count: int, timeout_s: float
) -> tuple[Connection, ...]:
    """`count` connections, opened with their first request. Raises UsageError."""
    tls = context(to.tls) if to.tls else None
    return tuple(RestConnection(to, path, timeout_s, tls) for _ in range(count))
