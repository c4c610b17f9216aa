"""gRPC on a socket of its own: against grpcio's server, and against one that does what few servers do."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import hpack
import pytest

from tidegate.adapters import http2
from tidegate.adapters.grpc_connection import GrpcConnection
from tidegate.adapters.http2 import frame
from tidegate.adapters.ingress import Target
from tidegate.adapters.load import Reply, Request

# -- grpcio's own server


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Sends the message back; a message that begins with `fail` ends in an error."""

    def service(self, handler_call_details: Any) -> Any:
        given = dict(handler_call_details.invocation_metadata)

        def answer(message: bytes, context: Any) -> bytes:
            if message.startswith(b"fail"):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room, 100 %")
            context.send_initial_metadata([("x-tidegate-revision", given.get("x-asked", ""))])
            return message

        return grpc.unary_unary_rpc_method_handler(answer)


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    server = grpc.server(
        futures.ThreadPoolExecutor(4), handlers=[Echo()],
        options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)],
    )  # fmt: skip
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@contextmanager
def connection(
    port: int, *, timeout_s: float = 20.0, headers: dict[str, str] | None = None
) -> Iterator[GrpcConnection]:
    to = Target(address="127.0.0.1", port=port, tls=None, host="m.test", headers=headers or {})
    way = GrpcConnection(to, timeout_s, "/any.Service/Method")
    try:
        yield way
    finally:
        way.close()


def asked(way: GrpcConnection, body: bytes) -> Reply:
    return way.send(Request(row=0, body=body))


@pytest.mark.parametrize("size", [0, 1, 16_379, 65_535, 65_536, 5_000_000])
def test_a_message_of_any_size_comes_back_as_it_was_sent(echo: int, size: int) -> None:
    sent = bytes(n % 251 for n in range(size % 9973)) + b"x" * size
    with connection(echo) as way:
        for _ in range(3):  # the windows of the connection are opened again and again
            reply = asked(way, sent)
            assert (reply.error, reply.body == sent) == ("", True)


def test_metadata_goes_there_and_comes_back(echo: int) -> None:
    with connection(echo, headers={"X-Asked": "m-00002"}) as way:
        assert asked(way, b"hello").revision == "m-00002"


def test_the_server_s_status_is_told_in_its_words_and_the_connection_goes_on(echo: int) -> None:
    with connection(echo) as way:
        assert asked(way, b"fail").error == "gRPC RESOURCE_EXHAUSTED: no room, 100 %"
        assert asked(way, b"again").body == b"again"


def test_a_server_that_is_not_there_is_an_error_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with connection(taken.getsockname()[1]) as way:
            assert "ConnectionRefusedError" in asked(way, b"x").error


# -- a peer that does what few servers do

STATUS_OK = (("grpc-status", "0"),)
Script = Callable[[socket.socket, int], None]


def block(*pairs: tuple[str, str]) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode(pairs)


HEAD = block((":status", "200"), ("content-type", "application/grpc"))
TAIL = block(*STATUS_OK)


def message(body: bytes) -> bytes:
    return struct.pack(">BL", 0, len(body)) + body


def headers_frame(stream: int, flags: int = http2.END_HEADERS) -> bytes:
    return frame(http2.HEADERS, flags, stream, HEAD)


def trailers(stream: int) -> bytes:
    return frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, TAIL)


def good(opened: socket.socket, stream: int) -> None:
    data = frame(http2.DATA, 0, stream, message(b"fine"))
    opened.sendall(headers_frame(stream) + data + trailers(stream))


class Reader:
    """Frames of a client."""

    def __init__(self, opened: socket.socket) -> None:
        self.file = opened.makefile("rb")

    def next(self) -> tuple[int, int, int, bytes] | None:
        head = self.file.read(9)
        if len(head) < 9:
            return None
        high, low, kind, flags, stream = http2.HEAD.unpack(head)
        return kind, flags, stream, self.file.read((high << 16) + low)


@contextmanager
def peer(
    *scripts: Script, settings: bytes = b""
) -> Iterator[tuple[int, list[tuple[int, int, bytes]]]]:
    """A server that answers the n-th request with the n-th script; what else it was sent."""
    listener, seen = socket.create_server(("127.0.0.1", 0)), list[tuple[int, int, bytes]]()
    left = list(scripts)

    def serve() -> None:
        while left:
            opened, _ = listener.accept()
            opened.settimeout(10)
            with opened:
                conversation(opened)

    def conversation(opened: socket.socket) -> None:
        reader = Reader(opened)
        assert reader.file.read(24).startswith(b"PRI * HTTP/2.0")
        opened.sendall(frame(http2.SETTINGS, 0, 0, settings))
        while left and (came := reader.next()) is not None:
            kind, flags, stream, payload = came
            seen.append((kind, flags, payload))
            if kind == http2.DATA and flags & http2.END_STREAM:
                left.pop(0)(opened, stream)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with listener:
        yield listener.getsockname()[1], seen
    thread.join(timeout=5)


def pings_between(opened: socket.socket, stream: int) -> None:
    opened.sendall(headers_frame(stream) + frame(http2.PING, 0, 0, b"12345678"))
    opened.sendall(frame(0xFE, 0, 0, b"an extension"))
    opened.sendall(frame(http2.DATA, 0, stream, message(b"fine")) + trailers(stream))


def in_pieces(opened: socket.socket, stream: int) -> None:
    opened.sendall(frame(http2.HEADERS, 0, stream, HEAD[:3]))
    opened.sendall(frame(http2.CONTINUATION, http2.END_HEADERS, stream, HEAD[3:]))
    whole = message(b"fine")
    for byte in whole:
        opened.sendall(frame(http2.DATA, 0, stream, bytes([byte])))
    opened.sendall(trailers(stream))


def padded(opened: socket.socket, stream: int) -> None:
    flags = http2.PADDED | http2.PRIORITY | http2.END_HEADERS
    opened.sendall(frame(http2.HEADERS, flags, stream, b"\x03" + b"\0" * 5 + HEAD + b"\0" * 3))
    data = b"\x04" + message(b"fine") + b"\0" * 4
    opened.sendall(frame(http2.DATA, http2.PADDED, stream, data) + trailers(stream))


@pytest.mark.parametrize("script", [good, pings_between, in_pieces, padded])
def test_whatever_the_protocol_allows_is_read(script: Script) -> None:
    with peer(script, good) as (port, seen), connection(port, timeout_s=5) as way:
        assert [asked(way, b"x") for _ in range(2)] == [Reply(body=b"fine")] * 2
    if script is pings_between:
        assert (http2.PING, http2.ACK, b"12345678") in seen


def says(*frames: Callable[[int], bytes]) -> Script:
    return lambda opened, stream: opened.sendall(b"".join(made(stream) for made in frames))


def ended_with(*pairs: tuple[str, str]) -> Callable[[int], bytes]:
    flags = http2.END_HEADERS | http2.END_STREAM
    return lambda stream: frame(http2.HEADERS, flags, stream, block(*pairs))


def a_message(whole: bytes) -> Callable[[int], bytes]:
    return lambda stream: frame(http2.DATA, 0, stream, whole)


def a_reset(stream: int) -> bytes:
    return frame(http2.RST_STREAM, 0, stream, struct.pack(">L", 7))


def a_good_bye(stream: int) -> bytes:
    return frame(http2.GOAWAY, 0, 0, struct.pack(">LL", 0, 11) + b"too many pings")


def a_push(stream: int) -> bytes:
    return frame(http2.PUSH, http2.END_HEADERS, stream, b"\0\0\0\2" + HEAD)


def a_huge_frame(stream: int) -> bytes:
    return http2.HEAD.pack(255, 0, http2.DATA, 0, stream)


def a_table_that_grows(stream: int) -> bytes:
    return frame(http2.HEADERS, http2.END_HEADERS, stream, b"\x3f\xe1\x1f" + HEAD)


TROUBLE = {
    "gRPC UNAVAILABLE: no healthy upstream": says(
        ended_with(
            (":status", "200"), ("grpc-status", "14"), ("grpc-message", "no%20healthy upstream")
        )
    ),
    "gRPC status 99: ": says(ended_with((":status", "200"), ("grpc-status", "99"))),
    "HTTP 503: ": says(ended_with((":status", "503"))),
    "gRPC: the answer ended without a status": says(
        headers_frame, a_message(message(b"x")), ended_with(("x", "y"))
    ),
    "gRPC: the answer is not one plain message": says(
        headers_frame, a_message(b"\x01" + message(b"x")[1:]), trailers
    ),
    "gRPC: the stream was reset (REFUSED_STREAM)": says(a_reset),
    "the server pushes": says(a_push),
    "larger than announced": says(a_huge_frame),
    "InvalidTableSizeError": says(a_table_that_grows),
    "closed the connection": lambda opened, _: opened.shutdown(socket.SHUT_RDWR),
    "a block of headers was interrupted": says(
        lambda stream: headers_frame(stream, 0), a_message(b"x")
    ),
}


@pytest.mark.parametrize("words", TROUBLE)
def test_what_is_no_answer_is_told_and_the_next_request_is_answered(words: str) -> None:
    with peer(TROUBLE[words], good) as (port, _), connection(port, timeout_s=5) as way:
        assert words in asked(way, b"x").error
        assert asked(way, b"x").body == b"fine"


def test_an_answer_that_trickles_in_ends_with_the_timeout() -> None:
    stopped = threading.Event()

    def trickles(opened: socket.socket, stream: int) -> None:
        opened.sendall(headers_frame(stream))
        while not stopped.wait(0.05):
            opened.sendall(frame(http2.DATA, 0, stream, b"x"))

    with peer(trickles) as (port, _), connection(port, timeout_s=0.4) as way:
        assert asked(way, b"x").error == "no answer within 0.4 s"
        stopped.set()


def goes_away_afterwards(opened: socket.socket, stream: int) -> None:
    good_bye = frame(http2.GOAWAY, 0, 0, struct.pack(">LL", stream, 0))
    data = frame(http2.DATA, 0, stream, message(b"fine"))
    opened.sendall(headers_frame(stream) + data + trailers(stream) + good_bye)


def test_after_a_good_bye_the_next_request_takes_a_new_connection() -> None:
    with peer(goes_away_afterwards, good) as (port, seen), connection(port, timeout_s=5) as way:
        assert [asked(way, b"x").body for _ in range(2)] == [b"fine"] * 2
    assert len([kind for kind, flags, _ in seen if kind == http2.SETTINGS and not flags]) == 2


def test_what_a_server_that_goes_away_did_not_look_at_is_sent_once_more() -> None:
    with peer(says(a_good_bye), good) as (port, _), connection(port, timeout_s=5) as way:
        assert asked(way, b"x") == Reply(body=b"fine")
    twice = [says(a_good_bye)] * 2
    with peer(*twice, good) as (port, _), connection(port, timeout_s=5) as way:
        words = "the server goes away: ENHANCE_YOUR_CALM too many pings"
        assert words in asked(way, b"x").error
        assert asked(way, b"x").body == b"fine"


def test_a_server_with_a_small_window_gets_no_more_than_it_opened() -> None:
    small = struct.pack(">HL", http2.INITIAL_WINDOW_SIZE, 100)
    received = bytearray()

    def serve(listener: socket.socket) -> None:
        opened, _ = listener.accept()
        opened.settimeout(10)
        with opened:
            reader = Reader(opened)
            reader.file.read(24)
            opened.sendall(frame(http2.SETTINGS, 0, 0, small))
            while (came := reader.next()) is not None:
                kind, flags, stream, payload = came
                if kind == http2.DATA:
                    received.extend(payload)
                    if flags & http2.END_STREAM:
                        good(opened, stream)
                    elif len(payload):
                        more = struct.pack(">L", 100)
                        opened.sendall(frame(http2.WINDOW_UPDATE, 0, stream, more))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        with connection(listener.getsockname()[1], timeout_s=5) as way:
            assert asked(way, b"first").body == b"fine"  # the settings have come with its answer
            del received[:]
            assert asked(way, b"y" * 1000).body == b"fine"
    thread.join(timeout=5)
    assert bytes(received) == message(b"y" * 1000)
