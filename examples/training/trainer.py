"""A trainer to be replaced by your own: fits a digits classifier, registers it when it is better.

What a release needs of a trainer is in `docs/training.md`: a registered version with golden data beside it,
and its URI as the one output, empty when there is nothing to release.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
from mlflow.exceptions import MlflowException
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

TRAINED_ON = "trained_on"  # tag of a version: digest of what it was fitted to
ACCURACY = "accuracy"


@dataclass(frozen=True, kw_only=True)
class Data:
    """Rows to fit, and rows that no version is ever fitted to: those judge, and those are the golden data."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    held_out: NDArray[np.float32]
    held_out_labels: NDArray[np.int64]

    @property
    def digest(self) -> str:
        """Of what the model is fitted to: the same rows again are no reason for another version."""
        return hashlib.sha256(self.rows.tobytes() + self.labels.tobytes()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """`model_uri` is '' when nothing was registered; `why` says it either way."""

    model_uri: str
    accuracy: float
    why: str


def collected(rows: int) -> Data:
    """The first `rows` of what has been collected so far; here scikit-learn's digits, which ship with it."""
    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(
        pixels.astype(np.float32),
        labels.astype(np.int64),
        test_size=0.25,
        random_state=7,
        stratify=labels,
    )
    return Data(
        rows=split[0][:rows], labels=split[2][:rows], held_out=split[1], held_out_labels=split[3]
    )


def fitted(data: Data) -> Any:
    """The model itself: yours goes here."""
    model = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=500))
    return model.fit(data.rows, data.labels)


def evaluated(model: Any, data: Data) -> float:
    """Accuracy on the held-out rows."""
    return float(accuracy_score(data.held_out_labels, model.predict(data.held_out)))


def registered(model: Any, data: Data, name: str, accuracy: float) -> str:
    """Log the model with its golden data, register it, and say what it was made of; its version."""
    with mlflow.start_run(run_name=f"{name} retrained"):
        mlflow.log_metric(ACCURACY, accuracy)
        logged = mlflow.sklearn.log_model(
            model, name=name, registered_model_name=name, pip_requirements=["scikit-learn"]
        )
    client = mlflow.MlflowClient()
    with tempfile.TemporaryDirectory() as folder:
        client.log_model_artifact(logged.model_id, str(_golden(Path(folder), model, data)))
    version = str(logged.registered_model_version)
    for key, value in ((TRAINED_ON, data.digest), (ACCURACY, f"{accuracy:.6f}")):
        client.set_model_version_tag(name, version, key, value)
    return version


def _golden(folder: Path, model: Any, data: Data) -> Path:
    """Inputs and this very model's answers, as the parity gate reads them."""
    path = folder / "golden.npz"
    answers = {
        "input.X": data.held_out,
        "output.label": model.predict(data.held_out).astype(np.int64),
    }
    np.savez_compressed(path, **answers)
    return path


def retrain(name: str, *, rows: int, alias: str = "champion", margin: float = 0.0) -> Trained:
    """Fit, evaluate, and register a version when it beats the one in production by `margin`.

    Run twice on the same data it registers once: the version of the first run is named again.
    """
    data = collected(rows)
    before = _version_of(name, data.digest)
    if before:
        return Trained(
            model_uri=f"models:/{name}/{before.version}", accuracy=float(before.tags[ACCURACY]),
            why=f"version {before.version} was trained on the same rows",
        )  # fmt: skip
    model = fitted(data)
    accuracy, bar = evaluated(model, data), _accuracy_of(name, alias)
    if bar is not None and accuracy < bar + margin:
        why = f"accuracy {accuracy:.4f} does not beat {alias}'s {bar:.4f} by {margin:g}"
        return Trained(model_uri="", accuracy=accuracy, why=why)
    version = registered(model, data, name, accuracy)
    return Trained(
        model_uri=f"models:/{name}/{version}",
        accuracy=accuracy,
        why=f"registered version {version}",
    )


def _version_of(name: str, digest: str) -> Any:
    found = mlflow.MlflowClient().search_model_versions(f"name = '{name}'")
    return next((one for one in found if one.tags.get(TRAINED_ON) == digest), None)


def _accuracy_of(name: str, alias: str) -> float | None:
    """Of the version in production; None when there is none, or it does not say."""
    try:
        found = mlflow.MlflowClient().get_model_version_by_alias(name, alias)
    except MlflowException:
        return None
    said = found.tags.get(ACCURACY)
    return None if said is None else float(said)


def main(argv: list[str] | None = None) -> int:
    """Print what came of it as one line of JSON; with --output, write the URI there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="digits", help="the registered model")
    parser.add_argument(
        "--rows", type=int, default=1000, help="how much of the data there is so far"
    )
    parser.add_argument("--margin", type=float, default=0.0, help="by how much it must be better")
    parser.add_argument("--output", type=Path, help="file for the model URI; empty = nothing new")
    given = parser.parse_args(argv)
    done = retrain(given.model, rows=given.rows, margin=given.margin)
    if given.output:
        given.output.parent.mkdir(parents=True, exist_ok=True)
        given.output.write_text(done.model_uri, encoding="utf-8")
    sys.stdout.write(
        json.dumps({"model_uri": done.model_uri, "accuracy": done.accuracy, "why": done.why}) + "\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
