"""Trees of three frameworks, as ONNX graphs and by FIL: the answers of real Triton are the framework's."""

from typing import Any

import numpy as np
import pytest

from tests.routes.conftest import Routed
from tests.routes.data import ASK, TRAIN, classes, values

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600)]
KINDS = ("three classes", "two classes", "values")


def truth(kind: str) -> Any:
    """What is learned."""
    many = {"three classes": 3, "two classes": 2}
    return classes(TRAIN, many[kind]) if kind in many else values(TRAIN).astype(np.float32)


def answers(model: Any, kind: str) -> dict[str, Any]:
    """The framework's own, under the names of a converted graph."""
    if kind == "values":
        return {"variable": np.asarray(model.predict(ASK), np.float32).reshape(-1, 1)}
    return {
        "label": np.asarray(model.predict(ASK)),
        "probabilities": np.asarray(model.predict_proba(ASK), np.float32),
    }


def scores(model: Any, kind: str) -> dict[str, Any]:
    """The framework's own, as FIL gives them."""
    if kind == "values":
        return {"output__0": answers(model, kind)["variable"]}
    found = answers(model, kind)["probabilities"]
    return {"output__0": found[:, 1:] if kind == "two classes" else found}


def xgboost_model(kind: str) -> Any:
    xgboost = pytest.importorskip("xgboost")
    cls = xgboost.XGBRegressor if kind == "values" else xgboost.XGBClassifier
    return cls(n_estimators=20, max_depth=4, n_jobs=1).fit(TRAIN, truth(kind))


def lightgbm_model(kind: str) -> Any:
    lightgbm = pytest.importorskip("lightgbm")
    cls = lightgbm.LGBMRegressor if kind == "values" else lightgbm.LGBMClassifier
    return cls(n_estimators=20, num_leaves=15, n_jobs=1, verbose=-1).fit(TRAIN, truth(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_xgboost_by_onnx_runtime(routed: Routed, kind: str) -> None:
    pytest.importorskip("onnxmltools")
    import mlflow.xgboost

    model = xgboost_model(kind)
    routed.log(mlflow.xgboost.log_model, model, {"X": ASK})
    routed.serves(
        "xgboost", "onnxruntime", {"X": ASK}, answers(model, kind), type(model).__name__ + f", {kind}"
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_xgboost_by_fil(routed: Routed, kind: str) -> None:
    pytest.importorskip("treelite")
    import mlflow.xgboost

    model = xgboost_model(kind)
    routed.log(mlflow.xgboost.log_model, model, {"X": ASK})
    routed.serves(
        "xgboost", "native", {"input__0": ASK}, scores(model, kind), type(model).__name__ + f", {kind}"
    )  # fmt: skip


def test_a_bare_booster_of_xgboost_by_fil(routed: Routed) -> None:
    pytest.importorskip("treelite")
    import mlflow.xgboost

    model = xgboost_model("two classes")
    routed.log(mlflow.xgboost.log_model, model.get_booster(), {"X": ASK})
    routed.serves(
        "xgboost", "native", {"input__0": ASK}, scores(model, "two classes"), "Booster, two classes"
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_lightgbm_by_onnx_runtime(routed: Routed, kind: str) -> None:
    pytest.importorskip("onnxmltools")
    import mlflow.lightgbm

    model = lightgbm_model(kind)
    routed.log(mlflow.lightgbm.log_model, model, {"X": ASK})
    routed.serves(
        "lightgbm", "onnxruntime", {"X": ASK}, answers(model, kind), type(model).__name__ + f", {kind}"
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_lightgbm_by_fil(routed: Routed, kind: str) -> None:
    pytest.importorskip("treelite")
    import mlflow.lightgbm

    model = lightgbm_model(kind)
    routed.log(mlflow.lightgbm.log_model, model, {"X": ASK})
    routed.serves(
        "lightgbm", "native", {"input__0": ASK}, scores(model, kind), type(model).__name__ + f", {kind}"
    )  # fmt: skip


def test_a_bare_booster_of_lightgbm_by_onnx_runtime_with_free_label_rows(routed: Routed) -> None:
    pytest.importorskip("onnxmltools")
    import mlflow.lightgbm
    import onnx

    model = lightgbm_model("three classes")
    routed.log(mlflow.lightgbm.log_model, model.booster_, {"X": ASK})
    routed.serves(
        "lightgbm", "onnxruntime", {"X": ASK}, answers(model, "three classes"), "Booster, three classes"
    )  # fmt: skip
    graph = onnx.load(str(routed.release.path("optimized_model") / "model.onnx")).graph
    label = graph.output[0].type.tensor_type.shape.dim[0]
    assert label.dim_param == graph.input[0].type.tensor_type.shape.dim[0].dim_param != ""


TREE = ["sklearn.tree._tree.Tree"]  # MLflow wants it said by name
SKLEARN = {
    "RandomForestClassifier": "three classes",
    "ExtraTreesRegressor": "values",
    "GradientBoostingClassifier": "two classes",
}


@pytest.mark.parametrize("name", SKLEARN)
def test_trees_of_scikit_learn_by_fil(routed: Routed, name: str) -> None:
    pytest.importorskip("treelite")
    import mlflow.sklearn
    from sklearn import ensemble

    kind = SKLEARN[name]
    model = getattr(ensemble, name)(n_estimators=10, max_depth=4, random_state=0)
    model.fit(TRAIN, truth(kind))
    routed.log(mlflow.sklearn.log_model, model, {"X": ASK}, skops_trusted_types=TREE)
    routed.serves(
        "sklearn", "native", {"input__0": ASK}, scores(model, kind), f"{name}, {kind}"
    )  # fmt: skip


@pytest.mark.parametrize("name", ["RandomForestClassifier", "LogisticRegression"])
def test_scikit_learn_by_onnx_runtime(routed: Routed, name: str) -> None:
    import mlflow.sklearn
    from sklearn import ensemble, linear_model

    model = getattr(ensemble, name, None) or getattr(linear_model, name)
    model = model(random_state=0).fit(TRAIN, truth("three classes"))
    routed.log(mlflow.sklearn.log_model, model, {"X": ASK}, skops_trusted_types=TREE)
    routed.serves(
        "sklearn", "onnxruntime", {"X": ASK}, answers(model, "three classes"), f"{name}, three classes"
    )  # fmt: skip


def test_an_estimator_without_trees_is_refused_by_name_for_fil(routed: Routed) -> None:
    pytest.importorskip("treelite")
    import mlflow.sklearn
    from sklearn.linear_model import LogisticRegression

    from tidegate.errors import RejectedError

    model = LogisticRegression().fit(TRAIN, truth("two classes"))
    routed.log(mlflow.sklearn.log_model, model, {"X": ASK})
    with pytest.raises(
        RejectedError, match="is a LogisticRegression, which Treelite does not take"
    ):
        routed.steps(optimize={"target": "native"})
