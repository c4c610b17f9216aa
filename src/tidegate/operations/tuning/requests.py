"""The rows that a tuned model is asked: one half for the search, the other for its winner."""

from collections.abc import Callable, Sequence

import numpy as np

from tidegate.adapters import serving
from tidegate.adapters.golden_data import Golden
from tidegate.adapters.ingress import Target
from tidegate.adapters.lanes import Check, Way
from tidegate.adapters.load import Reply, Request
from tidegate.adapters.tritonserver import Loaded
from tidegate.core.model_config import ModelConfig
from tidegate.documents import Tensor
from tidegate.policy import Policy

TIMEOUT_S = 30.0


def halves(golden: Golden) -> tuple[Golden, Golden]:
    """Every second row, and the others."""
    return tuple(  # type: ignore[return-value]
        Golden(
            inputs={name: array[at::2] for name, array in golden.inputs.items()},
            outputs={name: array[at::2] for name, array in golden.outputs.items()},
            source=golden.source,
        )
        for at in (0, 1)
    )


def way(
    model: Loaded, config: ModelConfig, golden: Golden, policy: Policy, *, connections: int
) -> Way:
    """gRPC to the server, one row a request, answers compared with the golden ones where there are any."""
    known = serving.Golden(inputs=golden.inputs, outputs=golden.outputs)
    rows = fixed_rows(config)
    compared = bool(golden.outputs) and rows == 1
    check = Check(golden=known, policy=_over_grpc(policy), version=None, compared=compared)
    return _way(model, config, golden, rows=rows, check=check, connections=connections)


def batches(model: Loaded, config: ModelConfig, golden: Golden, rows: int) -> Way:
    """Requests of so many rows each, on one connection; only that they are answered is looked at."""
    return _way(model, config, golden, rows=rows, check=unchecked, connections=1)


def unchecked(_number: int, _request: Request, _reply: Reply) -> str:
    """Nothing is compared."""
    return ""


def fixed_rows(config: ModelConfig) -> int:
    """Rows of one request: 1, or what a graph that cannot be batched wants."""
    dims = config.input[0].dims if config.input else ()
    return max(1, dims[0]) if not config.max_batch_size and dims else 1


def _over_grpc(policy: Policy) -> Policy:
    return policy.model_copy(update={"load": policy.load.model_copy(update={"protocol": "grpc"})})


def _way(
    model: Loaded,
    config: ModelConfig,
    golden: Golden,
    *,
    rows: int,
    check: Callable[[int, Request, Reply], str],
    connections: int,
) -> Way:
    address, _, port = model.grpc.partition(":")
    tensors = [_tensor(one.name, one.data_type) for one in config.input]
    asked = [_rows(golden, tensors, at, rows) for at in range(0, golden.rows, rows)]
    names = tuple(one.name for one in config.output)
    return Way(
        to=Target(address=address, port=int(port), tls=None, host=model.grpc),
        protocol="grpc",
        model=model.name,
        requests=serving.grpc_requests(asked, tensors, outputs=names, model=model.name),
        rows=asked,
        check=check,
        connections=connections,
        timeout_s=TIMEOUT_S,
    )


def _tensor(name: str, data_type: str) -> Tensor:
    return Tensor(name=name, dtype=data_type.removeprefix("TYPE_"), shape=())


def _rows(golden: Golden, tensors: Sequence[Tensor], at: int, rows: int) -> serving.Row:
    """So many rows from there on, round the end where the file has no more."""
    found = {}
    for tensor in tensors:
        array = golden.inputs[tensor.name]
        part = np.take(array, range(at, at + rows), axis=0, mode="wrap")
        found[tensor.name] = part.reshape(rows, 1) if part.ndim == 1 else part
    return found
