"""Whether a graph that a policy names can ask the policy's own service, by what KServe's router does."""

from typing import TYPE_CHECKING

from tidegate.policy.serving import Graph
from tidegate.policy.serving.formats import SERVERS

if TYPE_CHECKING:
    from tidegate.policy.whole import Policy


def unanswered(policy: "Policy", graph: Graph) -> str:
    """Why it cannot, and what to write; empty when it can (GetPredictorEndpoint, cmd/router/main.go)."""
    serving, name = policy.serving, policy.name
    if name not in graph.services:
        return f"no step is the service {name}; add it, or remove the graph from this policy"
    if serving.port == "grpc":
        return "KServe's router speaks REST alone; write serving.port: http"
    if serving.format == "triton" and policy.triton_model != name:
        return (
            f"KServe's router asks for the model {name}, and triton.model_name is {policy.triton_model}; "
            "remove it"
        )
    transformer = serving.transformer
    is_v2 = serving.protocol == "v2"
    if transformer and not transformer.collocated:
        spoken = transformer.env.get("PROTOCOL", "v1")
        if spoken != serving.protocol:
            return (
                f"KServe's router asks a transformer of its own by protocol {spoken}; write "
                f"serving.transformer.env: {{PROTOCOL: {serving.protocol}}}"
            )
    elif is_v2 and serving.served_by in SERVERS.values():
        return (
            f"KServe's router asks {serving.served_by} by v1, the first protocol that it offers, whatever "
            "the service says; write serving.protocol: v1"
        )
    if is_v2 and not transformer and _takes_an_answer(graph, name):
        return (
            f"step {name} takes the answer before it, and an answer in v2 (`outputs`) is no request "
            "(`inputs`, kserve#3051); write a serving.transformer, router: Ensemble, or a Triton ensemble of "
            "both models (repository)"
        )
    return ""


def _takes_an_answer(graph: Graph, service: str) -> bool:
    every = (step for node in graph.every_node.values() for step in node.steps)
    return any(step.service == service and step.data == "$response" for step in every)
