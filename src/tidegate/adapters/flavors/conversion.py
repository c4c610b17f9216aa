"""What a conversion is given and gives, and the way that all graphs end."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from tidegate.adapters import onnx_runtime
from tidegate.adapters.flavors import edges
from tidegate.adapters.flavors.edges import Ask, Edge
from tidegate.adapters.golden_data import Golden
from tidegate.adapters.mlflow_model import MlModel
from tidegate.adapters.onnx_runtime import Graph
from tidegate.adapters.served_forms.form import ServedForm
from tidegate.core.lint import triton_version
from tidegate.core.onnx_versions import pinned
from tidegate.core.routes import Route
from tidegate.documents import Package
from tidegate.errors import DocumentError, RejectedError
from tidegate.policy import Policy

Array = npt.NDArray[Any]
GRAPH = "model.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The downloaded version, what it is to become, and where that is put."""

    tree: Path
    model: MlModel
    golden: Golden
    policy: Policy
    route: Route
    folder: Path
    what: str

    @property
    def conf(self) -> dict[str, Any]:
        """The flavor's part of the MLmodel file."""
        return self.model.flavors[self.route.flavor]

    @property
    def triton(self) -> tuple[int, int]:
        """The version that serves it."""
        return triton_version(self.policy.triton.version)

    @property
    def opset(self) -> int:
        """The opset that a converted graph is written in."""
        return pinned(self.policy.optimize, self.triton)[0]

    @property
    def ir_version(self) -> int:
        """The newest IR that a graph is written in."""
        return pinned(self.policy.optimize, self.triton)[1]

    @property
    def largest(self) -> int:
        """As many rows as are asked at once: the server's largest batch and one more are asked whole."""
        return max(onnx_runtime.BATCH, self.policy.triton.max_batch_size + 1)

    def only_input(self) -> tuple[str, Array]:
        """The golden data's one input: its name, '' when it has none, and its rows. Raises DocumentError."""
        if len(self.golden.inputs) != 1:
            raise DocumentError(
                f"{self.golden.source} has inputs {', '.join(self.golden.inputs)}, "
                f"a model of flavor {self.route.flavor} takes one; "
                "put the columns side by side in one array"
            )
        return next(iter(self.golden.inputs.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """The form that will be served, and what the source answers."""

    form: ServedForm
    model_file: str
    inputs: Mapping[str, Array]  # golden inputs under the form's names and in its types
    expected: Mapping[str, Array]  # the source model's answers
    reference: str  # what `expected` came from
    recorded: Mapping[str, Array]  # answers that the version itself carries, to be compared as well
    opset: int = 0  # 0 where it is no graph
    ir_version: int = 0
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the backend
    edges: tuple[Edge, ...] = ()  # none where the source cannot be asked other inputs
    shapes: tuple[Edge, ...] = ()  # rows of other sizes; no answer: the source refuses them
    source_graph: Path | None = None  # where the source is a graph: its layers can be looked into
    folder: Path = Path()  # of model_file
    package: Package | None = None  # where it was compiled
    said: str = ""  # for people, of its making


def opened(given: Given, path: Path) -> tuple[Graph, ServedForm]:
    """The graph at `path`, and as its backend opens it. Raises RejectedError."""
    graph = onnx_runtime.load(path, what=given.what, largest=given.largest)
    if given.route.backend != "openvino":
        return graph, graph
    from tidegate.adapters.served_forms import openvino_graph

    return graph, openvino_graph.load(path, graph)


def reopened(given: Given, converted: Converted) -> Converted:
    """Open the graph again where its precision was changed on disk. Raises RejectedError."""
    if given.policy.optimize.precision == "source":
        return converted
    return replace(converted, form=opened(given, given.folder / converted.model_file)[1])


def as_graph(
    given: Given,
    proto: Any,
    inputs: Mapping[str, Array],
    answers: Mapping[str, Array],
    *,
    reference: str,
    labels: tuple[str, ...] = (),
    ask: Ask | None = None,
) -> Converted:
    """Store a converted graph for the target and put the source's answers beside it."""
    path = given.folder / GRAPH
    onnx_runtime.store(proto, path, max_ir_version=given.ir_version)
    graph, form = opened(given, path)
    golden = graph.cast(inputs, what=given.golden.source)
    return Converted(
        form=form,
        model_file=GRAPH,
        inputs=golden,
        expected=named_as(form, answers, given.what),
        reference=reference,
        recorded=recorded(form, given.golden),
        opset=onnx_runtime.opset(proto),
        ir_version=proto.ir_version,
        labels=labels,
        edges=tuple(edges.asked(ask, golden, form.inputs)) if ask else (),
    )


def named_as(form: ServedForm, answers: Mapping[str, Array], what: str) -> dict[str, Array]:
    """The source's answers for the form's outputs, all of them and no other."""
    names = [tensor.name for tensor in form.outputs]
    if set(names) != set(answers):
        raise RejectedError(
            f"{what} converts to outputs {', '.join(names)}, only {', '.join(answers)} can be compared "
            "with the source; use a classifier or a regressor"
        )
    return {name: answers[name] for name in names}


def recorded(form: ServedForm, golden: Golden) -> dict[str, Array]:
    """Recorded answers; a name that the form lacks is a wrong golden file."""
    names = [tensor.name for tensor in form.outputs]
    strange = [name for name in golden.outputs if name not in names]
    if strange:
        raise DocumentError(
            f"{golden.source} records output {strange[0]!r}, the model has {', '.join(names)}; "
            "name the arrays output.<name>"
        )
    return dict(golden.outputs)
