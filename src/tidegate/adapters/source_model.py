"""The model as it was registered, by flavor: its own answers to golden inputs, and its ONNX graph.

A flavor is one function from the downloaded files to a `Converted`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tidegate.adapters import mlflow_model, onnx_runtime
from tidegate.adapters.golden_data import Golden
from tidegate.adapters.mlflow_model import MlModel
from tidegate.adapters.onnx_runtime import Graph
from tidegate.errors import DocumentError, RejectedError
from tidegate.policy import Policy

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The graph that will be served, and what the source answers."""

    graph: Graph
    inputs: Mapping[str, Array]  # golden inputs under the graph's names and in its types
    expected: Mapping[str, Array]  # the source model's answers
    reference: str  # what `expected` came from
    recorded: Mapping[str, Array]  # answers that the version itself carries, to be compared as well
    opset: int
    ir_version: int
    labels: tuple[str, ...] = ()


def convert(
    flavor: str, tree: Path, model: MlModel, golden: Golden, policy: Policy, target: Path, what: str
) -> Converted:
    """Write the graph to `target` and ask the source for its answers. Raises by class of error."""
    if flavor == "sklearn":
        return _sklearn(tree, model.flavors[flavor], golden, policy, target, what)
    if flavor == "onnx":
        return _onnx(tree, model.flavors[flavor], golden, policy, target, what)
    raise DocumentError(f"{what}: flavor {flavor} is not built yet; log it as onnx or sklearn")


def _sklearn(
    tree: Path, flavor: dict[str, Any], golden: Golden, policy: Policy, target: Path, what: str
) -> Converted:
    from tidegate.adapters import sklearn_model

    source = sklearn_model.load(tree, flavor, what=what, allow_pickle=policy.model.allow_pickle)
    name, rows = _only_input(golden)
    answers = source.answers(rows)
    proto = source.to_onnx(name=name, features=rows.shape[1], opset=policy.optimize.opset)
    onnx_runtime.store(proto, target, max_ir_version=policy.optimize.max_ir_version)
    graph = onnx_runtime.load(target, what=what)
    return Converted(
        graph=graph,
        inputs=graph.cast({name: rows}, what=golden.source),
        expected=_named_as(graph, answers, what),
        reference="the scikit-learn model",
        recorded=_known(graph, golden),
        opset=onnx_runtime.opset(proto),
        ir_version=proto.ir_version,
        labels=source.labels,
    )


def _onnx(
    tree: Path, flavor: dict[str, Any], golden: Golden, policy: Policy, target: Path, what: str
) -> Converted:
    path = mlflow_model.inside(tree, str(flavor.get("data", "model.onnx")), what=what)
    proto = onnx_runtime.read_model(path, what=what)
    onnx_runtime.store(proto, target, max_ir_version=policy.optimize.max_ir_version)
    graph = onnx_runtime.load(target, what=what)
    inputs = graph.cast(golden.inputs, what=golden.source)
    recorded = _known(graph, golden)
    missing = [tensor.name for tensor in graph.outputs if tensor.name not in recorded]
    source = onnx_runtime.load(path, what=what, optimized=False).run(inputs) if missing else {}
    return Converted(
        graph=graph,
        inputs=inputs,
        expected={**source, **recorded},
        reference=_reference(tuple(recorded), tuple(missing), golden.source),
        recorded={},
        opset=onnx_runtime.opset(proto),
        ir_version=proto.ir_version,
    )


def _reference(recorded: tuple[str, ...], missing: tuple[str, ...], where: str) -> str:
    """What the answers of an ONNX version were compared with, said so that nobody takes it for more."""
    if not recorded:
        return "the source graph itself"
    known = f"the answers recorded in {where}"
    return f"{known}, and for {', '.join(missing)} the source graph itself" if missing else known


def _only_input(golden: Golden) -> tuple[str, Array]:
    if len(golden.inputs) != 1:
        raise DocumentError(
            f"{golden.source} has inputs {', '.join(golden.inputs)}, a scikit-learn model takes one; "
            "put the columns side by side in one array"
        )
    name, rows = next(iter(golden.inputs.items()))
    return name or "X", rows


def _named_as(graph: Graph, answers: Mapping[str, Array], what: str) -> dict[str, Array]:
    """The source's answers for the graph's outputs, all of them and no other."""
    names = [tensor.name for tensor in graph.outputs]
    if set(names) != set(answers):
        raise RejectedError(
            f"{what} converts to outputs {', '.join(names)}, only {', '.join(answers)} can be compared "
            "with the source; use a classifier or a regressor"
        )
    return {name: answers[name] for name in names}


def _known(graph: Graph, golden: Golden) -> dict[str, Array]:
    """Recorded answers; a name that the graph lacks is a wrong golden file."""
    names = [tensor.name for tensor in graph.outputs]
    strange = [name for name in golden.outputs if name not in names]
    if strange:
        raise DocumentError(
            f"{golden.source} records output {strange[0]!r}, the model has {', '.join(names)}; "
            "name the arrays output.<name>"
        )
    return dict(golden.outputs)
