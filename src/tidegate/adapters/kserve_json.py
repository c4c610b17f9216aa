"""Requests to KServe's own Python servers, and their answers, as JSON of protocol v1 or v2.

v1: `{"instances": [row]}` to `/v1/models/<name>:predict`, answered by `{"predictions": [...]}`. v2: one
tensor to `/v2/models/<name>/infer`, answered by one that is called `output-0` (kserve/utils/utils.py, KServe
0.21). Neither answer names a version; of the one output it is known which it is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tidegate.adapters import serving
from tidegate.adapters.load import Request
from tidegate.adapters.serving import Answer, Array, Row
from tidegate.documents import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class KServeJson:
    """How one model is asked: the protocol, its one input and its one output."""

    protocol: Literal["v1", "v2"]
    input: Tensor
    output: str

    def path(self, model: str) -> str:
        """Where predictions are asked for."""
        return predict_path(model, self.protocol)

    def requests(self, rows: Sequence[Row]) -> tuple[Request, ...]:
        """One request per row; with an id of v2, so that equal answers have equal bytes."""
        known = self.protocol == "v2"
        bodies = (body(row[self.input.name], self.input, self.protocol) for row in rows)
        return tuple(
            Request(row=n, body=_encoded({"id": str(n), **one} if known else one))
            for n, one in enumerate(bodies)
        )

    def read(self, answer: bytes) -> Answer:
        """Decode an answer; its version is not known. Raises ValueError or KeyError when it is none."""
        if self.protocol == "v1":
            values = _predictions(answer)
        else:
            (values,) = serving.read_rest(answer, None).outputs.values()
        if not values.size:
            raise ValueError("no value for the row")
        return Answer(version="", outputs={self.output: values})


def predict_path(model: str, protocol: str) -> str:
    """Where predictions are asked for."""
    return f"/v1/models/{model}:predict" if protocol == "v1" else f"/v2/models/{model}/infer"


def ready_path(model: str, protocol: str) -> str:
    """What answers 200 once the model is loaded."""
    return f"/v1/models/{model}" if protocol == "v1" else f"/v2/models/{model}/ready"


def body(rows: Array, tensor: Tensor, protocol: str) -> dict[str, Any]:
    """The JSON that asks for these rows; first axis rows."""
    if protocol == "v1":
        return {"instances": rows.tolist()}
    said = {"name": tensor.name, "datatype": tensor.dtype, "shape": list(rows.shape)}
    return {"inputs": [{**said, "data": rows.reshape(-1).tolist()}]}


def _encoded(request: dict[str, Any]) -> bytes:
    return json.dumps(request, separators=(",", ":"), allow_nan=False).encode()


def _predictions(answer: bytes) -> Array:
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    values = np.asarray(found["predictions"]).reshape(-1)
    if values.dtype == object:
        raise ValueError("predictions that are no plain values")
    return values
