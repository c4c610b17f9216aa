"""A request's way through the graph: nodes call nodes, steps call services."""

import asyncio
from collections.abc import Awaitable, Callable

from tidegate.sandbox.router import routing
from tidegate.sandbox.router.routing import Answer, Graph, Node, RoutingError, Step

Call = Callable[[Step, bytes], Awaitable[Answer]]


class Walk:
    """Through one graph; `call` asks a service, `point` draws a number from 0 to 99."""

    def __init__(self, graph: Graph, call: Call, point: Callable[[], int]) -> None:
        self._graph, self._call, self._point = graph, call, point

    async def node(self, name: str, request: bytes) -> Answer:
        """What the node makes of the request. Raises RoutingError."""
        found = self._graph.nodes.get(name, Node(type=""))
        if found.type == "Splitter":
            return await self._step(routing.split(found.steps, self._point()), request)
        if found.type == "Switch":
            return await self._step(routing.switched(found.steps, request), request)
        if found.type == "Ensemble":
            return await self._ensemble(found, request)
        if found.type == "Sequence":
            return await self._sequence(found, request)
        raise RoutingError(f"invalid route type: {found.type}")

    async def _sequence(self, node: Node, given: bytes) -> Answer:
        answer = Answer(b"", 200)
        for at, step in enumerate(node.steps):
            request = routing.request_of(step, at, given, answer.body)
            if not routing.goes_on(step, answer.body):
                return Answer(answer.body, 200)
            answer = await self._step(step, request)
            if step.is_hard and not answer.is_success:
                return answer
        return answer

    async def _ensemble(self, node: Node, request: bytes) -> Answer:
        """All at once, and unlike KServe all of them until they end, also when one has failed."""
        answers = await asyncio.gather(*(self._told(step, request) for step in node.steps))
        return routing.merged(node.steps, answers)

    async def _told(self, step: Step, request: bytes) -> Answer | RoutingError:
        try:
            return await self._step(step, request)
        except RoutingError as error:
            return error

    async def _step(self, step: Step, request: bytes) -> Answer:
        if not step.node:
            return await self._call(step, request)
        try:
            return await self.node(step.node, request)
        except RoutingError as error:  # a 404 of a Switch further down is a 500 here
            raise RoutingError(str(error)) from error
