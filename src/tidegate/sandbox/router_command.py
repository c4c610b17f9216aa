"""How the router of an InferenceGraph is started in the place of the image that holds it."""

import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from tidegate.sandbox.interfaces import Program

LABEL = "serving.kserve.io/inferencegraph"  # of the router's pods
PORT = 8080
READY_PATH = "/readyz"
GRAPH = "--graph-json"
_INSIDE = ".svc.cluster.local"


def program(container: dict[str, Any]) -> Program:
    """The router of a container's graph; it may ask the services of the graph by their names."""
    arguments = [str(word) for word in container.get("args") or ()]
    return Program(
        container=str(container.get("name", "user-container")),
        argv=(sys.executable, "-m", "tidegate.sandbox.router", *arguments),
        port=PORT,
        env={e["name"]: str(e.get("value", "")) for e in container.get("env") or ()},
        ready_path=READY_PATH,
        is_alone=True,
        reaches=tuple(sorted(set(_names(arguments)))),
    )


def _names(arguments: Sequence[str]) -> Iterator[str]:
    graph = json.loads(arguments[arguments.index(GRAPH) + 1])
    for node in graph["nodes"].values():
        for step in node.get("steps") or ():
            host = urlsplit(step.get("serviceUrl", "")).hostname or ""
            if host.endswith(_INSIDE):
                yield host.removesuffix(_INSIDE)
