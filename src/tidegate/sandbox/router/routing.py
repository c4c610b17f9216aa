"""What the router decides: which step, with which request, and what the answer of a node is. Pure.

The rules are cmd/router/main.go's of KServe 0.21 (pickupRoute, pickupRouteByCondition, routeStep), its
oddities included: a condition that does not match ends a Sequence with 200 and the answer so far.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tidegate.sandbox.router import gjson

Json = dict[str, Any]
ROOT = "root"
_WRITTEN_ANEW = {"Host", "Content-Length", "Transfer-Encoding", "Trailer"}


class RoutingError(Exception):
    """What the router itself cannot do; `status` is its answer's."""

    def __init__(self, cause: str, status: int = 500) -> None:
        super().__init__(cause)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said, or a node."""

    body: bytes
    status: int

    @property
    def is_success(self) -> bool:
        """2xx."""
        return 200 <= self.status <= 299


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a node: a node (`node`), else a service."""

    name: str = ""
    node: str = ""
    service: str = ""
    url: str = ""
    data: str = ""
    condition: str = ""
    weight: int = 0
    is_hard: bool = False
    maps_predictions: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One router of the graph."""

    type: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """An InferenceGraph's spec, as far as the router reads it."""

    nodes: Mapping[str, Node]
    client_timeout_s: float | None = None  # of one call; None: none


def read(spec: Json) -> Graph:
    """The graph of a spec whose steps carry the URLs of their services."""
    nodes = {name: _node(node) for name, node in (spec.get("nodes") or {}).items()}
    timeouts = spec.get("routerTimeouts") or {}
    return Graph(nodes=nodes, client_timeout_s=timeouts.get("serviceClient"))


def _node(node: Json) -> Node:
    return Node(
        type=str(node.get("routerType", "")), steps=tuple(_step(s) for s in node.get("steps") or ())
    )


def _step(step: Json) -> Step:
    return Step(
        name=step.get("name", ""), node=step.get("nodeName", ""),
        service=step.get("serviceName", ""), url=step.get("serviceUrl", ""),
        data=step.get("data", ""), condition=step.get("condition", ""),
        weight=int(step.get("weight") or 0), is_hard=step.get("dependency") == "Hard",
        maps_predictions=bool(step.get("mapPredictionsToInstances")),
    )  # fmt: skip


def not_emulated(graph: Graph) -> str:
    """Why a graph is not run here; empty when it is. A ring of nodes would never answer in KServe either."""
    for name, node in graph.nodes.items():
        for at, step in enumerate(node.steps):
            if step.condition and (reason := gjson.unsupported(step.condition)):
                return f"nodes.{name}.steps[{at}].condition: {reason} is not emulated"
    ring = _ring(graph, ROOT, ())
    return f"nodes {' -> '.join(ring)} lead back to themselves; let one of them end" if ring else ""


def _ring(graph: Graph, name: str, path: tuple[str, ...]) -> tuple[str, ...]:
    if name in path:
        return (*path[path.index(name) :], name)
    steps = graph.nodes[name].steps if name in graph.nodes else ()
    found = (_ring(graph, step.node, (*path, name)) for step in steps if step.node)
    return next((one for one in found if one), ())


def split(steps: Sequence[Step], point: int) -> Step:
    """A Splitter's step for a point from 0 to 99. Raises RoutingError when the weights end before it."""
    end = 0
    for step in steps:
        end += step.weight
        if point < end:
            return step
    raise RoutingError("no route was selected by the splitter")


def switched(steps: Sequence[Step], request: bytes) -> Step:
    """A Switch's first step whose condition finds something in the request. Raises RoutingError, 404."""
    document = _document(request)
    for step in steps:
        if document is not None and gjson.exists(document[0], step.condition):
            return step
    raise RoutingError("None of the routes matched with the switch condition", 404)


def request_of(step: Step, at: int, given: bytes, before: bytes) -> bytes:
    """What the step at this place of a Sequence is sent: the graph's request, or the answer before."""
    request = before if step.data == "$response" and at > 0 else given
    return _with_instances(request) if step.maps_predictions else request


def _with_instances(request: bytes) -> bytes:
    """v1's `predictions` as `instances`, which drops every other field (sequenceReqRes)."""
    found = _document(request)
    if found is None or not isinstance(found[0], dict):
        return request
    predictions = found[0].get("predictions")
    if not isinstance(predictions, list) or not predictions:
        return request
    return json.dumps({"instances": predictions}).encode()


def goes_on(step: Step, before: bytes) -> bool:
    """Whether a Sequence takes this step. Raises RoutingError for a condition on what is no JSON, which
    nothing at all, before the first step, is too."""
    if not step.condition:
        return True
    document = _document(before)
    if document is None:
        raise RoutingError("invalid response")
    return gjson.exists(document[0], step.condition)


def merged(steps: Sequence[Step], answers: Sequence[Answer | RoutingError]) -> Answer:
    """An Ensemble's answer: each step's by its name or place, or the first failed hard step's alone.

    Raises RoutingError for a step without an answer, or with one that is no JSON object. Which of several
    failures is told, KServe leaves to chance; here it is the first in the graph.
    """
    found: Json = {}
    for at, (step, answer) in enumerate(zip(steps, answers, strict=True)):
        if isinstance(answer, RoutingError):
            raise answer
        document = _document(answer.body)
        if document is None or not isinstance(document[0], dict):
            raise RoutingError(f"step {step.name or at} did not answer with a JSON object")
        if step.is_hard and not answer.is_success:
            return answer
        found[step.name or str(at)] = document[0]
    return Answer(json.dumps(found).encode(), 200)


def _document(text: bytes) -> tuple[Any] | None:
    try:
        return (gjson.parsed(text),)
    except ValueError:
        return None


def patterns(named: str | None) -> list[re.Pattern[str]]:
    """Those of PROPAGATE_HEADERS (main.go: main). What is no pattern is left out; an empty list is one empty
    pattern, which finds every header."""
    found = []
    for one in [] if named is None else named.split(","):
        with suppress(re.error):
            found.append(re.compile(one))
    return found


def propagated(
    headers: Sequence[tuple[str, str]], patterns: Sequence[re.Pattern[str]]
) -> list[tuple[str, str]]:
    """The client's headers that steps get: those that one of the patterns finds in its canonical name.

    What is about the client's own connection and body Go writes anew (net/http: reqWriteExcludeHeader).
    """
    named = [("-".join(part.capitalize() for part in k.split("-")), v) for k, v in headers]
    own = [(k, v) for k, v in named if k not in _WRITTEN_ANEW]
    kept = [(k, v) for k, v in own if any(one.search(k) for one in patterns)]
    typed = any(k == "Content-Type" and v for k, v in kept)
    return kept if typed else [*kept, ("Content-Type", "application/json")]
