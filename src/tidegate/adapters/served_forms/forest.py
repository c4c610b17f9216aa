"""A forest as Triton's FIL backend holds it: Treelite, whose own inference that backend has on the CPU."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.documents import Tensor
from tidegate.errors import RejectedError

Array = npt.NDArray[Any]
INPUT, OUTPUT = "input__0", "output__0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forest:
    """FIL computes in FP32 and names its tensors itself."""

    model: Any
    what: str

    @property
    def classes(self) -> int:
        """Scores per row: one for a regressor and for two classes, else one per class."""
        return int(np.max(self.model.get_header_accessor().get_field("num_class")))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Rows of features."""
        return (Tensor(name=INPUT, dtype="FP32", shape=(-1, int(self.model.num_feature))),)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Rows of scores."""
        return (Tensor(name=OUTPUT, dtype="FP32", shape=(-1, self.classes)),)

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Probabilities, or values, of all rows. Raises RejectedError."""
        import treelite

        rows = np.ascontiguousarray(inputs[INPUT], np.float32)
        try:
            scores = treelite.gtil.predict(self.model, rows, nthread=1)
        except (treelite.TreeliteError, ValueError) as error:  # ValueError: rows of another rank
            raise RejectedError(
                f"{self.what} fails on golden inputs in Treelite: {error}"
            ) from error
        return {OUTPUT: np.asarray(scores, np.float32).reshape(len(rows), -1)}


def of_file(path: Path, model_type: str, *, what: str) -> Forest:
    """Load a file as FIL would. Raises RejectedError."""
    import treelite

    try:
        if model_type == "lightgbm":
            model = treelite.frontend.load_lightgbm_model(path)
        elif model_type == "treelite_checkpoint":
            model = treelite.Model.deserialize(path)
        else:
            form = "ubjson" if model_type == "xgboost_ubj" else "json"
            model = treelite.frontend.load_xgboost_model(path, format_choice=form)
    except treelite.TreeliteError as error:
        raise RejectedError(
            f"{what} cannot be served by FIL: {error}; write optimize.target: onnxruntime"
        ) from error
    return _single(model, what)


def of_estimator(estimator: Any, *, what: str) -> Forest:
    """A forest or a boosted ensemble of scikit-learn. Raises RejectedError that names its class."""
    import treelite

    try:
        model = treelite.sklearn.import_model(estimator)
    except Exception as error:  # also what reading the estimator's attributes raises
        raise RejectedError(
            f"{what} is a {type(estimator).__name__}, which Treelite does not take ({error}); "
            "write optimize.target: onnxruntime"
        ) from error
    return _single(model, what)


def _single(model: Any, what: str) -> Forest:
    targets = int(np.max(model.get_header_accessor().get_field("num_target")))
    if targets != 1:
        raise RejectedError(
            f"{what} gives {targets} values a row, FIL gives one; write optimize.target: onnxruntime"
        )
    return Forest(model=model, what=what)
