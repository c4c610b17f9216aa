"""Registers what the examples' policies name, two versions of each: digits, and the steps of an ensemble.

A process of its own: the SDK and scikit-learn stay out of the tests' process.
"""

import json
import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

SURE = 0.8
CODE = f"""
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [pb.InferenceResponse([self.sure(one)]) for one in requests]

    def sure(self, request):
        found = pb.get_input_tensor_by_name(request, "probabilities").as_numpy()
        return pb.Tensor("sure", found.max(axis=1, keepdims=True) > {SURE})
"""
CONFIG = """
backend: "python"
max_batch_size: 8
input [ { name: "probabilities", data_type: TYPE_FP32, dims: [ 3 ] } ]
output [ { name: "sure", data_type: TYPE_BOOL, dims: [ 1 ] } ]
"""


def main() -> None:
    warnings.simplefilter("ignore")
    for strength in (0.05, 1.0):
        digits(strength)
        steps(strength)


def digits(strength: float) -> None:
    """Pixels from 0 to 1, and requests as clients of the transformer send them: from 0 to 16."""
    pixels, labels = load_digits(return_X_y=True)
    rows = (pixels / 16).astype(np.float32)
    model = LogisticRegression(C=strength, max_iter=500).fit(rows, labels)
    sent = (
        {"name": "pixels", "datatype": "INT64", "shape": [1, 64], "data": row.astype(int).tolist()}
        for row in pixels[:40]
    )
    captured = "".join(f"{json.dumps({'inputs': [tensor]})}\n" for tensor in sent)
    log(model, "digits", {"captured.jsonl": captured}, golden={"input.X": rows[:200]})


def steps(strength: float) -> None:
    """A scaler, a classifier of scaled rows, and the code after it."""
    rows, labels = load_wine(return_X_y=True)
    rows = rows.astype(np.float32)
    scaler = StandardScaler().fit(rows)
    scaled = scaler.transform(rows).astype(np.float32)
    model = LogisticRegression(C=strength).fit(scaled, labels)
    sure = model.predict_proba(scaled).max(axis=1, keepdims=True) > SURE
    whole = {"input.X": rows, "output.label": model.predict(scaled), "output.sure": sure}
    code = {"postprocess/model.py": CODE, "postprocess/config.pbtxt": CONFIG}
    log(scaler, "digits-scaler", {}, golden={"input.X": rows})
    golden = {"golden": {"input.X": scaled}, "golden-ensemble": whole}
    log(model, "classifier", code, **golden)


def log(model: Any, name: str, texts: dict[str, str], **arrays: dict[str, Any]) -> None:
    """A version with these files in it."""
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        logged = mlflow.sklearn.log_model(
            model, name=name, registered_model_name=name, pip_requirements=["scikit-learn"]
        )
        for file, text in texts.items():
            (Path(folder) / file).parent.mkdir(exist_ok=True)
            (Path(folder) / file).write_text(text)
        for file, held in arrays.items():
            np.savez(Path(folder) / f"{file}.npz", **held)
        mlflow.MlflowClient().log_model_artifacts(logged.model_id, folder)


if __name__ == "__main__":
    main()
