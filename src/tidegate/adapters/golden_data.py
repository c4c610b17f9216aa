"""Golden inputs and answers: read from a model version's files, written beside the optimised model."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters.mlflow_model import MlModel
from tidegate.adapters.trees import disk_errors
from tidegate.errors import DocumentError

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Arrays by tensor name; '' names the only input of a model whose input has no name."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    source: str
    labels: Mapping[str, Array] = field(default_factory=dict)  # the truth, by the output it is of

    @property
    def rows(self) -> int:
        """Rows of every array."""
        return len(next(iter(self.inputs.values()))) if self.inputs else 0


def load(tree: Path, model: MlModel, path: str) -> Golden:
    """The golden file of a model version, else its input example, else nothing.

    Raises DocumentError for a file that is there and wrong.
    """
    if (tree / path).is_file():
        return read(tree / path, what=path)
    if model.example and (tree / model.example).is_file():
        return _example(tree / model.example, what=model.example)
    return Golden(inputs={}, outputs={}, source="")


def read(path: Path, *, what: str) -> Golden:
    """Read an .npz of `input.<name>`, `output.<name>` and `label.<name>`; object arrays would be pickles."""
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {str(name): np.asarray(file[name]) for name in file.files}
    except (ValueError, OSError, zipfile.BadZipFile, AttributeError, EOFError) as error:
        raise DocumentError(
            f"golden file {what} cannot be read ({error}); write it with numpy.savez and no objects"
        ) from error
    _check_names(arrays, what)
    _check_rows(arrays, what)
    inputs, outputs, labels = (_part(arrays, part) for part in ("input.", "output.", "label."))
    return Golden(inputs=inputs, outputs=outputs, labels=labels, source=what)


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _check_names(arrays: Mapping[str, Array], what: str) -> None:
    strange = [n for n in arrays if not n.startswith(("input.", "output.", "label."))]
    if strange or not any(n.startswith("input.") for n in arrays):
        found = ", ".join(strange or arrays) or "nothing"
        raise DocumentError(
            f"golden file {what} holds {found}; name its arrays input.<name>, output.<name> and label.<name>"
        )


def _check_rows(arrays: Mapping[str, Array], what: str) -> None:
    rows = {name: array.shape[0] if array.ndim else None for name, array in arrays.items()}
    if len(set(rows.values())) != 1 or None in rows.values():
        shown = ", ".join(f"{name} {count}" for name, count in rows.items())
        raise DocumentError(
            f"golden file {what} has arrays of unequal rows ({shown}); give each one row per example"
        )


def _example(path: Path, *, what: str) -> Golden:
    """MLflow's input example: a list, {"inputs": ...}, or a data frame as {"columns", "data"}."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(loaded, dict):
            loaded = loaded.get("inputs", loaded.get("data", loaded))
        named = loaded if isinstance(loaded, dict) else {"": loaded}
        inputs = {str(name): np.asarray(values) for name, values in named.items()}
    except (ValueError, OSError) as error:
        raise DocumentError(
            f"input example {what} is no array ({error}); log a golden.npz with the model"
        ) from error
    _check_rows(inputs, what)
    return Golden(inputs=inputs, outputs={}, source=what)


def save(
    path: Path,
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Array],
    labels: Mapping[str, Array] = MappingProxyType({}),
) -> None:
    """Write golden.npz; equal arrays give equal bytes."""
    parts = (("input.", inputs), ("output.", outputs), ("label.", labels))
    arrays = {f"{part}{name}": array for part, named in parts for name, array in named.items()}
    with disk_errors(path):
        np.savez(path, **{name: _plain(array) for name, array in arrays.items()})


def _plain(array: Array) -> Array:
    return array.astype(np.str_) if array.dtype.kind == "O" else array
