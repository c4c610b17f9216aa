"""A model file as KServe's own server holds it: loaded again, and asked as that server asks it.

What arrives is what JSON leaves of a row: with protocol v1 `np.array` of the instances, with v2 the first
input in the type that it names (kserve/utils/utils.py `get_predict_input`, KServe 0.21).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tidegate.documents import Tensor
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]
TYPES: Mapping[str, str] = {
    "bool": "BOOL", "float32": "FP32", "float64": "FP64",
    **{f"{sign}int{bits}": f"{sign}int{bits}".upper() for sign in ("", "u") for bits in (8, 16, 32, 64)},
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A loaded file with one input and one output; `ask` is the server's `predict`."""

    ask: Callable[[Array], Any]
    protocol: Literal["v1", "v2"]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    what: str

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The answers to all rows. Raises RejectedError when the model fails on them."""
        found = answered(self.ask, _arrived(inputs, self), self.what, self.protocol)
        return {self.outputs[0].name: found}


def _arrived(inputs: Mapping[str, Array], form: KeptFile) -> Array:
    rows = inputs[form.inputs[0].name]
    return np.array(rows.tolist()) if form.protocol == "v1" else rows


def answered(ask: Callable[[Array], Any], rows: Array, what: str, protocol: str) -> Array:
    """The answer as an array. Raises RejectedError."""
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. fitted with column names, asked without
            found = np.asarray(ask(rows))
    except Exception as error:  # each framework has errors of its own
        raise RejectedError(
            f"{what}: asked as KServe's server asks it, it fails: {error}; train it on plain arrays, or "
            "write serving.format: triton"
        ) from error
    _require_json(found, len(rows), what, protocol)
    return found.astype(np.str_) if found.dtype.kind == "O" else found


def _require_json(found: Array, rows: int, what: str, protocol: str) -> None:
    """That the server can write the answer. Raises RejectedError."""
    if found.shape[:1] != (rows,):
        raise RejectedError(
            f"{what} answers {rows} rows with shape {found.shape}, which has no value for each row; write "
            "serving.format: triton"
        )
    if found.dtype.kind not in "OU" and found.dtype.name not in TYPES:
        raise RejectedError(
            f"{what} answers with {found.dtype}, which KServe's server does not write as JSON; train it on "
            "labels that are whole numbers or text, or on float32 values"
        )
    if found.dtype.kind == "U" and protocol == "v2":
        raise RejectedError(
            f"{what} answers with text, which KServe's server fails to write in v2 "
            "(kserve/protocol/infer_type.py, set_data_from_numpy); write serving.protocol: v1"
        )


def tensor(name: str, rows: Array) -> Tensor:
    """What the protocol says of such an array, any number of rows."""
    dtype = "STRING" if rows.dtype.kind == "U" else TYPES[rows.dtype.name]
    return Tensor(name=name, dtype=dtype, shape=(-1, *rows.shape[1:]))


def of_joblib(path: Path, *, scores: bool) -> Callable[[Array], Any]:
    """sklearnserver/model.py: predict_proba where the environment asks for it and the model has it."""
    import joblib  # type: ignore[import-untyped]

    model = joblib.load(path)
    ask: Callable[[Array], Any] = (
        model.predict_proba if scores and hasattr(model, "predict_proba") else model.predict
    )
    return ask


def of_xgboost(path: Path) -> Callable[[Array], Any]:
    """xgbserver/model.py: the booster alone, on a DMatrix without names."""
    import xgboost

    booster = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(path.read_bytes()))
    return lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=1))


def of_lightgbm(path: Path) -> Callable[[Array], Any]:
    """lgbserver/model.py: the booster alone."""
    import lightgbm

    booster = lightgbm.Booster(params={"nthread": 1}, model_file=str(path))
    return lambda rows: booster.predict(rows)
