"""A `.keras` file on Keras' PyTorch backend, exported by torch: nothing of TensorFlow is needed.

https://keras.io/guides/serialization_and_saving/
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters.flavors.exports.process import Array, Source, main, numbered, ordered


def load(model: Path, golden: Mapping[str, Array], opset: int) -> Source:
    """The model without its training state. Raises of any class."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    loaded = keras.saving.load_model(model, compile=False, safe_mode=True)
    tensors = loaded.inputs
    rows = ordered(golden, [(tensor.name, tensor.dtype) for tensor in tensors])
    module = _module(keras, loaded)

    def ask(arrays: list[Array]) -> list[Array]:
        with torch.no_grad():
            return [found.numpy() for found in module(*map(torch.from_numpy, arrays))]

    outputs = numbered(len(loaded.outputs))

    def export(path: Path) -> None:
        shapes = [tensor.shape for tensor in tensors]
        example = [_example(*pair) for pair in zip(rows.values(), shapes, strict=True)]
        _export(module, example, shapes, tuple(rows), outputs, path, opset)

    return Source(rows=rows, outputs=outputs, ask=ask, export=export)


def _module(keras: Any, model: Any) -> Any:
    """Plain arguments and a flat tuple of tensors, which is what a graph can have."""
    import torch

    class Plain(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            given = list(tensors) if len(tensors) > 1 else tensors[0]
            return tuple(keras.tree.flatten(self.model(given, training=False)))

    return Plain().eval()


def _example(rows: Array, shape: tuple[int | None, ...]) -> Array:
    """Some rows; a size of one would be taken for a constant."""
    found: Array = rows[np.arange(4) % len(rows)]
    for axis, size in enumerate(shape):
        if size is None and found.shape[axis] == 1:
            found = np.repeat(found, 2, axis=axis)
    return found


def _export(
    module: Any,
    example: list[Array],
    shapes: list[tuple[int | None, ...]],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    path: Path,
    opset: int,
) -> None:
    import torch

    batch = torch.export.Dim("batch")
    free = tuple(
        {
            axis: torch.export.Dim(f"axis_{at}_{axis}") if axis else batch
            for axis, size in enumerate(shape)
            if size is None
        }
        for at, shape in enumerate(shapes)
    )
    graph = torch.onnx.export(
        module,
        tuple(map(torch.from_numpy, example)),
        dynamo=True,
        opset_version=opset,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=(free,),
        verbose=False,
    )
    assert graph is not None
    graph.save(path, external_data=False)


if __name__ == "__main__":
    sys.exit(main(load))
