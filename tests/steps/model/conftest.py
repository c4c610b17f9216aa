"""Model versions for the model half: made by scikit-learn itself, logged by MLflow's own SDK."""

import json
import pickle
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tidegate.adapters import trees
from tidegate.documents import FetchedModel, Subject
from tidegate.steps.execution import execute
from tidegate.steps.registry import steps

SUBJECT = Subject(model="digits", version="7", digest=f"sha256:{'0' * 64}")
POLICY: dict[str, Any] = {"name": "digits", "model": {"uri": "models:/digits@champion"}}


@dataclass(frozen=True, kw_only=True)
class Digits:
    """scikit-learn's digits: a fitted pipeline and rows it has not seen."""

    model: Any
    rows: Any
    truth: Any
    train: Any


@pytest.fixture(scope="session")
def digits() -> Digits:
    """A scaled logistic regression on the first 1000 images."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows, truth = load_digits(return_X_y=True)
    rows = rows.astype(np.float32)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    model.fit(rows[:1000], truth[:1000])
    return Digits(
        model=model, rows=rows[1000:1500], truth=truth[1000:1500], train=(rows[:1000], truth[:1000])
    )


@dataclass
class Release:
    """The folder of one release and its steps, run as the orchestrators run them."""

    folder: Path
    policy: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(POLICY)))

    def path(self, name: str) -> Path:
        """A document or a folder of this release."""
        return self.folder / name

    def run(self, name: str, **given: Any) -> dict[str, Any]:
        """One step; ports that are not given get the path of their own name."""
        step = steps()[name]
        ports = {p.name: self.path(p.name) for p in step.parameters if p.port}
        self.path("policy_document").write_text(json.dumps(self.policy))
        return execute(step, {**ports, **given})

    def resolve(self, **given: Any) -> dict[str, Any]:
        """resolve, with this release's policy as a file."""
        self.path("policy.json").write_text(json.dumps(self.policy))
        return self.run(
            "resolve", **{"policy": str(self.path("policy.json")), "release_id": "r1", **given}
        )

    def document(self, name: str) -> Any:
        """What a step wrote."""
        return json.loads(self.path(name).read_text())

    def fetched(self, flavor: str) -> None:
        """The document beside `model_tree`, as fetch writes it."""
        files = trees.files_of(self.path("model_tree"))
        digest = trees.digest_of(files)
        document = FetchedModel(subject=SUBJECT, flavor=flavor, files=files, tree_digest=digest)
        self.path("fetched").write_text(document.model_dump_json())

    def mlmodel(self, flavors: dict[str, Any], **more: Any) -> Path:
        """`model_tree` with its MLmodel file."""
        tree = self.path("model_tree")
        tree.mkdir(exist_ok=True)
        (tree / "MLmodel").write_text(json.dumps({"flavors": flavors, **more}))
        return tree

    def sklearn_tree(self, model: Any, *, pickled: bool = False) -> Path:
        """As MLflow's scikit-learn flavor lays it out."""
        name = "model.pkl" if pickled else "model.skops"
        kind = "cloudpickle" if pickled else "skops"
        tree = self.mlmodel({"sklearn": {"pickled_model": name, "serialization_format": kind}})
        if pickled:
            (tree / name).write_bytes(pickle.dumps(model))
        else:
            from skops.io import dump

            dump(model, tree / name)
        return tree

    def onnx_tree(self, graph: Any, *, external: bool = False) -> Path:
        """As MLflow's ONNX flavor lays it out; external data under a name of its own."""
        import onnx

        tree = self.mlmodel({"onnx": {"data": "model.onnx"}})
        onnx.save(
            graph, str(tree / "model.onnx"), save_as_external_data=external,
            all_tensors_to_one_file=True, location="0b1c.data", size_threshold=0,
        )  # fmt: skip
        return tree

    @staticmethod
    def golden(tree: Path, inputs: dict[str, Any], outputs: dict[str, Any] | None = None) -> None:
        """golden.npz of the version."""
        arrays = {f"input.{n}": a for n, a in inputs.items()}
        arrays |= {f"output.{n}": a for n, a in (outputs or {}).items()}
        np.savez(tree / "golden.npz", **arrays)

    @staticmethod
    def input_example(tree: Path, rows: Any) -> None:
        """MLflow's input example instead of golden data."""
        (tree / "input_example.json").write_text(json.dumps(np.asarray(rows).tolist()))


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """An empty release that publishes below its own folder."""
    monkeypatch.setenv("TIDEGATE_STORAGE_URI", (tmp_path / "store").as_uri())
    folder = tmp_path / "release"
    folder.mkdir()
    return Release(folder)


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A real MLflow server with the versions below."""

    url: str
    database: Path
    run_id: str  # of digits version 1, logged as "model"
    plain_run_id: str  # of digits version 2, logged as plain run artifacts below "plain"


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, digits: Digits) -> Iterator[Registry]:
    """digits: 1 faithful (skops), 2 registered from run artifacts, 3 a pickle, 4 pending, 5 failed."""
    from tidegate.sandbox.mlflow_server import MlflowServer

    folder = tmp_path_factory.mktemp("mlflow")
    server = MlflowServer(folder)
    try:
        server.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run_id, plain_run_id = _register(server.url, digits, folder / "scratch")
        yield Registry(
            url=server.url, database=folder / "mlflow.db", run_id=run_id, plain_run_id=plain_run_id
        )
    finally:
        server.close()


@pytest.fixture
def registry(mlflow_server: Registry, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The server as the environment names it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.url)
    return mlflow_server


def _register(url: str, digits: Digits, scratch: Path) -> tuple[str, str]:
    import mlflow

    scratch.mkdir()
    client = mlflow.MlflowClient(url)
    mlflow.set_tracking_uri(url)
    client.create_registered_model("digits")
    client.create_registered_model("empty")
    first = _log(mlflow, digits, scratch)
    mlflow.register_model(first.model_uri, "digits")
    second = _log_plain(mlflow, client, digits, scratch / "plain")
    pickled = _log(mlflow, digits, scratch, serialization_format="pickle")
    mlflow.register_model(pickled.model_uri, "digits")
    for _ in ("pending", "failed"):
        client.create_model_version("digits", pickled.model_uri, model_id=pickled.model_id)
    _set_status(scratch.parent / "mlflow.db", {4: "PENDING_REGISTRATION", 5: "FAILED_REGISTRATION"})
    client.set_registered_model_alias("digits", "champion", "1")
    client.set_registered_model_alias("digits", "pickled", "3")
    return str(first.run_id), second


def _log(mlflow: Any, digits: Digits, scratch: Path, **given: Any) -> Any:
    """As a logged model of MLflow 3, golden data added to it."""
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(digits.model, name="model", pip_requirements=[], **given)
    np.savez(scratch / "golden.npz", **{"input.X": digits.rows})
    mlflow.MlflowClient().log_model_artifacts(info.model_id, str(_only(scratch, "golden.npz")))
    return info


def _only(scratch: Path, name: str) -> Path:
    folder = scratch / "only"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes((scratch / name).read_bytes())
    return folder


def _log_plain(mlflow: Any, client: Any, digits: Digits, folder: Path) -> str:
    """As MLflow 2 does it: a saved model among a run's artifacts, then registered from there."""
    mlflow.sklearn.save_model(digits.model, str(folder), pip_requirements=[])
    np.savez(folder / "golden.npz", **{"input.X": digits.rows})
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "plain")
    source = f"{run.info.artifact_uri}/plain"
    client.create_model_version("digits", source, run.info.run_id)
    return str(run.info.run_id)


def _set_status(database: Path, states: dict[int, str]) -> None:
    """MLflow's SQL store makes every version READY; other stores do not."""
    import sqlite3

    with sqlite3.connect(database, timeout=30) as connection:
        for version, status in states.items():
            connection.execute(
                "UPDATE model_versions SET status = ? WHERE version = ?", (status, version)
            )
    connection.close()
