"""The InferenceGraph that a service is part of (KServe 0.21, inference_graph.go). Pure."""

from typing import Literal

from tidegate.core.isvc.typed import Json, Typed
from tidegate.policy import Policy
from tidegate.policy.serving import Graph, GraphNode, GraphStep

MODE = "serving.kserve.io/deploymentMode"


class Step(Typed):
    """`nodes.<name>.steps[]`; one of the first three."""

    service_name: str | None = None
    service_url: str | None = None
    node_name: str | None = None
    name: str | None = None
    weight: int | None = None
    condition: str | None = None
    data: str | None = None
    map_predictions_to_instances: Literal[True] | None = None
    dependency: Literal["Hard"] | None = None


class Node(Typed):
    """`nodes.<name>`."""

    router_type: str
    steps: tuple[Step, ...]


class Timeouts(Typed):
    """`routerTimeouts`, in seconds."""

    service_client: int


class Spec(Typed):
    """`spec`."""

    nodes: dict[str, Node]
    router_timeouts: Timeouts | None = None


class Metadata(Typed):
    """`metadata`; the mode is said, for the cluster's default may be another than the service's."""

    name: str
    namespace: str
    annotations: dict[str, str]


class InferenceGraph(Typed):
    """The whole object."""

    api_version: str = "serving.kserve.io/v1alpha1"
    kind: str = "InferenceGraph"
    metadata: Metadata
    spec: Spec


def graph(policy: Policy, wanted: Graph, mode: str) -> Json:
    """The object in the service's namespace and mode."""
    timeout = wanted.step_timeout_s
    return InferenceGraph(
        metadata=Metadata(
            name=wanted.name, namespace=policy.namespace, annotations={MODE: mode}
        ),
        spec=Spec(
            nodes={name: _node(one) for name, one in wanted.every_node.items()},
            router_timeouts=Timeouts(service_client=timeout) if timeout else None,
        ),
    ).as_dict()  # fmt: skip


def _node(wanted: GraphNode) -> Node:
    return Node(router_type=wanted.router, steps=tuple(_step(one) for one in wanted.steps))


def _step(wanted: GraphStep) -> Step:
    return Step(
        service_name=wanted.service or None,
        service_url=wanted.url or None,
        node_name=wanted.node or None,
        name=wanted.name or None,
        weight=wanted.weight,
        condition=wanted.condition or None,
        data=wanted.data or None,
        map_predictions_to_instances=True if wanted.map_predictions else None,
        dependency="Hard" if wanted.dependency == "Hard" else None,
    )
