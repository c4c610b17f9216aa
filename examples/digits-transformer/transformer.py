"""A transformer for digits: clients send raw pixels of 0 to 16, the model takes them scaled to 0 to 1.

It listens where KServe says, asks the model, in its own pod or by the predictor's name, and hands its answer
on with `model_version` as it is, by which a release tells two versions apart. Everything else (readiness,
metadata) it passes through: it is ready when the model is. It reads JSON, as captured requests come, and
binary tensors.
"""

import argparse
import array
import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
HEADER = "Inference-Header-Content-Length"  # the v2 protocol's binary tensors: JSON first, then their bytes
CODES = {"FP32": "f", "FP64": "d", "INT32": "i", "INT64": "q", "UINT8": "B"}


def scaled(request: Json, *, raw: str, tensor: str, scale: float, binary: bytes = b"") -> Json:
    """The model's request out of the client's. Raises ValueError when the raw tensor is not in it."""
    found = next((one for one in request.get("inputs", []) if one.get("name") == raw), None)
    if found is None:
        raise ValueError(f"inputs: no tensor {raw}; send the raw values under that name")
    values = found["data"] if "data" in found else array.array(CODES[found["datatype"]], binary)
    data = [float(value) / scale for value in values]
    made = {"name": tensor, "datatype": "FP32", "shape": found["shape"], "data": data}
    return {**request, "inputs": [made]}


class Handler(BaseHTTPRequestHandler):
    """One client's connection, and one of its own to the model."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked: argparse.Namespace
    connections = threading.local()

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            self._pass_on(self._transformed(body) if self.path.endswith("/infer") else body)
        except (ValueError, KeyError, TypeError) as error:
            self._reply(400, json.dumps({"error": str(error)}).encode())

    def _transformed(self, body: bytes) -> bytes:
        end = int(self.headers.get(HEADER) or len(body))
        to = self.asked
        request = scaled(
            json.loads(body[:end]), raw=to.raw, tensor=to.tensor, scale=to.scale, binary=body[end:]
        )
        return json.dumps(request).encode()

    def _pass_on(self, body: bytes | None) -> None:
        for attempt in (1, 2):
            try:
                self._reply(*self._ask(body))
                return
            except (OSError, http.client.HTTPException) as error:
                self.connections.model = None  # kept too long: the model closed it
                if attempt == 2:
                    self._reply(503, json.dumps({"error": f"the model: {error}"}).encode())

    def _ask(self, body: bytes | None) -> tuple[int, bytes, str]:
        model = getattr(self.connections, "model", None)
        if model is None:
            model = http.client.HTTPConnection(self.asked.predictor_host, timeout=30)
            self.connections.model = model
        model.request(self.command, self.path, body, {"Content-Type": "application/json"})
        answer = model.getresponse()
        return answer.status, answer.read(), answer.getheader(HEADER, "")

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


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http_port", type=int, default=8081)
    parser.add_argument("--predictor_host", default="localhost:8080")
    parser.add_argument("--model_name", help="KServe's; the path of a request names the model")
    parser.add_argument(
        "--workers", type=int, help="KServe's, with containerConcurrency; it has threads"
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a pod")
    parser.add_argument("--raw", default="pixels", help="the client's tensor")
    parser.add_argument("--tensor", default="X", help="the model's")
    parser.add_argument("--scale", type=float, default=16.0)
    Handler.asked = parser.parse_args()
    address = (Handler.asked.host, Handler.asked.http_port)
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
