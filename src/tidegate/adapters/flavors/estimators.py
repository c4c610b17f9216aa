"""MLflow's sklearn flavor: to ONNX, or forests and boosted trees to Treelite for FIL."""

from typing import Any

from tidegate.adapters import sklearn_model
from tidegate.adapters.flavors.conversion import Array, Converted, Given, as_graph


def convert(given: Given) -> Converted:
    """The estimator as a graph, or as a forest. Raises by class of error."""
    allow_pickle = given.policy.model.allow_pickle
    source = sklearn_model.load(given.tree, given.conf, what=given.what, allow_pickle=allow_pickle)
    name, rows = given.only_input()
    answers = source.answers(rows)
    if given.route.backend == "fil":
        return _forest(given, source, rows, answers)
    proto = source.to_onnx(name=name or "X", features=rows.shape[1], opset=given.opset)
    return as_graph(
        given,
        proto,
        {name or "X": rows},
        answers,
        reference="the scikit-learn model",
        labels=source.labels,
        ask=lambda inputs: source.answers(inputs[name or "X"]),
    )


def _forest(given: Given, source: Any, rows: Array, answers: dict[str, Array]) -> Converted:
    """A checkpoint; FIL gives scores only, so the source is compared by its own."""
    from tidegate.adapters.flavors import fil
    from tidegate.adapters.served_forms import forest

    model, kind = forest.of_estimator(source.estimator, what=given.what), "treelite_checkpoint"
    model.model.serialize(given.folder / fil.FILES[kind])
    return fil.as_forest(
        given,
        model,
        rows,
        answers.get("probabilities", answers.get("variable")),
        model_type=kind,
        reference="the scikit-learn model",
        labels=source.labels,
    )
