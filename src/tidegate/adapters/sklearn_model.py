"""scikit-learn models: loaded without running foreign code, asked for answers, converted to ONNX."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tidegate.adapters import mlflow_model
from tidegate.errors import DocumentError, RejectedError, UsageError

Array = npt.NDArray[Any]
_TRUSTED = ("sklearn.", "numpy.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SklearnModel:
    """A fitted estimator."""

    estimator: Any
    what: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of a classifier's classes."""
        return tuple(str(label) for label in getattr(self.estimator, "classes_", ()))

    def answers(self, rows: Array) -> dict[str, Array]:
        """The source model's answers under the names that the converted graph will have."""
        self._check(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # e.g. fitted with column names, asked without
            answers = self._answers(rows)
        return {name: _plain(array) for name, array in answers.items()}

    def _answers(self, rows: Array) -> dict[str, Array]:
        if not hasattr(self.estimator, "predict") and hasattr(self.estimator, "transform"):
            found = self.estimator.transform(rows)
            dense = found.toarray() if hasattr(found, "toarray") else np.asarray(found)
            return {"variable": dense.reshape(len(rows), -1).astype(np.float32)}
        predicted = np.asarray(self.estimator.predict(rows))
        if not self.labels:
            return {"variable": predicted.reshape(len(rows), -1).astype(np.float32)}
        return {"label": predicted, "probabilities": np.asarray(self._scores()(rows))}

    def _scores(self) -> Any:
        """What a classifier says of each class. Raises DocumentError."""
        for method in ("predict_proba", "decision_function"):
            if hasattr(self.estimator, method):
                return getattr(self.estimator, method)
        raise DocumentError(
            f"{self.what} is a {type(self.estimator).__name__} with neither predict_proba nor "
            "decision_function, and a release compares the scores of classes; train one that has them "
            "(VotingClassifier: voting='soft')"
        )

    def _check(self, rows: Array) -> None:
        wanted = getattr(self.estimator, "n_features_in_", None)
        if rows.ndim != 2 or (wanted is not None and rows.shape[1] != wanted):
            raise DocumentError(
                f"golden inputs have shape {rows.shape}, {self.what} takes (rows, {wanted}); "
                "give one row per example in the columns it was trained on"
            )
        if rows.dtype.kind not in "fiub":
            raise DocumentError(
                f"golden inputs of {self.what} are {rows.dtype}, only numbers are built; encode them"
            )

    def to_onnx(self, *, name: str, features: int, opset: int) -> Any:
        """The graph with one FP32 input; labels and probabilities as plain tensors."""
        try:
            from skl2onnx.common.data_types import FloatTensorType
        except ImportError as error:
            raise _missing("skl2onnx") from error
        inputs = [(name, FloatTensorType([None, features]))]
        try:
            return _converted(self.estimator, inputs, opset, zipmap_known=bool(self.labels))
        except Exception as error:  # skl2onnx raises a class of its own for each reason
            raise RejectedError(
                f"{self.what} cannot be converted to ONNX opset {opset}: {error}; "
                "use an estimator that skl2onnx supports"
            ) from error


def _converted(estimator: Any, inputs: list[Any], opset: int, *, zipmap_known: bool) -> Any:
    """Probabilities as a tensor, not a map per row; a few classifiers never had the map."""
    from skl2onnx import to_onnx

    options = {id(estimator): {"zipmap": False}} if zipmap_known else None
    try:
        return to_onnx(estimator, initial_types=inputs, options=options, target_opset=opset)
    except NameError as error:
        if "zipmap" not in str(error):
            raise
        return _converted(estimator, inputs, opset, zipmap_known=False)


def load(
    tree: Path,
    flavor: dict[str, Any],
    *,
    what: str,
    allow_pickle: bool,
    trusted: tuple[str, ...] = (),
) -> SklearnModel:
    """Open the model file of an MLflow scikit-learn version. Raises RejectedError.

    `trusted`: types that a skops file may hold besides scikit-learn's and numpy's.
    """
    path = mlflow_model.inside(tree, str(flavor.get("pickled_model", "model.pkl")), what=what)
    if str(flavor.get("serialization_format") or "pickle") == "skops":
        return SklearnModel(estimator=_skops(path, what, trusted), what=what)
    if not allow_pickle:
        raise RejectedError(f"{what} is a pickle; log it as skops, or set model.allow_pickle: true")
    return SklearnModel(estimator=_pickle(path, what), what=what)


def _skops(path: Path, what: str, trusted: tuple[str, ...]) -> Any:
    """Other types could run code of whoever wrote them."""
    try:
        from skops import io
    except ImportError as error:
        raise _missing("skops") from error
    try:
        unknown = io.get_untrusted_types(file=path)
        foreign = [t for t in unknown if not t.startswith(_TRUSTED) and t not in trusted]
        if foreign:
            raise RejectedError(
                f"{what} needs {', '.join(foreign[:3])}, which is neither scikit-learn nor numpy; "
                "build the model of their types only"
            )
        return io.load(path, trusted=unknown)
    except RejectedError:
        raise
    except Exception as error:  # a broken archive or a scikit-learn that is too old or too new
        raise RejectedError(f"{what}: {path.name} does not load ({error}); log it again") from error


def _pickle(path: Path, what: str) -> Any:
    """Only where the policy said so. joblib reads what pickle and cloudpickle wrote."""
    import joblib  # type: ignore[import-untyped]

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # another scikit-learn's; parity judges the answers
            return joblib.load(path)
    except Exception as error:  # a pickle can raise anything
        raise RejectedError(f"{what}: {path.name} does not load ({error}); log it again") from error


def _missing(package: str) -> UsageError:
    return UsageError(f"{package} is not installed; pip install 'tidegate[sklearn]'")


def _plain(array: Array) -> Array:
    return array.astype(np.str_) if array.dtype.kind == "O" else array
