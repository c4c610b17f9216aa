"""A reverse proxy between the official client and the API: records every call, and breaks the chosen one."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from tests.faults.calls import Call, Json, Request, Story

CODES = {
    "409": (409, "Conflict", "the object has been modified"),
    "429": (429, "TooManyRequests", "too many requests"),
    "500": (500, "InternalError", "etcdserver: leader changed"),
    "503": (503, "ServiceUnavailable", "apiserver is shutting down"),
}
HUNG_S = 20.0


@dataclass(slots=True)
class Fault:
    """What is done to a call: once, or for as long as it is made."""

    kind: str
    call: Call
    stays: bool = False
    fired: int = 0

    def hits(self, call: Call) -> bool:
        """A read that lags behind does so at every change; any other passing fault comes once."""
        return call == self.call and (self.stays or self.kind == "stale" or not self.fired)


@dataclass
class Wire:
    """What the proxy has seen and what it is to do."""

    upstream: str
    url: str = ""
    step: str = "set-up"
    fault: Fault | None = None
    calls: list[tuple[Call, Request]] = field(default_factory=list)
    story: Story = field(default_factory=Story)
    versions: dict[str, list[tuple[int, bytes]]] = field(default_factory=dict)
    shown: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def during(self, step: str, fault: Fault | None = None) -> Iterator[None]:
        """Name the step whose calls these are, and break one of them."""
        self.step, self.fault = step, fault
        try:
            yield
        finally:
            self.step, self.fault = "after", None

    def named(self, request: Request) -> tuple[Call, Fault | None]:
        """Record a request; the fault that hits it."""
        with self.lock:
            call = self.story.call(self.step, request)
            self.calls.append((call, request))
            hit = self.fault if self.fault and self.fault.hits(call) else None
            return call, hit

    def told(self, request: Request, code: int, text: bytes) -> None:
        """An answer of the API: a version of the object that a stale read may show later."""
        with self.lock:
            if code < 300:
                self.story.tell(request, json.loads(text))
            if request.method in {"GET", "PUT", "PATCH"} and code in {200, 404}:
                known = self.versions.setdefault(_address(request), [])
                if not known or known[-1] != (code, text):
                    known.append((code, text))

    def stale(self, fault: Fault, request: Request) -> tuple[int, bytes] | None:
        """What the object was before; None when it never was anything else."""
        address = _address(request)
        known = self.versions.get(address, [])
        before = known[-2] if len(known) > 1 else None
        if fault.stays and known:  # from now on the object seems never to change again
            return self.shown.setdefault(address, before or known[-1])
        if self.shown.get(address) == known[-1]:  # each version is shown late, once
            return None
        self.shown[address] = known[-1]
        return before


def _address(request: Request) -> str:
    return f"{request.path}?{sorted(request.query.items())}"


@contextmanager
def between(upstream: str) -> Iterator[Wire]:
    """A proxy on a free loopback port in front of the API at `upstream`."""
    wire = Wire(upstream=upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"wire": wire}))
    wire.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        wire.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    wire: Wire
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        body: Json = json.loads(raw or b"{}")
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), body)
        _, fault = self.wire.named(request)
        if fault is None:
            self._reply(*self._forward(request, raw))
        else:
            self._break(fault, request, raw)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the base's names

    def _break(self, fault: Fault, request: Request, raw: bytes) -> None:
        if fault.kind == "stale":
            self._stale(fault, request, raw)
            return
        fault.fired += 1
        if fault.kind in CODES:
            self._reply(CODES[fault.kind][0], _status(fault.kind))
            return
        if fault.kind == "timeout":
            self.wire.over.wait(HUNG_S)
        if fault.kind == "lost":
            self._forward(request, raw)
        self._hang_up()

    def _stale(self, fault: Fault, request: Request, raw: bytes) -> None:
        now = self._forward(request, raw)
        before = self.wire.stale(fault, request)
        fault.fired += before not in {None, now}
        self._reply(*(before or now))

    def _forward(self, request: Request, raw: bytes) -> tuple[int, bytes]:
        host = urlsplit(self.wire.upstream).netloc
        link = http.client.HTTPConnection(host, timeout=HUNG_S)
        headers = {
            "Accept": "application/json",
            "Content-Type": self.headers["Content-Type"] or "",
            "Authorization": self.headers["Authorization"] or "",
        }
        try:
            link.request(self.command, self.path, raw, headers)
            answer = link.getresponse()
            code, text = answer.status, answer.read()
        finally:
            link.close()
        self.wire.told(request, code, text)
        return code, text

    def _reply(self, code: int, text: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        if code == 429:
            self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(text)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Quiet."""


def _status(kind: str) -> bytes:
    code, reason, message = CODES[kind]
    failure = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {}}
    return json.dumps(failure | {"code": code, "reason": reason, "message": message}).encode()
