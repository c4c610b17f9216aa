"""Triton's own counts of a model, over the way that the load takes (the v2 statistics extension).

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md
"""

from typing import Any

import httpx

from tidegate.adapters.grpc_connection import GrpcConnection, grpc_context
from tidegate.adapters.ingress import context
from tidegate.adapters.lanes import Way
from tidegate.adapters.load import Request

STATISTICS = "/inference.GRPCInferenceService/ModelStatistics"
LOOKS = 16  # each goes to any replica; so many meet each of a few


def cache_hits(way: Way) -> int | None:
    """Requests that the response cache has answered since the server began; None: the server does not tell
    (another server, or a transformer in front).

    Behind several replicas any one answers a look: it is the count of the replica that has the most, so that
    two calls can be compared."""
    ask = _grpc if way.protocol == "grpc" else _rest
    try:
        return max(sum(ask(way)) for _ in range(LOOKS))
    except (httpx.HTTPError, ValueError, KeyError, TypeError, OSError):
        return None


def _rest(way: Way) -> list[int]:
    scheme = "https" if way.to.tls else "http"
    url = f"{scheme}://{way.to.address}:{way.to.port}/v2/models/{way.model}/stats"
    verify = context(way.to.tls) if way.to.tls else False
    with httpx.Client(verify=verify, timeout=way.timeout_s) as client:
        request = client.build_request(
            "GET", url, headers={"Host": way.to.host, **way.to.headers},
            extensions={"sni_hostname": way.to.server_name} if way.to.tls else None,
        )  # fmt: skip
        answer = client.send(request)
    answer.raise_for_status()
    stats: list[dict[str, Any]] = answer.json()["model_stats"]
    return [int(one["inference_stats"]["cache_hit"]["count"]) for one in stats]


def _grpc(way: Way) -> list[int]:
    from google.protobuf.message import DecodeError
    from tritonclient.grpc import service_pb2

    asked = service_pb2.ModelStatisticsRequest(name=way.model).SerializeToString()
    connection = GrpcConnection(way.to, way.timeout_s, STATISTICS, grpc_context(way.to))
    try:
        reply = connection.send(Request(row=0, body=asked))
        found = service_pb2.ModelStatisticsResponse.FromString(reply.body)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()
    if reply.error:
        raise ValueError(reply.error)
    return [int(one.inference_stats.cache_hit.count) for one in found.model_stats]
