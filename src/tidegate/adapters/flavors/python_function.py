"""MLflow's generic python function: code, served by Triton's python backend where the policy allows it.

Compared with itself, loaded from the files that are served: that shows that they are whole, and no more.
"""

import importlib.util
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters.flavors.conversion import Converted, Given, recorded
from tidegate.adapters.served_forms.torchscript import DTYPES
from tidegate.adapters.trees import disk_errors
from tidegate.documents import Tensor
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]
MODEL = Path(__file__).parents[1] / "python_backend" / "model.py"
FOLDER = "mlflow_model"
UNNAMED = "input"
_TYPES = DTYPES | {f"uint{bits}": f"UINT{bits}" for bits in (16, 32, 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """The function as `model.py` asks it."""

    function: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    what: str

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All rows at once. Raises RejectedError."""
        return _answers(self.function, inputs, self.what)


def convert(given: Given) -> Converted:
    """The version's files beside the python backend's model.py. Raises RejectedError."""
    with disk_errors(given.folder):
        shutil.copytree(given.tree, given.folder / FOLDER, ignore=_left_behind(given))
        shutil.copyfile(MODEL, given.folder / MODEL.name)
    inputs = {name or UNNAMED: _plain(array) for name, array in given.golden.inputs.items()}
    expected = _answers(_function(given.tree, given.what), inputs, given.what)
    _require_rows(expected, given)
    form = Function(
        function=_function(given.folder / FOLDER, given.what),
        inputs=tuple(_tensor(n, a, given.what) for n, a in inputs.items()),
        outputs=tuple(_tensor(n, a, given.what) for n, a in expected.items()),
        what=given.what,
    )
    return Converted(
        form=form,
        model_file=MODEL.name,
        inputs=inputs,
        expected=expected,
        reference="the python function itself",
        recorded=recorded(form, given.golden),
    )


def _left_behind(given: Given) -> Any:
    """The rows that it is judged by are not served."""
    model = given.policy.model
    repository = given.policy.repository
    beside = [Path(path).name for path in (model.golden, model.calibration, repository.golden)]
    return shutil.ignore_patterns(*beside, *(["companions"] if repository.models else []))


def _function(folder: Path, what: str) -> Any:
    """The class in model.py, which is a file of the server's and no module of ours."""
    spec = importlib.util.spec_from_file_location("tidegate_python_function", MODEL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    try:
        return module.PythonFunction(folder)
    except Exception as error:  # code of whoever logged it
        raise RejectedError(f"{what} does not load as a python function: {error}") from error


def _answers(function: Any, inputs: Mapping[str, Array], what: str) -> dict[str, Array]:
    try:
        found: dict[str, Array] = function.answers(dict(inputs))
    except Exception as error:  # as above
        raise RejectedError(f"{what} fails on golden inputs: {error}; correct it") from error
    return {name: _plain(array) for name, array in found.items()}


def _require_rows(found: Mapping[str, Array], given: Given) -> None:
    for name, array in found.items():
        if not array.ndim or len(array) != given.golden.rows:
            raise RejectedError(
                f"{given.what}: output {name} has shape {array.shape} for {given.golden.rows} rows; "
                "give one answer per row"
            )


def _plain(array: Array) -> Array:
    return array.astype(np.str_) if array.dtype.kind == "O" else array


def _tensor(name: str, array: Array, what: str) -> Tensor:
    kind = "STRING" if array.dtype.kind == "U" else _TYPES.get(array.dtype.name, "")
    if not kind:
        raise RejectedError(f"{what}: {name} is {array.dtype}, which Triton cannot serve; cast it")
    return Tensor(name=name, dtype=kind, shape=(-1, *array.shape[1:]))
