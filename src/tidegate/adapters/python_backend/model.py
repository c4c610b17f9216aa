"""Triton's python backend for an MLflow python function: this file is `model.py` of the repository.

The server must have MLflow and what the model needs: in its image, or by the python backend's parameter
EXECUTION_ENV_PATH. Nothing of tidegate is imported.
"""

import json
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd

FOLDER = "mlflow_model"
ONLY = "output"


class PythonFunction:
    """A python function that is asked with arrays, and answers with arrays."""

    def __init__(self, folder):
        """`folder` holds the files of the model version."""
        self._model = mlflow.pyfunc.load_model(str(folder))
        inputs = self._model.metadata.get_input_schema()
        self._columns = inputs.input_names() if inputs and not inputs.is_tensor_spec() else None

    def answers(self, arrays):
        """Arrays by name, '' for an only one, to arrays by name."""
        found = self._model.predict(self._given(arrays))
        if isinstance(found, dict):
            return {str(name): np.asarray(values) for name, values in found.items()}
        if isinstance(found, pd.DataFrame):
            return {str(name): found[name].to_numpy() for name in found.columns}
        return {ONLY: np.asarray(found)}

    def _given(self, arrays):
        """A table where the signature has columns, else the array, or all of them by name."""
        values = next(iter(arrays.values())) if len(arrays) == 1 else None
        if self._columns is None:
            return arrays if values is None else values
        if values is None:
            return pd.DataFrame({name: column.reshape(-1) for name, column in arrays.items()})
        return pd.DataFrame(values.reshape(len(values), -1), columns=self._columns)


class TritonPythonModel:
    """One instance: its own copy of the function."""

    def initialize(self, args):
        """Load the function that lies beside this file."""
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"] / FOLDER
        self._function = PythonFunction(folder)
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = {tensor["name"]: tensor["data_type"] for tensor in config["output"]}

    def execute(self, requests):
        """Each request by itself: what a function does with rows of others is not known."""
        import triton_python_backend_utils as pb_utils

        responses = []
        for request in requests:
            try:
                responses.append(self._answer(pb_utils, request))
            except Exception as error:
                failure = pb_utils.TritonError(f"the python function failed: {error}")
                responses.append(pb_utils.InferenceResponse(output_tensors=[], error=failure))
        return responses

    def _answer(self, pb_utils, request):
        arrays = {
            name: pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            for name in self._inputs
        }
        found = self._function.answers(arrays)
        tensors = []
        for name, data_type in self._outputs.items():
            kind = pb_utils.triton_string_to_numpy(data_type)
            values = found[name]
            values = values.astype(np.str_).astype(np.bytes_) if kind is np.object_ else values
            tensors.append(pb_utils.Tensor(name, np.ascontiguousarray(values.astype(kind))))
        return pb_utils.InferenceResponse(output_tensors=tensors)
