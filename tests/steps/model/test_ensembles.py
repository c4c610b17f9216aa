"""A scaler, a classifier and code after it as one, and a further model beside them: all of it from MLflow.

The versions are real, and so is the Triton that loads the repository.
"""

import json
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.steps.model.conftest import Digits, Registry, Release
from tidegate.adapters import golden_data, trees
from tidegate.errors import DocumentError

SERVER = shlex.join([sys.executable, "-m", "tidegate.sandbox.tritonserver"])
POST_CONFIG = """\
max_batch_size: 32
input { name: "probabilities" data_type: TYPE_FP32 dims: [10] }
output { name: "sure" data_type: TYPE_BOOL dims: [1] }
"""
DECOUPLED = "model_transaction_policy { decoupled: true }\n"
POST_MODEL = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        found = []
        for request in requests:
            scores = pb_utils.get_input_tensor_by_name(request, "probabilities").as_numpy()
            sure = scores.max(axis=1, keepdims=True) > 0.9
            found.append(pb_utils.InferenceResponse([pb_utils.Tensor("sure", sure)]))
        return found
"""
MODELS = [
    {"name": "scaler", "uri": "models:/scaler@newest", "role": "pre"},
    {"name": "sure", "code": "post", "role": "post"},
    {"name": "other", "uri": "models:/digits/1"},
]


@pytest.fixture(scope="module")
def registered(mlflow_server: Registry, digits: Digits, tmp_path_factory: Any) -> str:
    """scaler 1 and steps 1: a classifier of scaled rows, with golden data of its own and of the whole."""
    import mlflow
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    mlflow.set_tracking_uri(mlflow_server.url)
    rows, truth = digits.train
    scaler = StandardScaler().fit(rows)
    model = LogisticRegression(max_iter=300).fit(scaler.transform(rows), truth)
    scaled = scaler.transform(digits.rows).astype(np.float32)
    folder: Path = tmp_path_factory.mktemp("versions")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _log(mlflow, folder / "scaler", scaler, "scaler", {"golden": {"input.X": digits.rows}})
        sure = model.predict_proba(scaled).max(axis=1, keepdims=True) > 0.9
        label = model.predict(scaled)
        whole = {
            "input.X": digits.rows,
            "output.label": label,
            "output.sure": sure,
            "label.label": label,
        }
        golden = {"golden": {"input.X": scaled}, "golden-ensemble": whole}
        _log(mlflow, folder / "steps", model, "steps", golden)
    mlflow.MlflowClient().set_registered_model_alias("scaler", "newest", "1")
    return mlflow_server.url


def _log(mlflow: Any, folder: Path, model: Any, name: str, golden: dict[str, Any]) -> None:
    (folder / "post").mkdir(parents=True)
    for file, arrays in golden.items():
        np.savez(folder / f"{file}.npz", **arrays)
    (folder / "post" / "model.py").write_text(POST_MODEL)
    (folder / "post" / "config.pbtxt").write_text(POST_CONFIG)
    with mlflow.start_run():
        info = mlflow.sklearn.log_model(model, name="model", pip_requirements=[])
    mlflow.MlflowClient().log_model_artifacts(info.model_id, str(folder))
    mlflow.register_model(info.model_uri, name)


@pytest.fixture
def ensemble(release: Release, registered: str, monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered)
    monkeypatch.setenv("TIDEGATE_TRITONSERVER", SERVER)
    release.policy |= {
        "model": {"uri": "models:/steps/1", "allow_code": True},
        "repository": {"models": json.loads(json.dumps(MODELS))},
    }
    return release


def until(release: Release, last: str) -> dict[str, Any]:
    release.resolve()
    result: dict[str, Any] = {}
    for name in ("fetch", "optimize", "configure", "publish"):
        result = release.run(name)
        if name == last or result["verdict"] != "PASS":
            break
    return result


@pytest.mark.real
def test_three_steps_answer_as_one_and_another_model_stands_beside_them(ensemble: Release) -> None:
    result = until(ensemble, "publish")
    assert result["verdict"] == "PASS", result
    document = ensemble.document("repository_document")
    assert (document["triton_model"], document["backend"]) == ("digits", "ensemble")
    assert [(m["name"], m["role"], m["version"], m["source"]) for m in document["models"]] == [
        ("digits-model", "main", "1", "steps version 1"),
        ("scaler", "pre", "1", "scaler version 1"),
        ("sure", "post", "1", "post of steps version 1"),
        ("other", "beside", "1", "digits version 1"),
        ("digits", "ensemble", "1", "steps version 1"),
    ]
    assert [t["name"] for t in document["inputs"]] == ["X"]
    assert [t["name"] for t in document["outputs"]] == ["label", "sure"]
    (found,) = (f for f in document["findings"] if f["name"] == "load and query")
    assert found["word"] == "PASS"
    assert "500 golden rows answered as by the golden data of the ensemble" in found["message"]
    beside = next(f for f in document["findings"] if f["name"] == "other: load and query")
    assert (beside["word"], beside["message"]) == (
        "PASS", "500 golden rows answered as by digits version 1",
    )  # fmt: skip
    golden = golden_data.read(ensemble.path("optimized_model") / "golden.npz", what="golden.npz")
    assert list(golden.labels) == ["label"], "the load test judges accuracy by them"
    candidate = ensemble.document("candidate")["companions"]
    assert {n: c["uri"] for n, c in candidate.items()} == {
        "scaler": "models:/scaler/1", "other": "models:/digits/1",
    }  # fmt: skip


def test_a_step_that_changes_is_another_repository_digest(ensemble: Release) -> None:
    assert until(ensemble, "optimize")["verdict"] == "PASS"
    ensemble.policy["triton"] = {"load_and_query": "never"}
    assert ensemble.run("configure")["verdict"] == "PASS"
    before = ensemble.document("repository_document")["digest"]
    code = ensemble.path("optimized_model") / "companions" / "sure" / "model.py"
    code.write_text(POST_MODEL.replace("0.9", "0.8"))
    rewritten = ensemble.document("optimized")
    files = trees.files_of(ensemble.path("optimized_model"))
    rewritten["tree_digest"] = trees.digest_of(files)
    ensemble.path("optimized").write_text(json.dumps(rewritten))
    assert ensemble.run("configure")["verdict"] == "PASS"
    assert ensemble.document("repository_document")["digest"] != before


@pytest.mark.real
def test_an_ensemble_that_answers_otherwise_than_its_golden_data_is_refused(
    ensemble: Release,
) -> None:
    assert until(ensemble, "optimize")["verdict"] == "PASS"
    code = ensemble.path("optimized_model") / "companions" / "sure" / "model.py"
    code.write_text(POST_MODEL.replace("> 0.9", "< 0.9"))
    document = ensemble.document("optimized")
    document["tree_digest"] = trees.digest_of(trees.files_of(ensemble.path("optimized_model")))
    ensemble.path("optimized").write_text(json.dumps(document))
    result = ensemble.run("configure")
    assert result["verdict"] == "FAIL"
    assert "answered otherwise: output sure" in result["reason"]


@pytest.mark.real
def test_code_beside_the_model_is_asked_too_and_one_that_loads_and_then_fails_is_refused_by_name(
    ensemble: Release,
) -> None:
    ensemble.policy["repository"]["models"] = [{"name": "beside", "code": "post"}]
    assert until(ensemble, "optimize")["verdict"] == "PASS"
    assert ensemble.run("configure")["verdict"] == "PASS"
    assert found_beside(ensemble)["message"].startswith("a row of zeros is answered")
    models = ensemble.document("repository_document")["models"]
    (entry,) = (one for one in models if one["role"] == "beside")
    assert [(t["name"], t["shape"]) for t in entry["inputs"]] == [("probabilities", [-1, 10])]

    rewrite(ensemble, "config.pbtxt", POST_CONFIG + DECOUPLED)
    ensemble.policy["triton"] = {"load_and_query": "never"}
    assert ensemble.run("configure")["verdict"] == "PASS"
    models = ensemble.document("repository_document")["models"]
    assert [m["unasked"] for m in models] == ["", "its transactions are decoupled"]

    ensemble.policy["triton"] = {}
    rewrite(ensemble, "config.pbtxt", POST_CONFIG)
    rewrite(ensemble, "model.py", POST_MODEL.replace('"probabilities"', '"nowhere"'))
    result = ensemble.run("configure")
    assert result["verdict"] == "FAIL"
    assert result["reason"].startswith(
        "beside: load and query: Triton loads beside and fails on a row of zeros: "
    )


def found_beside(ensemble: Release) -> dict[str, Any]:
    findings = ensemble.document("repository_document")["findings"]
    found: dict[str, Any] = next(f for f in findings if f["name"] == "beside: load and query")
    return found


def rewrite(ensemble: Release, name: str, text: str) -> None:
    """The companion's code as optimize would have left it."""
    (ensemble.path("optimized_model") / "companions" / "beside" / name).write_text(text)
    document = ensemble.document("optimized")
    document["tree_digest"] = trees.digest_of(trees.files_of(ensemble.path("optimized_model")))
    ensemble.path("optimized").write_text(json.dumps(document))


def test_code_needs_the_policys_word_before_anything_is_downloaded(ensemble: Release) -> None:
    ensemble.policy["model"]["allow_code"] = False
    with pytest.raises(
        DocumentError, match=r"sure is code that runs in the server; set model.allow_code"
    ):
        ensemble.resolve()


def test_a_companion_that_differs_from_its_source_refuses_the_release(ensemble: Release) -> None:
    ensemble.policy["parity"] = {"min_rows": 501}
    assert until(ensemble, "optimize")["verdict"] == "INCONCLUSIVE"
    ensemble.policy["parity"] = {}
    ensemble.policy["repository"]["models"] = [MODELS[0] | {"golden": "none.npz"}]
    result = until(ensemble, "optimize")
    assert result["verdict"] == "INCONCLUSIVE"
    assert result["reason"].startswith(
        "scaler (scaler version 1): the version has neither none.npz"
    )
    assert list(ensemble.path("optimized_model").iterdir()) == []


def test_a_pickled_companion_is_refused_as_the_model_itself_would_be(ensemble: Release) -> None:
    ensemble.policy["repository"]["models"] = [{"name": "other", "uri": "models:/digits/3"}]
    result = until(ensemble, "fetch")
    assert result["verdict"] == "FAIL"
    refused = ensemble.document("fetched")
    assert refused["subject"]["model"] == "steps"
    assert "digits version 3 holds a pickle" in refused["reason"]


def test_golden_data_of_the_whole_are_asked_for_with_their_answers(ensemble: Release) -> None:
    ensemble.policy["repository"]["golden"] = "golden.npz"
    with pytest.raises(DocumentError, match=r"golden.npz has no output.<name>"):
        until(ensemble, "optimize")
    ensemble.policy["repository"]["golden"] = "nowhere.npz"
    with pytest.raises(DocumentError, match=r"has no nowhere.npz; log what clients send"):
        ensemble.run("optimize")
