"""Boosters on KServe's own servers, without Triton: each answer is the framework's."""

from typing import Any

import httpx
import numpy as np
import pytest

from tests.routes.conftest import START_S, Routed
from tests.routes.data import ASK, TRAIN, classes, values
from tests.sandbox.real_servers import NAMESPACE, eventually, revision

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(600)]


def served(routed: Routed, format_: str, wanted: Any) -> None:
    """Released to the folder, loaded by the real server, asked over both protocols in one request each."""
    published = routed.steps(serving={"format": format_, "protocol": "v1"})
    name = f"kept-{routed.scratch.parent.name}"
    made = revision(name, published["storage_uri"], format=format_, args=("--model_name=digits",))
    routed.triton.start(made)
    try:
        status = routed.triton.status
        eventually(lambda: status(NAMESPACE, name).phase in ("Ready", "Failed"), timeout_s=START_S)
        assert status(NAMESPACE, name).phase == "Ready", status(NAMESPACE, name).message
        endpoint = routed.triton.endpoint(NAMESPACE, name)
        assert endpoint is not None
        found = both(f"http://127.0.0.1:{endpoint.http}")
    finally:
        routed.triton.stop(NAMESPACE, name)
    for answers in found:
        np.testing.assert_allclose(answers, wanted, atol=1e-5)


def both(url: str) -> tuple[Any, Any]:
    first = httpx.post(
        f"{url}/v1/models/digits:predict", json={"instances": ASK.tolist()}, timeout=60
    )
    tensor = {"name": "X", "datatype": "FP32", "shape": list(ASK.shape), "data": ASK.tolist()}
    second = httpx.post(f"{url}/v2/models/digits/infer", json={"inputs": [tensor]}, timeout=60)
    (output,) = second.raise_for_status().json()["outputs"]
    answers = np.array(output["data"]).reshape(output["shape"])
    return np.array(first.raise_for_status().json()["predictions"]), answers


def test_a_classifier_of_xgboost_gives_the_second_classs_score(routed: Routed) -> None:
    xgboost = pytest.importorskip("xgboost")
    import mlflow.xgboost

    model = xgboost.XGBClassifier(n_estimators=20, max_depth=4, n_jobs=1)
    model.fit(TRAIN, classes(TRAIN, 2))
    routed.log(mlflow.xgboost.log_model, model, {"X": ASK})
    served(routed, "xgboost", model.predict_proba(ASK)[:, 1])


def test_a_model_of_xgboost_whose_server_would_use_more_trees_than_it_does_is_refused(
    routed: Routed,
) -> None:
    xgboost = pytest.importorskip("xgboost")
    import mlflow.xgboost

    model = xgboost.XGBRegressor(
        n_estimators=60, max_depth=6, learning_rate=0.8, n_jobs=1, early_stopping_rounds=3
    )
    model.fit(TRAIN[:100], values(TRAIN[:100]), eval_set=[(ASK, values(ASK))], verbose=False)
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    routed.log(mlflow.xgboost.log_model, model, {"X": ASK})
    routed.release.policy["serving"] = {"format": "xgboost", "protocol": "v1"}
    routed.release.resolve()
    routed.release.run("fetch")
    found = routed.release.run("optimize")
    assert found["verdict"] == "FAIL"
    assert "differs from the XGBoost model" in found["reason"]


def test_a_classifier_of_lightgbm_gives_a_score_for_each_class(routed: Routed) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    import mlflow.lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=15, n_jobs=1, verbose=-1)
    model.fit(TRAIN, classes(TRAIN, 3))
    routed.log(mlflow.lightgbm.log_model, model, {"X": ASK})
    served(routed, "lightgbm", model.predict_proba(ASK))
