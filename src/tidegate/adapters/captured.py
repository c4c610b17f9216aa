"""Reads captured requests: one JSON a line, either KServe's logger events or plain v2 requests.

KServe's logger sends CloudEvents (type `org.kubeflow.serving.inference.request`, and `.response`, which is
passed over) whose `data` is the request's body (kserve pkg/logger/worker.go). Written one a line as
structured CloudEvents they are such a file. https://github.com/cloudevents/spec (JSON format 1.0)
What the client sent is kept whole: a server that reads JSON alone, such as a transformer, is asked in JSON.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters.serving import NUMPY, Array, Row
from tidegate.documents import Tensor
from tidegate.errors import DocumentError

MOST = 10_000  # requests kept; the load goes through them in turn
REQUEST, RESPONSE = "inference.request", "inference.response"


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One request: the tensors that the model takes, and the JSON that the client sent, all of it."""

    row: Row
    body: bytes


def read(path: Path, *, what: str, inputs: Sequence[Tensor]) -> tuple[Captured, ...]:
    """The first requests of a file. Raises DocumentError that names the line."""
    try:
        with path.open(encoding="utf-8") as lines:
            requests = tuple(_requests(lines, what, inputs))
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(
            f"{what} cannot be read ({error}); put a file of JSON lines into the model version"
        ) from error
    if not requests:
        raise DocumentError(f"{what} holds no request; capture some, or remove load.capture")
    return requests


def _requests(lines: Any, what: str, inputs: Sequence[Tensor]) -> Iterator[Captured]:
    taken = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            request = _request(line)
            if request is None:
                continue
            body = json.dumps(request, separators=(",", ":")).encode()
            yield Captured(row=_row(request, inputs), body=body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise DocumentError(
                f"{what} line {number}: {why}; write one v2 request or CloudEvent a line"
            ) from error
        taken += 1
        if taken == MOST:
            return


def _request(line: str) -> dict[str, Any] | None:
    """The v2 request of a line; None for an event that is none."""
    found = json.loads(line)
    if not isinstance(found, dict):
        raise ValueError("is no JSON object")
    if "specversion" not in found:
        return found
    kind = str(found["type"])
    if not kind.endswith(REQUEST):
        if kind.endswith(RESPONSE):
            return None
        raise ValueError(f"is an event of type {kind!r}")
    data = found.get("data")
    if data is None:
        data = base64.b64decode(found["data_base64"])
    body = json.loads(data) if isinstance(data, str | bytes) else data
    if not isinstance(body, dict):
        raise ValueError("has data that is no JSON object")
    return body


def _row(request: dict[str, Any], inputs: Sequence[Tensor]) -> Row:
    given = {one["name"]: one for one in request["inputs"]}
    missing = [tensor.name for tensor in inputs if tensor.name not in given]
    if missing:
        raise ValueError(f"has no input {', '.join(missing)}")
    return {tensor.name: _tensor(given[tensor.name], tensor) for tensor in inputs}


def _tensor(given: dict[str, Any], tensor: Tensor) -> Array:
    wanted = "BYTES" if tensor.dtype == "STRING" else tensor.dtype
    if given["datatype"] != wanted:
        raise ValueError(f"input {tensor.name} is {given['datatype']}, the model takes {wanted}")
    if "data" not in given:
        raise ValueError(f"input {tensor.name} has no data; capture requests with JSON tensors")
    dtype: Any = object if wanted == "BYTES" else NUMPY[wanted]
    shape = [int(axis) for axis in given["shape"]]
    return np.asarray(given["data"], dtype=dtype).reshape(shape)
