"""Registers three versions of a classifier of irises: 1 and 2 are sound, 3 has learned nothing.

A process of its own, as register.py. Their own answers to the golden rows go to the file that is named.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main(answers: Path) -> None:
    warnings.simplefilter("ignore")
    rows, labels = load_iris(return_X_y=True)
    rows = rows.astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(labels)
    told: dict[str, list[int]] = {}
    for version, strength, truth in ((1, 1.0, labels), (2, 10.0, labels), (3, 1.0, shuffled)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(rows, truth)
        told[str(version)] = model.predict(rows).tolist()
        with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
            logged = mlflow.sklearn.log_model(
                model, name="iris", registered_model_name="iris", pip_requirements=["scikit-learn"]
            )
            golden = Path(folder) / "golden.npz"
            np.savez(golden, **{"input.X": rows, "label.label": labels})
            mlflow.MlflowClient().log_model_artifact(logged.model_id, str(golden))
    answers.write_text(json.dumps({"rows": rows.tolist(), "answers": told}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
