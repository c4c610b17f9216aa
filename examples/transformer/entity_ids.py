"""What clients of the transformer send: the ids of entities, in a v2 request, JSON or binary. Pure."""

import array
import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
Id = int | str
CODES = {"FP32": "f", "FP64": "d", "INT32": "i", "INT64": "q", "UINT8": "B", "BOOL": "B"}


def decoded(body: bytes, json_length: int) -> Json:
    """The request with every tensor's data in its JSON. Raises ValueError, KeyError or TypeError."""
    request: Any = json.loads(body[:json_length])
    if not isinstance(request, dict) or not isinstance(request.get("inputs"), list):
        raise ValueError("no inputs; send {'inputs': [{'name': ..., 'data': [...]}]}")
    return {**request, "inputs": [*_plain(request["inputs"], body[json_length:])]}


def _plain(tensors: list[Json], binary: bytes) -> Iterator[Json]:
    for one in tensors:
        size = one.get("parameters", {}).get("binary_data_size", 0)
        mine, binary = binary[:size], binary[size:]
        kept = {key: value for key, value in one.items() if key != "parameters"}
        yield one if "data" in one else {**kept, "data": _values(mine, one["datatype"])}


def _values(binary: bytes, datatype: str) -> list[Any]:
    if datatype != "BYTES":
        return array.array(CODES[datatype], binary).tolist()
    found, at = [], 0
    while at < len(binary):
        end = at + 4 + int.from_bytes(binary[at : at + 4], "little")
        found.append(binary[at + 4 : end].decode())
        at = end
    return found


def ids_of(request: Json, entity: str) -> list[Id]:
    """The ids that a client sends. Raises ValueError, by name, for anything else."""
    found: Json = next((one for one in request["inputs"] if one.get("name") == entity), {})
    if not found:
        raise ValueError(f"inputs: no tensor {entity}; send the ids under that name")
    ids, shape = found["data"], found["shape"]
    if not ids or shape not in ([len(ids)], [len(ids), 1]):
        raise ValueError(f"{entity}: {len(ids)} ids in shape {shape}; send one a row, [n, 1]")
    wrong = [one for one in ids if type(one) not in (int, str)]
    if wrong:
        raise ValueError(f"{entity} {wrong[0]!r}: no id; send whole numbers or strings")
    return list(ids)
