"""An InferenceGraph: several models behind one name. What KServe's router would get wrong is refused here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from tidegate.policy.section import Section

ROOT = "root"
Router = Literal["Sequence", "Splitter", "Ensemble", "Switch"]


class GraphStep(Section):
    """One step of a node: an InferenceService of the namespace, another node, or a URL."""

    service: str = ""
    node: str = Field(default="", description="One of graph.nodes")
    url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    name: str = Field(default="", description="Ensemble: the key of its answer")
    weight: int | None = Field(default=None, ge=0, le=100, description="Splitter: its share, in %")
    condition: str = Field(
        default="",
        description="A GJSON path. Switch: the first step whose condition finds something in the request. "
        "Sequence: the first condition that finds nothing in the answer before ends it, with that answer",
    )
    data: Literal["", "$request", "$response"] = Field(
        default="",
        description="Sequence: what it is sent, the request ('') or the answer before it",
    )
    map_predictions: bool = Field(
        default=False,
        description="Sequence, v1, KServe 0.16: the answer's predictions as the request's instances",
    )
    dependency: Literal["Soft", "Hard"] = Field(
        default="Soft", description="Sequence, Ensemble. Hard: its failure is the graph's answer"
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if [bool(one) for one in (self.service, self.node, self.url)].count(True) != 1:
            raise ValueError("a step needs one of service, node and url; write exactly one")
        return self

    @property
    def called(self) -> str:
        """How a message calls it."""
        return self.name or self.service or self.node or self.url


class GraphNode(Section):
    """One router and its steps."""

    router: Router = "Sequence"
    steps: tuple[GraphStep, ...] = Field(strict=False, min_length=1)

    @model_validator(mode="after")
    def _fits_its_router(self) -> Self:
        refused = (*_weighed(self), *_conditional(self), *_chained(self), *_named(self))
        if refused:
            raise ValueError(refused[0])
        return self


class Graph(GraphNode):
    """An InferenceGraph that the service is part of; rendered beside it, and left alone by a release.
    `router` and `steps` are its root."""

    name: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=63)
    nodes: dict[str, GraphNode] = Field(
        default_factory=dict, description="Further routers, which steps name by `node`"
    )
    step_timeout_s: int | None = Field(
        default=None, ge=1, le=60,
        description="Longest wait for one step; KServe's router writes no answer after 60 s in all",
    )  # fmt: skip

    @property
    def every_node(self) -> Mapping[str, GraphNode]:
        """The root among them."""
        return {ROOT: self, **self.nodes}

    @property
    def services(self) -> frozenset[str]:
        """The InferenceServices that it asks."""
        every = self.every_node.values()
        return frozenset(step.service for node in every for step in node.steps if step.service)

    @model_validator(mode="after")
    def _is_a_tree(self) -> Self:
        """A ring never answers, and a node that nothing leads to is a mistake in a name."""
        if ROOT in self.nodes:
            raise ValueError(
                f"nodes.{ROOT} is router and steps themselves; name the node otherwise"
            )
        reached = set(self._walked(ROOT, ()))
        if lost := sorted(self.nodes.keys() - reached):
            raise ValueError(
                f"nodes.{lost[0]} is the node of no step; name it in one, or remove it"
            )
        return self

    def _walked(self, name: str, path: Sequence[str]) -> Iterator[str]:
        if name in path:
            ring = " -> ".join([*path[list(path).index(name) :], name])
            raise ValueError(
                f"nodes {ring} lead back to themselves; let one of them end at a service"
            )
        if name != ROOT and name not in self.nodes:
            raise ValueError(
                f"node {name!r} of a step is none of nodes {sorted(self.nodes)}; add it"
            )
        yield name
        for step in self.every_node[name].steps:
            if step.node:
                yield from self._walked(step.node, (*path, name))

    @model_validator(mode="after")
    def _has_a_name_of_its_own(self) -> Self:
        """The router is a Knative Service of the graph's name, beside those of the services."""
        parts = ("", "-predictor", "-transformer", "-explainer")
        taken = {f"{service}{part}" for service in self.services for part in parts}
        if self.name in taken:
            raise ValueError(f"name {self.name!r} is a service's already; give the graph another")
        return self


def _weighed(node: GraphNode) -> Iterator[str]:
    weights = [step.weight for step in node.steps]
    if node.router == "Splitter":
        if None in weights or sum(w or 0 for w in weights) != 100:
            yield f"weights {weights} of a Splitter must add up to 100"
    elif any(w is not None for w in weights):
        yield f"a weight goes with router: Splitter, not {node.router}; remove it"


def _conditional(node: GraphNode) -> Iterator[str]:
    with_one = [step for step in node.steps if step.condition.strip()]
    if node.router == "Switch" and len(with_one) < len(node.steps):
        yield "every step of a Switch needs a condition, and KServe's router takes an empty one for none"
    if with_one and node.router in {"Splitter", "Ensemble"}:
        yield f"a condition does nothing in router: {node.router}; remove it, or write router: Switch"
    if node.router == "Sequence" and node.steps[0].condition:
        yield (
            f"step {node.steps[0].called} is the first of a Sequence, whose condition asks an answer that "
            "is not there, which KServe's router answers with 500; remove it"
        )


def _chained(node: GraphNode) -> Iterator[str]:
    for at, step in enumerate(node.steps):
        takes = step.data == "$response"
        if step.data and node.router != "Sequence":
            yield f"data goes with router: Sequence, not {node.router}; remove it"
        if takes and at == 0:
            yield f"step {step.called} is the first, and there is no answer before it; remove data"
        if step.map_predictions and not takes:
            yield f"map_predictions of step {step.called} maps an answer; write data: $response too"
        if step.dependency == "Hard" and node.router in {"Splitter", "Switch"}:
            yield f"dependency does nothing in router: {node.router}, whose one step answers; remove it"


def _named(node: GraphNode) -> Iterator[str]:
    names = [step.name for step in node.steps if step.name]
    for name in names:
        if names.count(name) > 1:
            yield f"two steps have the name {name!r}, which KServe refuses; rename one"
