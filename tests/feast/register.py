"""Registers three versions of a model of customers, with the ids that clients send and what each answers.

A process of its own: the SDK and scikit-learn stay out of the tests' process. Its argument is the file that
is told the probabilities by version and id.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import mlflow
import mlflow.sklearn
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.feast.customers import IDS, rows


def main() -> None:
    warnings.simplefilter("ignore")
    found = rows()
    labels = (found[:, 1] + found[:, 0] / 200 - found[:, 3] / 900 > 0.6).astype(np.int64)
    told = {}
    for version, strength in (("1", 0.05), ("2", 0.5), ("3", 5.0)):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(found, labels)
        log(model, found)
        told[version] = dict(zip(IDS, model.predict_proba(found).tolist(), strict=True))
    Path(sys.argv[1]).write_text(json.dumps(told))


def log(model: object, found: "np.typing.NDArray[np.float32]") -> None:
    """A version with golden data of its own input, and captured requests of the transformer's."""
    with mlflow.start_run(), tempfile.TemporaryDirectory() as folder:
        logged = mlflow.sklearn.log_model(
            model, name="fraud", registered_model_name="fraud", pip_requirements=["scikit-learn"]
        )
        np.savez(Path(folder) / "golden.npz", **{"input.X": found})
        (Path(folder) / "captured.jsonl").write_text("".join(f"{sent(one)}\n" for one in IDS))
        mlflow.MlflowClient().log_model_artifacts(logged.model_id, folder)


def sent(one: int) -> str:
    tensor = {"name": "customer_id", "datatype": "INT64", "shape": [1, 1], "data": [one]}
    return json.dumps({"inputs": [tensor]})


if __name__ == "__main__":
    main()
