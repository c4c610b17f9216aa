"""HTTP/2 on one socket, one stream at a time: what a unary call needs, and nothing else.

RFC 9113. The generator's own time counts in every latency, and so does its CPU where it shares a machine with
the server: grpcio hands a call to threads of its own. The header table's size is set to 0, so that a block of
headers means the same whenever it comes, and is decoded once.
"""

import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import hpack

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 5, 6, 7, 8, 9,
)  # fmt: skip
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 4, 5
WINDOW, LARGEST_WINDOW, FRAME, LARGEST_FRAME = 65_535, 2**31 - 1, 16_384, 2**20
CREDIT = 2**30  # bytes read before the connection's window is opened again
CHUNK = 262_144
REMEMBERED = 256  # blocks of headers; a server's differ in its clock
HEAD = struct.Struct(">BHBBL")
ERRORS = (
    "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
    "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR",
    "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
)  # fmt: skip

Headers = dict[str, str]


class Frame(NamedTuple):
    """A frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview) -> bytes:
    """One frame (section 4.1)."""
    size = len(payload)
    return HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


SETTINGS_OF_OURS = {
    HEADER_TABLE_SIZE: 0,
    ENABLE_PUSH: 0,
    INITIAL_WINDOW_SIZE: LARGEST_WINDOW,
    MAX_FRAME_SIZE: LARGEST_FRAME,
}
PREFACE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    + frame(SETTINGS, 0, 0, b"".join(struct.pack(">HL", *one) for one in SETTINGS_OF_OURS.items()))
    + frame(WINDOW_UPDATE, 0, 0, struct.pack(">L", LARGEST_WINDOW - WINDOW))
)


def headers(*pairs: tuple[str, str]) -> bytes:
    """A block that leaves no trace in the server's table, so that it can be sent again and again."""
    return hpack.Encoder().encode([(*pair, True) for pair in pairs], huffman=False)


@dataclass(slots=True)
class Exchange:
    """One request's stream: the header blocks and the bytes that came back."""

    window: int
    blocks: list[Headers] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    done: bool = False
    reset: str = ""


class UnprocessedError(ConnectionError):
    """The server went away and vouches that it has not looked at the request (section 6.8)."""


class Session:
    """A connection of HTTP/2. Errors are OSErrors; after one, or when not `usable`, it is to be closed."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket, self.usable = opened, True
        self._received, self._block = bytearray(), bytearray()
        self._stream, self._read_since_credit, self._ends_stream = -1, 0, False
        self._window, self._initial, self._frame = WINDOW, WINDOW, FRAME
        self._exchange = Exchange(window=0, done=True)
        self._decoder, self._decoded = hpack.Decoder(), dict[bytes, Headers]()
        self._decoder.max_allowed_table_size = 0
        opened.sendall(PREFACE)

    def call(self, block: bytes, body: bytes, ends: float) -> Exchange:
        """Send a request and read its answer until time.perf_counter() is `ends`."""
        self._stream += 2
        self._exchange = exchange = Exchange(window=self._initial)
        head = frame(HEADERS, END_HEADERS, self._stream, block)
        left = self._send(head, memoryview(body))
        while not exchange.done:
            self._receive()
            if time.perf_counter() > ends:  # trickles in, byte by byte
                raise TimeoutError
            if left and not exchange.done:
                left = self._send(b"", left)
        if (
            left or self._stream > LARGEST_WINDOW - 4
        ):  # answered before it was asked, or ids are used up
            self.usable = False
        return exchange

    def _send(self, head: bytes, body: memoryview) -> memoryview:
        """What the windows allow; the rest."""
        exchange = self._exchange
        allowed = max(0, min(len(body), self._window, exchange.window))
        pieces = [head]
        for start in range(0, allowed, self._frame):
            piece = body[start : min(start + self._frame, allowed)]
            last = END_STREAM if start + len(piece) == len(body) else 0
            pieces.append(frame(DATA, last, self._stream, piece))
        self._window -= allowed
        exchange.window -= allowed
        if out := b"".join(pieces):
            self.socket.sendall(out)
        return body[allowed:]

    def is_alive(self) -> bool:
        """Read what came since the last answer: an end or a good-bye makes it unusable."""
        if not select.select([self.socket], [], [], 0)[0]:
            return self.usable
        within = self.socket.gettimeout()
        self.socket.settimeout(0)
        try:
            while self.usable:
                self._receive()
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError:
            self.usable = False
        finally:
            self.socket.settimeout(within)
        return self.usable

    def _receive(self) -> None:
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection before its answer ended")
        received = self._received
        received += data
        at = 0
        while len(received) - at >= HEAD.size:
            high, low, kind, flags, stream = HEAD.unpack_from(received, at)
            ends = at + HEAD.size + (high << 16) + low
            if ends - at > LARGEST_FRAME + HEAD.size:
                raise ConnectionError("a frame of HTTP/2 larger than announced")
            if ends > len(received):
                break
            payload = bytes(received[at + HEAD.size : ends])
            self._on_frame(Frame(kind, flags, stream & LARGEST_WINDOW, payload))
            at = ends
        del received[:at]

    def _on_frame(self, came: Frame) -> None:
        if came.kind == PUSH:
            raise ConnectionError("HTTP/2: the server pushes, which was declined")
        if self._block and came.kind != CONTINUATION:
            raise ConnectionError("HTTP/2: a block of headers was interrupted")
        act = _ACTS.get(came.kind, Session._ignore)
        try:
            act(self, came)
        except (struct.error, IndexError, hpack.HPACKError) as error:
            raise ConnectionError(f"HTTP/2: {type(error).__name__} {error}") from error

    def _is_ours(self, stream: int) -> bool:
        return stream == self._stream and not self._exchange.done

    def _data(self, came: Frame) -> None:
        self._read_since_credit += len(came.payload)
        if self._read_since_credit >= CREDIT:
            self._write(WINDOW_UPDATE, 0, struct.pack(">L", self._read_since_credit))
            self._read_since_credit = 0
        if self._is_ours(came.stream):
            self._exchange.parts.append(_unpadded(came))
            self._exchange.done = bool(came.flags & END_STREAM)

    def _headers(self, came: Frame) -> None:
        block = _unpadded(came)
        self._ends_stream = bool(came.flags & END_STREAM)
        self._continuation(came._replace(payload=block[5:] if came.flags & PRIORITY else block))

    def _continuation(self, came: Frame) -> None:
        self._block += came.payload
        if len(self._block) > LARGEST_FRAME:
            raise ConnectionError("HTTP/2: headers without an end")
        if came.flags & END_HEADERS:
            block, self._block = bytes(self._block), bytearray()
            found = self._decoded.get(block) or self._decode(block)
            if self._is_ours(came.stream):
                self._exchange.blocks.append(found)
                self._exchange.done = self._ends_stream

    def _decode(self, block: bytes) -> Headers:
        found = {str(name): str(value) for name, value in self._decoder.decode(block)}
        if len(self._decoded) < REMEMBERED:
            self._decoded[block] = found
        return found

    def _reset(self, came: Frame) -> None:
        if self._is_ours(came.stream):
            self._exchange.reset = _error(came.payload[:4])
            self._exchange.done = True

    def _set(self, came: Frame) -> None:
        if came.flags & ACK:
            return
        for name, value in struct.iter_unpack(">HL", came.payload):
            if name == INITIAL_WINDOW_SIZE:
                self._exchange.window += value - self._initial  # section 6.9.2
                self._initial = value
            elif name == MAX_FRAME_SIZE:
                self._frame = value
        self._write(SETTINGS, ACK, b"")

    def _ping(self, came: Frame) -> None:
        if not came.flags & ACK:
            self._write(PING, ACK, came.payload)

    def _go_away(self, came: Frame) -> None:
        self.usable = False
        last = struct.unpack(">L", came.payload[:4])[0] & LARGEST_WINDOW
        if last < self._stream and not self._exchange.done:
            words = " ".join(came.payload[8:208].decode(errors="replace").split())
            raise UnprocessedError(
                f"the server goes away: {_error(came.payload[4:8])} {words}".rstrip()
            )

    def _open_window(self, came: Frame) -> None:
        more = struct.unpack(">L", came.payload)[0] & LARGEST_WINDOW
        if came.stream == 0:
            self._window += more
        elif came.stream == self._stream:
            self._exchange.window += more

    def _ignore(self, came: Frame) -> None:
        """A kind that means nothing here, or nothing to anybody (section 4.1)."""

    def _write(self, kind: int, flags: int, payload: bytes) -> None:
        self.socket.sendall(frame(kind, flags, 0, payload))

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


_ACTS: dict[int, Callable[[Session, Frame], None]] = {
    DATA: Session._data,
    HEADERS: Session._headers,
    CONTINUATION: Session._continuation,
    RST_STREAM: Session._reset,
    SETTINGS: Session._set,
    PING: Session._ping,
    GOAWAY: Session._go_away,
    WINDOW_UPDATE: Session._open_window,
}


def _unpadded(came: Frame) -> bytes:
    payload = came.payload
    if not came.flags & PADDED:
        return payload
    if payload[0] >= len(payload):
        raise ConnectionError("HTTP/2: more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _error(code: bytes) -> str:
    number = int.from_bytes(code, "big")
    return ERRORS[number] if number < len(ERRORS) else f"error {number}"
