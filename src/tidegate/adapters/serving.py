"""KServe's v2 inference protocol (open inference protocol): requests from golden rows, answers decoded.

REST carries tensors in the binary extension (a JSON header, then raw bytes; the header
`Inference-Header-Content-Length` says where the one ends), gRPC as `raw_input_contents`. Requests are
encoded once, before any load is sent. https://github.com/kserve/open-inference-protocol
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidegate.adapters.load import Request
from tidegate.adapters.sequence_ids import sequence_id, sequence_of_one
from tidegate.documents import Tensor
from tidegate.errors import DocumentError

Array = NDArray[Any]
Parameters = Mapping[str, int | bool]
NUMPY: Mapping[str, str] = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1",
    "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Golden inputs and the answers expected, by tensor name; first axis rows."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    @property
    def rows(self) -> int:
        """How many rows every tensor has."""
        return min(len(array) for array in (*self.inputs.values(), *self.outputs.values()))


def read_golden(path: Path) -> Golden:
    """Read `golden.npz`. Raises DocumentError when it is no golden data."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise DocumentError(
            f"{path}: cannot be read ({error}); run optimize again to write it"
        ) from error
    golden = Golden(
        inputs={n.removeprefix("input."): a for n, a in arrays.items() if n.startswith("input.")},
        outputs={
            n.removeprefix("output."): a for n, a in arrays.items() if n.startswith("output.")
        },
    )
    if not golden.inputs or not golden.outputs or golden.rows == 0:
        raise DocumentError(
            f"{path}: needs rows of input.<name> and output.<name>; it has {sorted(arrays)}"
        )
    return golden


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server answered: its model version and its tensors, flattened."""

    version: str
    outputs: Mapping[str, Array]


def raw(array: Array, dtype: str) -> bytes:
    """A tensor's bytes: little-endian values; strings each behind their length."""
    if dtype in ("STRING", "BYTES"):
        values = array.reshape(-1)
        encoded = (v if isinstance(v, bytes) else str(v).encode() for v in values)
        return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    if dtype not in NUMPY:
        raise DocumentError(
            f"input dtype {dtype} cannot be sent; known are {', '.join(NUMPY)}, STRING"
        )
    return np.ascontiguousarray(array, dtype=NUMPY[dtype]).tobytes()


def unraw(data: bytes, dtype: str) -> Array:
    """The flat tensor of raw bytes."""
    if dtype != "BYTES":
        return np.frombuffer(data, dtype=NUMPY[dtype])
    values: list[str] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "little")
        value = data[at + 4 : at + 4 + size]
        if at + 4 > len(data) or len(value) < size:
            raise ValueError(f"the last of {len(values) + 1} strings is cut short")
        values.append(value.decode())
        at += 4 + size
    return np.asarray(values, dtype=object)


def _wire(dtype: str) -> str:
    return "BYTES" if dtype == "STRING" else dtype


def _row(array: Array, row: int) -> Array:
    """One row as a batch of one; a tensor of one value per row is sent as [1, 1]."""
    one = array[row : row + 1]
    return one.reshape(1, 1) if one.ndim == 1 else one


def zeros(tensor: Tensor) -> Array:
    """One row of zeros, or of empty strings: what any model must take."""
    shape = [max(axis, 1) for axis in tensor.shape]
    if tensor.dtype == "STRING":
        return np.full(shape, "")
    return np.zeros(shape, dtype=NUMPY.get(tensor.dtype))


Row = Mapping[str, Array]  # one request: its tensors by name, batch axis included


def golden_rows(golden: Golden, inputs: Sequence[Tensor]) -> tuple[Row, ...]:
    """Every golden row as a request. Raises DocumentError."""
    found = [(tensor.name, _input(golden, tensor)) for tensor in inputs]
    return tuple({name: _row(array, n) for name, array in found} for n in range(golden.rows))


def _input(golden: Golden, tensor: Tensor) -> Array:
    if tensor.name not in golden.inputs:
        raise DocumentError(
            f"golden.npz has no input.{tensor.name}, only {sorted(golden.inputs)}; run optimize again"
        )
    return golden.inputs[tensor.name]


def rest_requests(
    rows: Sequence[Row],
    inputs: Sequence[Tensor],
    *,
    outputs: Sequence[str],
    sequential: bool = False,
) -> tuple[Request, ...]:
    """One REST request per row, for the named outputs in binary; if `sequential` each a sequence."""
    return tuple(
        _rest_request(row, inputs, outputs, n, _sequence(sequential)) for n, row in enumerate(rows)
    )


def _sequence(sequential: bool) -> Parameters:
    return sequence_of_one(sequence_id()) if sequential else {}


def _rest_request(
    row: Row, inputs: Sequence[Tensor], outputs: Sequence[str], number: int, said: Parameters
) -> Request:
    tensors, chunks = [], []
    for tensor in inputs:
        one = row[tensor.name]
        chunks.append(raw(one, tensor.dtype))
        tensors.append(
            {
                "name": tensor.name,
                "shape": list(one.shape),
                "datatype": _wire(tensor.dtype),
                "parameters": {"binary_data_size": len(chunks[-1])},
            }
        )
    wanted = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    parameters = {"parameters": said} if said else {}
    whole = {"inputs": tensors, "outputs": wanted, **parameters}
    header = json.dumps(whole, separators=(",", ":")).encode()
    return Request(row=number, body=b"".join((header, *chunks)), header_length=len(header))


def read_rest(body: bytes, header_length: int | None) -> Answer:
    """Decode a REST answer. Raises ValueError or KeyError when it is no v2 answer."""
    try:
        return _rest_answer(body, header_length)
    except (TypeError, AttributeError) as error:  # JSON of another form
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _rest_answer(body: bytes, header_length: int | None) -> Answer:
    size = len(body) if header_length is None else header_length
    header, at = json.loads(body[:size]), size
    outputs: dict[str, Array] = {}
    for output in header["outputs"]:
        length = (output.get("parameters") or {}).get("binary_data_size")
        if length is None:
            outputs[output["name"]] = _from_json(output["data"], output["datatype"])
            continue
        outputs[output["name"]] = unraw(body[at : at + length], output["datatype"])
        at += length
    return Answer(version=str(header.get("model_version", "")), outputs=outputs)


def _from_json(data: Any, datatype: str) -> Array:
    """The flat tensor. A null is no value: NaN among floats, and elsewhere no answer."""
    values = np.asarray(data).reshape(-1)
    if values.dtype != object:
        return values
    if datatype.startswith("FP"):
        return values.astype(np.float64)
    if None in values.tolist():
        raise ValueError(f"null in a tensor of {datatype}")
    return values


def grpc_requests(
    rows: Sequence[Row],
    inputs: Sequence[Tensor],
    *,
    outputs: Sequence[str],
    model: str,
    sequential: bool = False,
) -> tuple[Request, ...]:
    """One serialised ModelInferRequest per row; each a sequence, if `sequential`."""
    messages = [_grpc_message(row, inputs, outputs, model, _sequence(sequential)) for row in rows]
    return tuple(Request(row=n, body=one.SerializeToString()) for n, one in enumerate(messages))


def _grpc_message(
    row: Row, inputs: Sequence[Tensor], outputs: Sequence[str], model: str, said: Parameters
) -> Any:
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferRequest(model_name=model)
    for key, value in said.items():
        kind = "bool_param" if isinstance(value, bool) else "int64_param"
        setattr(message.parameters[key], kind, value)
    for tensor in inputs:
        one = row[tensor.name]
        message.inputs.add(name=tensor.name, datatype=_wire(tensor.dtype), shape=list(one.shape))
        message.raw_input_contents.append(raw(one, tensor.dtype))
    for name in outputs:
        message.outputs.add(name=name)
    return message


def read_grpc(body: bytes) -> Answer:
    """Decode a serialised ModelInferResponse. Raises ValueError or KeyError when it is none."""
    from google.protobuf.message import DecodeError
    from tritonclient.grpc import service_pb2

    try:
        message = service_pb2.ModelInferResponse.FromString(body)
    except DecodeError as error:
        raise ValueError(f"not a ModelInferResponse: {error}") from error
    pairs = zip(message.outputs, message.raw_output_contents, strict=True)
    outputs = {output.name: unraw(data, output.datatype) for output, data in pairs}
    return Answer(version=message.model_version, outputs=outputs)
