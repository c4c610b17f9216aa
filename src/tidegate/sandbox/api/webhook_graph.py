"""What KServe's webhook refuses of an InferenceGraph, in its words (inference_graph_validation.go). Pure."""

import re
from collections import Counter
from collections.abc import Iterator

from tidegate.sandbox.api.kinds import Json

NAME = "inferencegraph.kserve-webhook-server.validator"
_NAME_REGEX = "[a-z]([-a-z0-9]*[a-z0-9])?"
_TARGETS = ("nodeName", "serviceName", "serviceUrl")


def complaints(graph: Json) -> Iterator[str]:
    """Every reason to refuse, the first of which the webhook would say."""
    name = str(graph["metadata"].get("name", ""))
    nodes = (graph.get("spec") or {}).get("nodes") or {}
    yield from _name(name)
    if "root" not in nodes:
        yield (
            "root node not found, InferenceGraph needs a node with name 'root' as the root node of the graph"
        )
    for rule in (_step_names, _targets, _weights):
        for node, router in nodes.items():
            yield from rule(name, node, router)


def _name(name: str) -> Iterator[str]:
    if name and not re.fullmatch(_NAME_REGEX, name):
        yield (
            f'The InferenceGraph "{name}" is invalid: a InferenceGraph name must consist of lower case '
            "alphanumeric characters or '-', and must start with alphabetical character. (e.g. \"my-name\" "
            f"or \"abc-123\", regex used for validation is '{_NAME_REGEX}')"
        )


def _step_names(graph: str, node: str, router: Json) -> Iterator[str]:
    names = Counter(step["name"] for step in router.get("steps") or () if step.get("name"))
    for name, count in names.items():
        if count > 1:
            yield (
                f'Node "{node}" of InferenceGraph "{graph}" contains more than one step with name "{name}"'
            )


def _targets(graph: str, node: str, router: Json) -> Iterator[str]:
    for at, step in enumerate(router.get("steps") or ()):
        count = sum(bool(step.get(target)) for target in _TARGETS)
        where = f'Step {at} ("{step.get("name", "")}") in node "{node}" of InferenceGraph "{graph}"'
        if count == 0:
            yield f"{where} does not specify an inference target"
        if count > 1:
            yield f"{where} specifies more than one of nodeName, serviceName, serviceUrl"


def _weights(graph: str, node: str, router: Json) -> Iterator[str]:
    steps = router.get("steps") or ()
    if router.get("routerType") != "Splitter":
        return
    for step in steps:
        if step.get("weight") is None:
            service = step.get("serviceName", "")
            yield f"InferenceGraph[{graph}] Node[{node}] Route[{service}] missing the 'Weight'"
    if sum(step.get("weight") or 0 for step in steps) != 100:
        yield (
            f"InferenceGraph[{graph}] Node[{node}] splitter node: the sum of traffic weights for all routing "
            "targets should be 100"
        )
