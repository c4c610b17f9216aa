"""The serving section: everything that the InferenceService, and what stands beside it, can say."""

from tidegate.policy.serving.component import Container, Explainer, Transformer
from tidegate.policy.serving.extras import Batcher, Logger, Monitor
from tidegate.policy.serving.formats import EVENT_SOURCE, SERVERS, TRITON, ServedFormat
from tidegate.policy.serving.gpu import Gpu
from tidegate.policy.serving.graph import Graph, GraphNode, GraphStep
from tidegate.policy.serving.modes import unsupported
from tidegate.policy.serving.placement import Placement, Toleration
from tidegate.policy.serving.scaling import Hpa, Keda, Kpa, Scaling, Trigger
from tidegate.policy.serving.whole import OWN_RUNTIME, Serving

__all__ = [
    "EVENT_SOURCE",
    "OWN_RUNTIME",
    "SERVERS",
    "TRITON",
    "Batcher",
    "Container",
    "Explainer",
    "Gpu",
    "Graph",
    "GraphNode",
    "GraphStep",
    "Hpa",
    "Keda",
    "Kpa",
    "Logger",
    "Monitor",
    "Placement",
    "Scaling",
    "ServedFormat",
    "Serving",
    "Toleration",
    "Transformer",
    "Trigger",
    "unsupported",
]
