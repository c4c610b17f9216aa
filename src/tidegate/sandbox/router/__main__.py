"""`python -m tidegate.sandbox.router --graph-json <spec>`: the router's container, on $PORT of loopback.

Any path and method is the graph, but `/readyz`. It asks every step by POST, hands on no header but those that
PROPAGATE_HEADERS names, and of a step's answer keeps body and status.
"""

import argparse
import asyncio
import json
import os
import random
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.sandbox.envoy_config import REVISION_HEADER
from tidegate.sandbox.router import gjson, routing
from tidegate.sandbox.router.routing import Answer, Graph, RoutingError, Step
from tidegate.sandbox.router.walk import Walk

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=100)


class Router:
    """Answers requests by one graph."""

    def __init__(self, graph: Graph, patterns: list[re.Pattern[str]]) -> None:
        self._graph, self._patterns = graph, patterns
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(None), limits=_UNLIMITED, trust_env=False
        )

    async def __aenter__(self) -> "Router":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def answer(self, request: Request) -> Response:
        """The graph's answer, or what the router says when it has none (prepareErrorResponse)."""
        headers = routing.propagated(request.headers.items(), self._patterns)

        async def call(step: Step, body: bytes) -> Answer:
            return await self._asked(step, body, headers)

        walk = Walk(self._graph, call, lambda: random.SystemRandom().randrange(100))
        try:
            found = await walk.node(routing.ROOT, await request.body())
        except RoutingError as error:
            told = {"error": "Failed to process request", "cause": str(error)}
            return JSONResponse(told, status_code=error.status)
        return Response(found.body, found.status, media_type=_media_type(found.body))

    async def _asked(self, step: Step, body: bytes, headers: list[tuple[str, str]]) -> Answer:
        try:
            async with asyncio.timeout(self._graph.client_timeout_s or None):  # of the whole answer
                reply = await self._client.post(step.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise RoutingError(f"Post {_called(step)}: {type(error).__name__} {error}") from error
        if _is_unknown_host(reply):
            raise RoutingError(f"Post {_called(step)}: lookup {_called(step)}: no such host")
        return Answer(reply.content, reply.status_code)


def _is_unknown_host(reply: httpx.Response) -> bool:
    """The gateway itself says 404: in a cluster the name went with the service."""
    is_gateways = reply.headers.get("server") == "envoy" and REVISION_HEADER not in reply.headers
    return reply.status_code == 404 and is_gateways


def _called(step: Step) -> str:
    return step.service or step.url


def _media_type(body: bytes) -> str | None:
    try:
        gjson.parsed(body)
    except ValueError:
        return None
    return "application/json"


async def ready(_: Request) -> Response:
    """The readiness probe's 200."""
    return Response(status_code=200)


def application(graph: Graph, patterns: list[re.Pattern[str]]) -> Starlette:
    """What is served."""
    router = Router(graph, patterns)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with router:
            yield

    every = Route("/{path:path}", router.answer, methods=_METHODS)
    return Starlette(routes=[Route("/readyz", ready), every], lifespan=lifespan)


def main(argv: list[str]) -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--graph-json", required=True)
    graph = routing.read(json.loads(parser.parse_args(argv).graph_json))
    patterns = routing.patterns(os.environ.get("PROPAGATE_HEADERS"))
    uvicorn.run(
        application(graph, patterns), host="127.0.0.1", port=int(os.environ["PORT"]),
        log_level="warning", timeout_graceful_shutdown=5,
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
