"""An explainer for digits: how much each pixel adds to the probability of the answer, by occlusion.

Each pixel in turn is set to the background and the model is asked again; what the answer's probability loses
is the pixel's share (Zeiler and Fergus 2014, section 4.2, with patches of one pixel). It answers `:explain`
as KServe sends it, asks the predictor by the v2 protocol, and names the `model_version` that it has
explained: while two versions share the traffic, one explanation is all of one of them.
"""

import argparse
import http.client
import json
import re
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
Row = list[float]
TRIES = 20  # requests for each part, before one version must have answered all of them
PATH = re.compile(r"/v1/models/([\w-]+):explain")


def occluded(row: Row, background: float) -> list[Row]:
    """The row itself, then one row for each of its values with that value at the background."""
    return [row, *([*row[:at], background, *row[at + 1 :]] for at in range(len(row)))]


def attributed(answers: Sequence[Row]) -> Json:
    """Of the probabilities of `occluded`: the answer, and what each value adds to its probability."""
    whole, *without = answers
    label = max(range(len(whole)), key=whole.__getitem__)
    shares = [whole[label] - one[label] for one in without]
    return {"label": label, "probability": whole[label], "attributions": shares}


def instances_of(body: bytes) -> list[Row]:
    """Rows of numbers. Raises ValueError for anything else."""
    found = json.loads(body).get("instances")
    if not isinstance(found, list) or not found or not all(isinstance(one, list) for one in found):
        raise ValueError("instances: no rows of numbers; send {'instances': [[0.0, ...], ...]}")
    return [[float(value) for value in one] for one in found]


class Model:
    """The predictor behind KServe's `--predictor_host`."""

    def __init__(self, asked: argparse.Namespace, name: str) -> None:
        self._asked, self._name = asked, name

    def probabilities(self, rows: list[Row]) -> tuple[str, list[Row]]:
        """(version, its answers to all rows), asked as many at once as the model takes.

        A canary's share may answer any request, and a mix of two versions explains neither.
        """
        size = self._asked.rows
        parts = [rows[at : at + size] for at in range(0, len(rows), size)]
        held: dict[str, dict[int, list[Row]]] = {}
        for _ in range(TRIES * len(parts)):
            leading = max(held.values(), key=len, default={})
            at = next(at for at in range(len(parts)) if at not in leading)
            version, answer = self._ask(parts[at])
            mine = held.setdefault(version, {})
            mine[at] = answer
            if len(mine) == len(parts):
                return version, [row for at in range(len(parts)) for row in mine[at]]
        raise ConnectionError(f"versions {', '.join(sorted(held))} answer in turn, none all of it")

    def _ask(self, rows: list[Row]) -> tuple[str, list[Row]]:
        asked, shape = self._asked, [len(rows), len(rows[0])]
        tensor = {"name": asked.tensor, "datatype": "FP32", "shape": shape}
        tensor["data"] = [value for row in rows for value in row]
        wanted = {"inputs": [tensor], "outputs": [{"name": asked.output}]}
        answer = self._post(json.dumps(wanted).encode())
        (found,) = answer["outputs"]
        data, width = found["data"], found["shape"][-1]
        made = [data[at : at + width] for at in range(0, len(data), width)]
        return str(answer.get("model_version", "")), made

    def _post(self, body: bytes) -> Json:
        connection = http.client.HTTPConnection(self._asked.predictor_host, timeout=30)
        try:
            path = f"/v2/models/{self._name}/infer"
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ConnectionError(f"the model answered {answer.status}: {text.decode()[:200]}")
        found: Json = json.loads(text)
        return found


class Handler(BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked: argparse.Namespace

    def do_GET(self) -> None:
        self._reply(200, {"status": "alive"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = PATH.fullmatch(self.path)
        if found is None:
            self._reply(404, {"error": f"{self.path}: ask /v1/models/<name>:explain"})
            return
        try:
            self._reply(200, self._explained(Model(self.asked, found[1]), instances_of(body)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._reply(400, {"error": str(error)})
        except (OSError, http.client.HTTPException) as error:
            self._reply(503, {"error": f"the model: {error}"})

    def _explained(self, model: Model, rows: list[Row]) -> Json:
        made = []
        for row in rows:
            version, answers = model.probabilities(occluded(row, self.asked.background))
            made.append(attributed(answers) | {"model_version": version})
        return {"explanations": made}

    def _reply(self, status: int, told: Json) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are counted by the mesh."""


def main() -> None:
    """Serve until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http_port", type=int, default=8080)
    parser.add_argument("--predictor_host", required=True, help="given by KServe")
    parser.add_argument("--model_name", help="KServe's; the path of a request names the model")
    parser.add_argument(
        "--workers", type=int, help="KServe's, with containerConcurrency; it has threads"
    )
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a pod")
    parser.add_argument("--tensor", default="X", help="the model's input")
    parser.add_argument("--output", default="probabilities", help="the model's output")
    parser.add_argument("--background", type=float, default=0.0, help="a pixel that says nothing")
    parser.add_argument("--rows", type=int, default=8, help="the model's max_batch_size")
    Handler.asked = parser.parse_args()
    ThreadingHTTPServer((Handler.asked.host, Handler.asked.http_port), Handler).serve_forever()


if __name__ == "__main__":
    main()
