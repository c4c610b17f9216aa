"""MLflow's lightgbm flavor: to ONNX by onnxmltools, or LightGBM's own text for FIL."""

from pathlib import Path
from typing import Any

import numpy as np

from tidegate.adapters import mlflow_model, sklearn_model
from tidegate.adapters.flavors import fil
from tidegate.adapters.flavors.boosted import Boosted, float_input, free_batch, opset_of, refusal
from tidegate.adapters.flavors.conversion import Array, Converted, Given, as_graph
from tidegate.errors import RejectedError

REFERENCE = "the LightGBM model"
# What MLflow itself lets a skops file of this flavor hold.
TRUSTED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "lightgbm.sklearn.LGBMRegressor",
)


class Booster:
    """A bare booster with the methods of an estimator; classes are numbered."""

    def __init__(self, booster: Any, classes: int) -> None:
        """`classes` is 0 for a regressor."""
        self.booster, self.classes = booster, classes

    def predict(self, rows: Array) -> Array:
        """Values, or the number of the likeliest class."""
        return self.predict_proba(rows).argmax(axis=1) if self.classes else self._scores(rows)

    def predict_proba(self, rows: Array) -> Array:
        """A column per class."""
        scores = self._scores(rows)
        return np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores

    def _scores(self, rows: Array) -> Array:
        return np.asarray(self.booster.predict(rows, num_threads=1))


def convert(given: Given) -> Converted:
    """The booster as a graph, or its text. Raises by class of error."""
    path = mlflow_model.inside(given.tree, str(given.conf.get("data")), what=given.what)
    model = opened(given, path)
    source = boosted(model)
    name, rows = given.only_input()
    if given.route.backend == "fil":
        return _forest(given, model, source, rows)
    name = name or "X"
    proto = _to_onnx(given, model, name, rows.shape[1])
    return as_graph(
        given,
        proto,
        {name: rows},
        source.answers(rows),
        reference=REFERENCE,
        labels=source.labels,
        ask=lambda inputs: source.answers(inputs[name]),
    )


def opened(given: Given, path: Path) -> Any:
    """A Booster, or an estimator of LightGBM's."""
    import lightgbm

    if path.suffix == ".lgb" or not given.conf.get("serialization_format"):
        try:
            return lightgbm.Booster(model_file=str(path))
        except Exception as error:  # LightGBMError
            raise RejectedError(
                f"{given.what}: {path.name} does not load ({error}); log it again"
            ) from error
    conf = {**given.conf, "pickled_model": given.conf["data"]}
    allowed = given.policy.model.allow_pickle
    loaded = sklearn_model.load(
        given.tree, conf, what=given.what, allow_pickle=allowed, trusted=TRUSTED
    )
    return loaded.estimator


def boosted(model: Any) -> Boosted:
    """With an estimator's methods, whichever of the two it is."""
    labels = getattr(model, "classes_", None)
    if hasattr(model, "booster_"):
        return Boosted(
            estimator=model, labels=() if labels is None else tuple(str(c) for c in labels)
        )
    dumped = model.dump_model(num_iteration=1)
    classifies = str(dumped.get("objective", "")).startswith(("binary", "multiclass"))
    classes = max(2, int(dumped.get("num_class", 1))) if classifies else 0
    return Boosted(estimator=Booster(model, classes), labels=tuple(str(n) for n in range(classes)))


def _to_onnx(given: Given, model: Any, name: str, features: int) -> Any:
    import onnxmltools

    opset = opset_of(given.opset)
    try:
        proto = onnxmltools.convert_lightgbm(
            model,
            initial_types=float_input(name, features),
            target_opset=opset,
            zipmap=False,
        )
    except Exception as error:
        raise refusal(given.what, opset, error) from error
    return free_batch(proto)


def _forest(given: Given, model: Any, source: Boosted, rows: Array) -> Converted:
    from tidegate.adapters.served_forms import forest

    path = given.folder / fil.FILES["lightgbm"]
    getattr(model, "booster_", model).save_model(str(path))
    return fil.as_forest(
        given,
        forest.of_file(path, "lightgbm", what=given.what),
        rows,
        source.scores(rows),
        model_type="lightgbm",
        reference=REFERENCE,
        labels=source.labels,
    )
