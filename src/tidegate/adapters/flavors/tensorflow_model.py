"""MLflow's tensorflow flavor: a SavedModel or a `.keras` file, run on TensorFlow and converted by tf2onnx."""

import importlib.util
from pathlib import Path

from tidegate.adapters import mlflow_model
from tidegate.adapters.flavors import exporting
from tidegate.adapters.flavors.conversion import Converted, Given
from tidegate.errors import RejectedError, UsageError

REFERENCE = "the TensorFlow model"
REMEDY = "take that out, or convert the model yourself and log that as onnx"
NEWEST_OPSET = 18  # of tf2onnx 1.17
MODULES = ("tensorflow", "tf2onnx")


def convert(given: Given) -> Converted:
    """The model as a graph. Raises by class of error."""
    if folder := given.conf.get("saved_model_dir"):
        return saved(given, str(folder))
    return _converted(given, exporting.keras_file(given, REMEDY))


def saved(given: Given, name: str) -> Converted:
    """A SavedModel, of this flavor or of Keras. Raises by class of error."""
    path = mlflow_model.inside(given.tree, f"{name}/saved_model.pb", what=given.what)
    return _converted(given, path.parent)


def _converted(given: Given, model: Path) -> Converted:
    missing = [module for module in MODULES if importlib.util.find_spec(module) is None]
    if missing:  # a SavedModel of Keras: its route does not tell
        raise UsageError(
            f"{given.what}: {missing[0]} is not installed, which a SavedModel needs to become ONNX; "
            "pip install 'tidegate[tensorflow]'"
        )
    if given.opset > NEWEST_OPSET:
        raise RejectedError(
            f"{given.what}: tf2onnx writes opset {NEWEST_OPSET} at most, optimize.opset asks for "
            f"{given.opset}; leave it out"
        )
    return exporting.converted(given, "tensorflow_graph", model, reference=REFERENCE, remedy=REMEDY)
