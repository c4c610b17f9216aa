"""What boosted trees of XGBoost and LightGBM share: their answers, and onnxmltools' graphs put right."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.adapters.flavors.conversion import Array
from tidegate.errors import RejectedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """A fitted model with scikit-learn's methods; no labels: a regressor."""

    estimator: Any
    labels: tuple[str, ...]

    def answers(self, rows: Array) -> dict[str, Array]:
        """Under the names that the converted graph has."""
        predicted = np.asarray(self.estimator.predict(rows))
        if not self.labels:
            return {"variable": predicted.reshape(len(rows), -1).astype(np.float32)}
        scores = np.asarray(self.estimator.predict_proba(rows), np.float32)
        named = predicted.dtype.kind in "USO"
        label = predicted.astype(np.str_ if named else np.int64)
        return {"label": label, "probabilities": scores}

    def scores(self, rows: Array) -> Array:
        """Probabilities by class, or values."""
        answers = self.answers(rows)
        return answers.get("probabilities", answers.get("variable", rows))


def opset_of(wanted: int) -> int:
    """The wanted opset, or the newest that onnxmltools writes: what reads the one reads the other."""
    from onnxmltools.convert.common.onnx_ex import get_maximum_opset_supported

    return min(wanted, int(get_maximum_opset_supported()))


def float_input(name: str, features: int) -> list[tuple[str, Any]]:
    """One FP32 tensor of rows, as onnxmltools wants it."""
    from onnxmltools.convert.common.data_types import FloatTensorType

    return [(name, FloatTensorType([None, features]))]


def refusal(what: str, opset: int, error: Exception) -> RejectedError:
    """onnxmltools raises a class of its own for each reason, and names the operator."""
    return RejectedError(
        f"{what} cannot be converted to ONNX opset {opset}: {error}; "
        "write optimize.target: native, or train with a plain objective"
    )


def free_batch(proto: Any) -> Any:
    """Let axis 0 of every output be the inputs': LightGBM's labels are declared `[1]`, and are not.

    Triton would not batch such a model, and ONNX Runtime warns at every answer.
    """
    symbol = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param or "N"
    for tensor in (*proto.graph.input, *proto.graph.output):
        first = tensor.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_param = symbol
    return proto
