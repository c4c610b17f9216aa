"""How trees are handed to Triton's FIL backend.

Two classes are served as the probability of the second, `dims: [1]`: what FIL gives for `predict_proba` of
two classes differs between its versions (src/tl_model.h expands to two columns, src/cpu_forest_model.h does
not), and the raw score of a model with one output does not.
"""

from collections.abc import Mapping

import numpy as np

from tidegate.adapters.flavors.conversion import Array, Converted, Given, recorded
from tidegate.adapters.served_forms.forest import INPUT, OUTPUT, Forest
from tidegate.errors import DocumentError, RejectedError

FILES = {
    "xgboost_ubj": "xgboost.ubj",
    "xgboost_json": "xgboost.json",
    "lightgbm": "model.txt",
    "treelite_checkpoint": "checkpoint.tl",
}
RENAMED = (2, 61)  # 25.09: output_class became is_classifier
READS_UBJ = (2, 51)  # 24.10


def parameters(model_type: str, classes: int, triton: tuple[int, int]) -> Mapping[str, str]:
    """All that the loader reads without a default, in the spelling of the target."""
    several = str(classes > 1).lower()
    return {
        "model_type": model_type,
        "is_classifier" if triton >= RENAMED else "output_class": several,
        "predict_proba": several,
        "threshold": "0.5",
    }


def as_forest(
    given: Given,
    forest: Forest,
    rows: Array,
    scores: Array | None,
    *,
    model_type: str,
    reference: str,
    labels: tuple[str, ...] = (),
) -> Converted:
    """The forest, whose file lies in the folder, and the source's scores for its rows."""
    inputs = {INPUT: _features(forest, rows, given.golden.source)}
    return Converted(
        form=forest,
        model_file=FILES[model_type],
        inputs=inputs,
        expected={OUTPUT: _columns(forest, scores, given.what)},
        reference=reference,
        recorded=recorded(forest, given.golden),
        labels=labels if forest.classes > 1 else (),
        parameters=parameters(model_type, forest.classes, given.triton),
    )


def _features(forest: Forest, rows: Array, source: str) -> Array:
    wanted = forest.inputs[0].shape[1]
    if rows.ndim != 2 or rows.shape[1] != wanted:
        raise DocumentError(
            f"{source} has rows of shape {rows.shape[1:]}, the model takes ({wanted},); "
            "give one row per example in the columns it was trained on"
        )
    return np.ascontiguousarray(rows, np.float32)


def _columns(forest: Forest, scores: Array | None, what: str) -> Array:
    """The source's scores in FIL's columns. Raises RejectedError for a source that has none."""
    if scores is None:
        raise RejectedError(
            f"{what} gives no scores to compare; write optimize.target: onnxruntime"
        )
    table = scores.reshape(len(scores), -1)
    table = table[:, 1:] if forest.classes == 1 and table.shape[1] == 2 else table
    return table.astype(np.float32)
