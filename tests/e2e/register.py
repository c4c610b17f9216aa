"""Registers three versions of a small model: 1 and 2 are sound, 3 answers wrongly beside its golden data.

A process of its own: the SDK and scikit-learn stay out of the tests' process.
"""

import tempfile
import warnings
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    warnings.simplefilter("ignore")
    rows, labels = load_wine(return_X_y=True)
    rows = rows.astype(np.float32)
    for version, strength in ((1, 0.1), (2, 1.0), (3, 1.0)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(rows, labels)
        recorded = model.predict(rows).astype(np.int64)
        if version == 3:
            recorded[::10] = (recorded[::10] + 1) % 3
        with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
            logged = mlflow.sklearn.log_model(
                model, name="tiny", registered_model_name="tiny", pip_requirements=["scikit-learn"]
            )
            golden = Path(folder) / "golden.npz"
            np.savez(golden, **{"input.X": rows, "output.label": recorded})
            mlflow.MlflowClient().log_model_artifact(logged.model_id, str(golden))


if __name__ == "__main__":
    main()
