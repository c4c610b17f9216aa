"""Registers a scaler and a classifier of scaled rows, with golden data of its own and of the two together.

A process of its own: the SDK and scikit-learn stay out of the tests' process.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler


def main() -> None:
    warnings.simplefilter("ignore")
    rows, labels = load_wine(return_X_y=True)
    rows = rows.astype(np.float32)
    scaler = StandardScaler().fit(rows)
    scaled = scaler.transform(rows).astype(np.float32)
    model = LogisticRegression().fit(scaled, labels)
    found = {
        "output.label": model.predict(scaled),
        "output.probabilities": model.predict_proba(scaled),
    }
    log(scaler, "scaler", golden={"input.X": rows})
    whole = {"input.X": rows, **found}
    log(model, "classifier", **{"golden": {"input.X": scaled}, "golden-ensemble": whole})


def log(model: Any, name: str, **files: dict[str, Any]) -> None:
    """A version with these .npz files in it."""
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        logged = mlflow.sklearn.log_model(
            model, name=name, registered_model_name=name, pip_requirements=["scikit-learn"]
        )
        for file, arrays in files.items():
            np.savez(Path(folder) / f"{file}.npz", **arrays)
        mlflow.MlflowClient().log_model_artifacts(logged.model_id, folder)


if __name__ == "__main__":
    main()
