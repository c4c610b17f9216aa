"""Models that stay in their framework, in the file that KServe's own server of it loads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tidegate.adapters import mlflow_model, sklearn_model
from tidegate.adapters.flavors import edges
from tidegate.adapters.flavors.conversion import Array, Converted, Given, recorded
from tidegate.adapters.served_forms import kept_file
from tidegate.adapters.served_forms.kept_file import KeptFile
from tidegate.core.kserve_server import FILES
from tidegate.errors import DocumentError, RejectedError

DEFAULT_INPUT = "X"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The model file, written, and the model that it was written from."""

    output: str
    reference: str
    expected: Callable[[Array], Array]  # the source's own answers
    served: Callable[[Array], Any]  # the file's, as its server asks it
    labels: tuple[str, ...] = ()


def convert(given: Given) -> Converted:
    """Write the file and open it again as the server does. Raises by class of error."""
    name, rows = given.only_input()
    _require_json(given, rows)
    kept = WAYS[given.route.flavor](given)
    form = _form(given, kept, name or DEFAULT_INPUT, rows)
    golden = {form.inputs[0].name: rows}

    def ask(inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {kept.output: kept.expected(inputs[form.inputs[0].name])}

    return Converted(
        form=form,
        model_file=FILES[given.route.backend],
        inputs=golden,
        expected=ask(golden),
        reference=kept.reference,
        recorded=recorded(form, given.golden),
        labels=kept.labels,
        edges=tuple(edges.asked(ask, golden, form.inputs)),
        folder=given.folder,
    )


def _form(given: Given, kept: Kept, name: str, rows: Array) -> KeptFile:
    """Its output is told from an answer to the golden rows."""
    protocol = given.policy.serving.protocol
    found = kept_file.answered(kept.served, rows, given.what, protocol)
    return KeptFile(
        ask=kept.served,
        protocol=protocol,
        inputs=(kept_file.tensor(name, rows),),
        outputs=(kept_file.tensor(kept.output, found),),
        what=given.what,
    )


def _require_json(given: Given, rows: Array) -> None:
    """JSON has no NaN, and KServe's server takes no FP16 in it. Raises DocumentError."""
    wrong = ""
    if rows.dtype.name not in kept_file.TYPES:
        wrong = f"are {rows.dtype}"
    elif not np.isfinite(rows).all():
        wrong = "hold NaN or infinity"
    if wrong:
        raise DocumentError(
            f"golden inputs of {given.what} {wrong}, which JSON does not carry to KServe's server; log "
            "float32 or integer rows without gaps"
        )


def _sklearn(given: Given) -> Kept:
    allowed = given.policy.model.allow_pickle
    source = sklearn_model.load(given.tree, given.conf, what=given.what, allow_pickle=allowed)
    scores = given.policy.serving.asks_for_scores and hasattr(source.estimator, "predict_proba")
    output = ("probabilities" if scores else "label") if source.labels else "variable"
    path = given.folder / FILES["sklearn"]
    _dump(source.estimator, path, given.what)
    return Kept(
        output=output,
        reference="the scikit-learn model",
        expected=lambda rows: _own(source, rows, output),
        served=kept_file.of_joblib(path, scores=scores),
        labels=source.labels,
    )


def _own(source: sklearn_model.SklearnModel, rows: Array, output: str) -> Array:
    """The estimator's answers; a number per row is one number to KServe's server, too."""
    found = source.answers(rows)[output]
    return found[:, 0] if output == "variable" and found.shape[1] == 1 else found


def _dump(estimator: Any, path: Any, what: str) -> None:
    import joblib  # type: ignore[import-untyped]

    if not hasattr(estimator, "predict"):
        raise RejectedError(
            f"{what} is a {type(estimator).__name__} without predict, which KServe's server calls; write "
            "serving.format: triton"
        )
    try:
        joblib.dump(estimator, path)
    except Exception as error:  # pickle's, or of an object that refuses
        raise RejectedError(
            f"{what} cannot be saved by joblib ({error}); use functions of a package that the server has"
        ) from error


def _xgboost(given: Given) -> Kept:
    from tidegate.adapters.flavors import xgboost_trees

    file = mlflow_model.inside(given.tree, str(given.conf.get("data")), what=given.what)
    source = xgboost_trees.opened(file, given.what)
    path = given.folder / FILES["xgboost"]
    source.estimator.get_booster().save_model(path)
    return _boosted(source, xgboost_trees.REFERENCE, kept_file.of_xgboost(path))


def _lightgbm(given: Given) -> Kept:
    from tidegate.adapters.flavors import lightgbm_trees

    file = mlflow_model.inside(given.tree, str(given.conf.get("data")), what=given.what)
    model = lightgbm_trees.opened(given, file)
    path = given.folder / FILES["lightgbm"]
    getattr(model, "booster_", model).save_model(str(path))
    source = lightgbm_trees.boosted(model)
    return _boosted(source, lightgbm_trees.REFERENCE, kept_file.of_lightgbm(path))


def _boosted(source: Any, reference: str, served: Callable[[Array], Any]) -> Kept:
    """A booster scores the second of two classes alone."""

    def scores(rows: Array) -> Array:
        found: Array = source.scores(rows)
        return found[:, -1] if found.shape[1] <= 2 else found

    return Kept(
        output="probabilities" if source.labels else "variable",
        reference=reference,
        expected=scores,
        served=served,
        labels=source.labels,
    )


WAYS: Mapping[str, Callable[[Given], Kept]] = {
    "sklearn": _sklearn,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
}
