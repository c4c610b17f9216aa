"""MLflow's keras flavor: a `.keras` file, run and exported on PyTorch, whichever backend it was trained on.

A SavedModel that Keras exported holds TensorFlow's own graph, and goes by tensorflow_model.py.
"""

from tidegate.adapters.flavors import exporting, tensorflow_model
from tidegate.adapters.flavors.conversion import Converted, Given
from tidegate.adapters.flavors.pytorch import require_opset

REFERENCE = "the Keras model, on PyTorch"
REMEDY = "log it by mlflow.tensorflow, which goes by tf2onnx, or convert it yourself and log that as onnx"


def convert(given: Given) -> Converted:
    """The model as a graph. Raises by class of error."""
    if given.conf.get("save_exported_model"):
        return tensorflow_model.saved(given, f"{given.conf.get('data') or 'data'}/model")
    require_opset(given)
    path = exporting.keras_file(given, REMEDY)
    return exporting.converted(given, "keras_on_torch", path, reference=REFERENCE, remedy=REMEDY)
