"""A transformer that reads features from Feast: clients send ids, the model gets features.

It asks Feast's feature server for all ids of a request at once, puts the features in the order of the
model's columns (online_features.py), asks the model, in its own pod or by the predictor's name, and hands its
answer on as it is, with `model_version`, by which a release tells two versions apart. The client's other
tensors it passes on. It is ready when the model is: while Feast is away each request is told so.
"""

import argparse
import http.client
import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from entity_ids import decoded, ids_of
from online_features import BAD_GATEWAY, Id, RefusedError, Wanted, question, rows

Json = dict[str, Any]
HEADER = "Inference-Header-Content-Length"  # the v2 protocol's binary tensors: JSON first, then their bytes
MODEL_S = 30.0
BAD_REQUEST, NOWHERE, AWAY, SLOW = 400, 404, 503, 504


class Server:
    """Another server, asked over one connection a thread, which is made anew when it was kept too long."""

    def __init__(self, url: str, timeout_s: float) -> None:
        at = urlsplit(url if "//" in url else f"//{url}")
        secure = at.scheme == "https"
        self._kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self.name, self._path, self._timeout = at.netloc, at.path.rstrip("/"), timeout_s
        self._held = threading.local()

    def ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes, str]:
        """(status, body, length of its JSON part). Raises OSError or HTTPException."""
        kept = getattr(self._held, "connection", None)
        if kept is not None:
            try:
                return self._exchange(kept, method, path, body)
            except (ConnectionError, http.client.BadStatusLine):
                pass  # the other side closed it meanwhile
        return self._exchange(self._kind(self.name, timeout=self._timeout), method, path, body)

    def _exchange(
        self, to: http.client.HTTPConnection, method: str, path: str, body: bytes | None
    ) -> tuple[int, bytes, str]:
        self._held.connection = None  # whatever fails below leaves half an answer in it
        to.request(method, self._path + path, body, {"Content-Type": "application/json"})
        answer = to.getresponse()
        told = answer.status, answer.read(), answer.getheader(HEADER, "")
        self._held.connection = to
        return told


class Features:
    """What Feast's feature server has of the entities."""

    def __init__(self, server: Server, wanted: Wanted) -> None:
        self._server, self._wanted = server, wanted

    def of(self, ids: list[Id]) -> list[list[float]]:
        """Their rows. Raises RefusedError."""
        status, text = self._asked(ids)
        if status != 200:
            said = f"Feast answered {status}: {text.decode(errors='replace')[:300]}"
            raise RefusedError(BAD_GATEWAY, f"{self._wanted.of(ids)}: {said}")
        try:
            answer = json.loads(text)
        except ValueError as error:
            line = f"{self._wanted.of(ids)}: Feast answered no JSON"
            raise RefusedError(BAD_GATEWAY, line) from error
        return rows(self._wanted, ids, answer, now=datetime.now(UTC))

    def _asked(self, ids: list[Id]) -> tuple[int, bytes]:
        body = json.dumps(question(self._wanted, ids)).encode()
        try:
            return self._server.ask("POST", "/get-online-features", body)[:2]
        except (OSError, http.client.HTTPException) as error:
            raise trouble(f"{self._wanted.of(ids)}: Feast", self._server, error) from error


def trouble(what: str, server: Server, error: Exception) -> RefusedError:
    """A server that is away, or takes too long, in one line."""
    status = SLOW if isinstance(error, TimeoutError) else AWAY
    return RefusedError(status, f"{what} at {server.name}: {str(error) or type(error).__name__}")


class Handler(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wanted: Wanted
    tensor: str
    features: Features
    model: Server

    def do_GET(self) -> None:
        self._answer(lambda: None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(lambda: self._transformed(body))

    def _answer(self, made: Callable[[], bytes | None]) -> None:
        try:
            self._reply(*self._ask_model(made()))
        except RefusedError as refused:
            self._reply(refused.status, json.dumps({"error": str(refused)}).encode())

    def _transformed(self, body: bytes) -> bytes:
        if not self.path.endswith("/infer"):
            raise RefusedError(NOWHERE, f"{self.path}: ask /v2/models/<name>/infer")
        try:
            request = decoded(body, int(self.headers.get(HEADER) or len(body)))
            ids = ids_of(request, self.wanted.entity)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RefusedError(BAD_REQUEST, str(error)) from error
        return json.dumps(self._with_features(request, self.features.of(ids))).encode()

    def _with_features(self, request: Json, found: list[list[float]]) -> Json:
        """The model's request: its tensor in the place of the ids, the client's other tensors as they are."""
        made = {
            "name": self.tensor,
            "datatype": self.wanted.datatype,
            "shape": [len(found), len(self.wanted.names)],
            "data": [value for row in found for value in row],
        }
        others = [one for one in request["inputs"] if one.get("name") != self.wanted.entity]
        return {**request, "inputs": [made, *others]}

    def _ask_model(self, body: bytes | None) -> tuple[int, bytes, str]:
        try:
            return self.model.ask(self.command, self.path, body)
        except (OSError, http.client.HTTPException) as error:
            raise trouble("the model", self.model, error) from error

    def _reply(self, status: int, body: bytes, header_length: str = "") -> None:
        self.send_response(status)
        kind = "application/octet-stream" if header_length else "application/json"
        self.send_header("Content-Type", kind)
        if header_length:  # the model answers in binary tensors when the client asked for them
            self.send_header(HEADER, header_length)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are counted by the mesh."""


class Listener(ThreadingHTTPServer):
    """A thread a connection; more may wait to be let in than the standard library's five."""

    request_queue_size = 128
    daemon_threads = True


def seconds(text: str) -> float:
    """More than none. Raises ValueError."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def server_url(text: str) -> str:
    """`host:port` or an http(s) URL. Raises ArgumentTypeError, without what may be a password in it."""
    try:
        at = urlsplit(text if "//" in text else f"//{text}")
        good = at.scheme in ("", "http", "https") and bool(at.hostname) and at.port != 0
    except ValueError:  # its port is no number
        good = False
    if not good or "@" in text:
        raise argparse.ArgumentTypeError(
            "no server; write host:port or http(s)://host:port, without a user"
        )
    return text


def named(text: str) -> tuple[str, ...]:
    """`view:feature,...`. Raises ValueError."""
    names = tuple(text.split(","))
    if not all(name.count(":") == 1 and all(name.split(":")) for name in names):
        raise ValueError(text)
    return names


def parser() -> argparse.ArgumentParser:
    """The command line; the first four are KServe's."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--http_port", type=int, default=8080)
    made.add_argument("--predictor_host", required=True)
    made.add_argument("--model_name", help="the path of a request names the model")
    made.add_argument("--workers", type=int, help="as many as there are connections")
    made.add_argument("--predictor_protocol", choices=["v2"], default="v2")
    made.add_argument("--host", default=os.environ.get("LISTEN_ON", "127.0.0.1"))
    made.add_argument(
        "--feast_serving_url", type=server_url, required=True, help="Feast's feature server"
    )
    made.add_argument(
        "--entity_id_name", required=True, help="the client's tensor and the join key"
    )
    made.add_argument(
        "--features", type=named, required=True, help="view:feature,... in the model's order"
    )
    made.add_argument("--feature_service", default="", help="Feast's set that has them all")
    made.add_argument("--max_age_s", type=seconds, default=0.0, help="how old a value may be")
    made.add_argument("--tensor", default="X", help="the model's input")
    made.add_argument("--datatype", choices=["FP32", "FP64"], default="FP32")
    timeout = os.environ.get("FEAST_TIMEOUT_S", "1")  # a string, so that argparse judges it, too
    made.add_argument("--feast_timeout_s", type=seconds, default=timeout)
    return made


def main() -> None:
    """Serve until it is ended."""
    asked = parser().parse_args()
    Handler.wanted = Wanted(
        entity=asked.entity_id_name,
        names=asked.features,
        service=asked.feature_service,
        max_age_s=asked.max_age_s,
        datatype=asked.datatype,
    )
    feast = Server(asked.feast_serving_url, asked.feast_timeout_s)
    Handler.features = Features(feast, Handler.wanted)
    Handler.model, Handler.tensor = Server(asked.predictor_host, MODEL_S), asked.tensor
    Listener((asked.host, asked.http_port), Handler).serve_forever()


if __name__ == "__main__":
    main()
