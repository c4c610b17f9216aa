"""MLflow's xgboost flavor: to ONNX by onnxmltools, or XGBoost's own file for FIL."""

import json
from pathlib import Path
from typing import Any

from tidegate.adapters import mlflow_model
from tidegate.adapters.flavors import fil
from tidegate.adapters.flavors.boosted import Boosted, float_input, free_batch, opset_of, refusal
from tidegate.adapters.flavors.conversion import Array, Converted, Given, as_graph
from tidegate.errors import RejectedError

REFERENCE = "the XGBoost model"


def convert(given: Given) -> Converted:
    """The booster as a graph, or its file. Raises by class of error."""
    path = mlflow_model.inside(given.tree, str(given.conf.get("data")), what=given.what)
    source = opened(path, given.what)
    name, rows = given.only_input()
    if given.route.backend == "fil":
        return _forest(given, source, rows)
    name = name or "X"
    answers = source.answers(rows)
    proto = _to_onnx(given, source, name, rows.shape[1])
    return as_graph(
        given,
        proto,
        {name: rows},
        answers,
        reference=REFERENCE,
        labels=source.labels,
        ask=lambda inputs: source.answers(inputs[name]),
    )


def opened(path: Path, what: str) -> Boosted:
    """The booster with an estimator's methods. Raises RejectedError."""
    import xgboost

    try:
        booster = xgboost.Booster(model_file=str(path))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        classifies = objective.startswith(("binary:logistic", "multi:soft"))
        estimator = xgboost.XGBClassifier() if classifies else xgboost.XGBRegressor()
        estimator.load_model(str(path))
    except Exception as error:  # XGBoostError, or a file that is none
        raise RejectedError(f"{what}: {path.name} does not load ({error}); log it again") from error
    estimator.set_params(n_jobs=1)
    labels = tuple(str(n) for n in range(int(estimator.n_classes_))) if classifies else ()
    return Boosted(estimator=estimator, labels=labels)


def _to_onnx(given: Given, source: Boosted, name: str, features: int) -> Any:
    import onnxmltools

    opset = opset_of(given.opset)
    try:
        proto = onnxmltools.convert_xgboost(
            source.estimator, initial_types=float_input(name, features), target_opset=opset
        )
    except Exception as error:
        raise refusal(given.what, opset, error) from error
    return free_batch(proto)


def _forest(given: Given, source: Boosted, rows: Array) -> Converted:
    from tidegate.adapters.served_forms import forest

    model_type = "xgboost_ubj" if given.triton >= fil.READS_UBJ else "xgboost_json"
    path = given.folder / fil.FILES[model_type]
    source.estimator.get_booster().save_model(path)
    model = forest.of_file(path, model_type, what=given.what)
    return fil.as_forest(
        given,
        model,
        rows,
        source.scores(rows),
        model_type=model_type,
        reference=REFERENCE,
        labels=source.labels,
    )
