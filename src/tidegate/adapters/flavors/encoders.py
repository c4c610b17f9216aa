"""MLflow's transformers flavor: an encoder with what its head answers, exported by torch.

The server takes token ids, as the version's tokenizer makes them; batch and sequence are free axes. The graph
is asked texts of other lengths than the golden ones too: an exporter that took a length for a constant is
found so.
https://docs.pytorch.org/docs/stable/onnx_export.html
"""

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters import onnx_runtime
from tidegate.adapters.flavors import encoder_source
from tidegate.adapters.flavors.conversion import Array, Converted, Given, as_graph
from tidegate.adapters.flavors.edges import ROWS, Edge
from tidegate.adapters.flavors.pytorch import refusal, require_opset
from tidegate.core.routes import encoders
from tidegate.errors import RejectedError

REFERENCE = "the transformers model"
BATCH = 32
LONGEST = 512  # tokens that the graph is asked at most: memory grows with their square


def convert(given: Given) -> Converted:
    """The encoder as a graph. Raises by class of error."""
    require_opset(given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and transformers tell of their own deprecations
        model = encoder_source.model(given)
        inputs = encoder_source.tokens(given, model)
        answers = _answers(model, inputs, given.what)
        proto = _exported(given, model, inputs, tuple(answers))
        lengths = tuple(_lengths(model, inputs, given.what))
    names = getattr(model.config, "id2label", None) or {}
    labels = encoders.labels(str(given.conf.get("task")), names)
    graph = as_graph(given, proto, inputs, answers, reference=REFERENCE, labels=labels)
    return replace(graph, shapes=lengths)


def _answers(model: Any, inputs: Mapping[str, Array], what: str) -> dict[str, Array]:
    """Every output that the model itself names, in batches. Raises RejectedError."""
    import torch

    parts: dict[str, list[Array]] = {}
    rows = len(next(iter(inputs.values())))
    try:
        for at in range(0, rows, BATCH):
            given = {n: torch.from_numpy(a[at : at + BATCH].copy()) for n, a in inputs.items()}
            with torch.no_grad():
                found = model(**given, return_dict=True)
            for name, tensor in found.items():
                parts.setdefault(name, []).append(tensor.numpy())
    except Exception as error:  # an id out of its vocabulary, a sequence that is too long
        raise RejectedError(f"{what} fails on golden tokens: {error}; correct them") from error
    return {name: np.concatenate(part) for name, part in parts.items()}


def _lengths(model: Any, inputs: Mapping[str, Array], what: str) -> Iterator[Edge]:
    """Golden tokens cut to one and to half, and repeated to as many as the model takes, up to LONGEST.

    One token more has no answer where the model refuses it.
    """
    golden = next(iter(inputs.values())).shape[1]
    most = _longest(model) or LONGEST
    for length in sorted({1, max(1, golden // 2), min(most, LONGEST)} - {golden}):
        rows = _sized(inputs, ROWS, length)
        yield Edge(kind=_told(length), inputs=rows, expected=_answers(model, rows, what))
    if most <= LONGEST:
        yield _beyond(model, _sized(inputs, ROWS, most + 1), what)


def _beyond(model: Any, rows: Mapping[str, Array], what: str) -> Edge:
    try:
        answers = _answers(model, rows, what)
    except RejectedError:
        answers = {}
    return Edge(kind=_told(next(iter(rows.values())).shape[1]), inputs=rows, expected=answers)


def _told(length: int) -> str:
    return f"texts of {length} tokens"


def _sized(inputs: Mapping[str, Array], rows: int, length: int) -> dict[str, Array]:
    """The first rows, cut or repeated to this many and to this length."""
    some = {n: a[np.arange(rows) % len(a)] for n, a in inputs.items()}
    return {n: a[:, np.arange(length) % a.shape[1]] for n, a in some.items()}


def _longest(model: Any) -> int | None:
    """Tokens of the longest text; RoBERTa's positions begin behind its padding."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None)
    embeddings = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
    first = getattr(embeddings, "padding_idx", None)
    return positions - first - 1 if positions and first is not None else positions


def _module(model: Any, names: tuple[str, ...]) -> Any:
    """The model with plain arguments and a tuple of tensors, which is what a graph can have."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True)), return_dict=True).to_tuple()

    return Plain().eval()


def _exported(
    given: Given, model: Any, inputs: Mapping[str, Array], outputs: tuple[str, ...]
) -> Any:
    """With a free batch and a free sequence. Raises RejectedError that names what cannot be traced.

    A size of one would be taken for a constant, and two equal sizes for one.
    """
    import torch

    batch = torch.export.Dim("batch")
    sequence = torch.export.Dim("sequence", max=_longest(model))
    length = max(2, next(iter(inputs.values())).shape[1])
    rows = 2 if length > 2 else 3
    example = tuple(map(torch.from_numpy, _sized(inputs, rows, length).values()))
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        path = Path(folder) / "exported.onnx"
        try:
            graph = torch.onnx.export(
                _module(model, tuple(inputs)),
                example,
                dynamo=True,
                opset_version=given.opset,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=(tuple({0: batch, 1: sequence} for _ in inputs),),
                verbose=False,
            )
            assert graph is not None
            graph.save(path, external_data=False)
        except Exception as error:  # one class for each reason, of torch's own
            raise refusal(given, error, remedy=encoders.REMEDY) from error
        return onnx_runtime.read_model(path, what=given.what)
