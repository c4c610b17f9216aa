"""optimize on real scikit-learn models and real graphs: what is faithful passes, what is not is caught."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tidegate.adapters import onnx_runtime
from tidegate.errors import DocumentError, RejectedError

ROWS, FEATURES, CLASSES = 200, 8, 3


@pytest.fixture(scope="session")
def rows() -> Any:
    return np.random.default_rng(7).normal(size=(ROWS, FEATURES)).astype(np.float32)


def linear(weights: Any = None, *, opset: int = 18, ir: int = 10, batch: Any = "batch") -> Any:
    """scores = X @ W, label = argmax(scores)."""
    if weights is None:
        weights = np.random.default_rng(1).normal(size=(FEATURES, CLASSES))
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["X", "W"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "linear",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, [batch, FEATURES])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [batch]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES]),
        ],
        [numpy_helper.from_array(weights.astype(np.float32), "W")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def answers(graph: Any, rows: Any, folder: Path) -> dict[str, Any]:
    onnx.save(graph, str(folder / "reference.onnx"))
    return onnx_runtime.load(folder / "reference.onnx", what="reference").run({"X": rows})


def flipped(labels: Any, share: float) -> Any:
    wrong = labels.copy()
    every = int(1 / share)
    wrong[::every] = (wrong[::every] + 1) % CLASSES
    return wrong


@pytest.fixture
def optimize(release: Any) -> Callable[[str], dict[str, Any]]:
    def run(flavor: str) -> dict[str, Any]:
        release.fetched(flavor)
        result: dict[str, Any] = release.run("optimize")
        return result

    return run


def test_a_scikit_learn_pipeline_answers_the_same_as_onnx(
    release: Any, optimize: Any, digits: Any
) -> None:
    tree = release.sklearn_tree(digits.model)
    release.golden(tree, {"X": digits.rows})
    assert optimize("sklearn")["verdict"] == "PASS"
    document = release.document("optimized")
    assert [(t["name"], t["dtype"], t["shape"]) for t in document["outputs"]] == [
        ("label", "INT64", [-1]),
        ("probabilities", "FP32", [-1, 10]),
    ]
    assert document["labels"] == [str(d) for d in range(10)]
    assert (document["opset"], document["parity"]["rows"]) == (18, 500)
    assert document["ir_version"] <= 10
    assert document["parity"]["reference"] == "the scikit-learn model"


def test_the_golden_data_hold_the_graphs_inputs_and_the_sources_answers(
    release: Any, optimize: Any, digits: Any
) -> None:
    tree = release.sklearn_tree(digits.model)
    release.golden(tree, {"X": digits.rows.astype(np.float64)})
    optimize("sklearn")
    with np.load(release.path("optimized_model") / "golden.npz") as golden:
        assert sorted(golden.files) == ["input.X", "output.label", "output.probabilities"]
        assert golden["input.X"].dtype == np.float32
        assert (golden["output.label"] == digits.model.predict(digits.rows)).all()


def test_two_runs_make_the_same_tree(release: Any, optimize: Any, digits: Any) -> None:
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows})
    optimize("sklearn")
    first = release.document("optimized")["tree_digest"]
    optimize("sklearn")
    assert release.document("optimized")["tree_digest"] == first


def test_the_input_example_is_used_without_golden_data(
    release: Any, optimize: Any, digits: Any
) -> None:
    example = {"saved_input_example_info": {"artifact_path": "input_example.json"}}
    tree = release.sklearn_tree(digits.model)
    flavors = {"sklearn": {"pickled_model": "model.skops", "serialization_format": "skops"}}
    release.mlmodel(flavors, **example)
    release.input_example(tree, digits.rows[:60])
    assert optimize("sklearn")["verdict"] == "PASS"
    assert release.document("optimized")["parity"]["golden"] == "input_example.json"


def test_five_rows_of_input_example_are_too_little_evidence(
    release: Any, optimize: Any, digits: Any
) -> None:
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows[:5]})
    result = optimize("sklearn")
    assert result["verdict"] == "INCONCLUSIVE"
    assert "5 golden rows are too few to tell, log at least 50" in result["reason"]


def test_nothing_golden_is_inconclusive_and_says_what_to_log(
    release: Any, optimize: Any, digits: Any
) -> None:
    release.sklearn_tree(digits.model)
    result = optimize("sklearn")
    assert result["verdict"] == "INCONCLUSIVE"
    assert "neither golden.npz nor an input example" in result["reason"]
    assert list(release.path("optimized_model").iterdir()) == []


def test_a_model_that_differs_from_its_recorded_labels_is_refused(
    release: Any, optimize: Any, digits: Any
) -> None:
    labels = digits.model.predict(digits.rows)
    labels[::50] = (labels[::50] + 1) % 10
    tree = release.sklearn_tree(digits.model)
    release.golden(tree, {"X": digits.rows}, {"label": labels})
    result = optimize("sklearn")
    assert result["verdict"] == "FAIL"
    assert "output label: 0.9800 of labels agree, 0.995 wanted" in result["reason"]
    assert "10 of 500 rows differ (rows 0, 50, 100, 150, 200, ...)" in result["reason"]
    outputs = release.document("optimized")["parity"]["outputs"]
    assert {o["output"]: o["word"] for o in outputs} == {
        "label": "PASS", "probabilities": "PASS", "label (recorded)": "FAIL",
    }  # fmt: skip
    assert list(release.path("optimized_model").iterdir()) == []


def test_text_labels_and_a_forest_pass(release: Any, optimize: Any, digits: Any) -> None:
    from sklearn.ensemble import RandomForestClassifier

    rows, truth = digits.train
    names = np.array([f"digit-{d}" for d in truth])
    forest = RandomForestClassifier(5, max_depth=4, random_state=0).fit(rows, names)
    release.golden(release.sklearn_tree(forest), {"X": digits.rows})
    assert optimize("sklearn")["verdict"] == "PASS"
    assert release.document("optimized")["outputs"][0]["dtype"] == "STRING"


def test_a_regressor_passes(release: Any, optimize: Any, rows: Any) -> None:
    from sklearn.linear_model import Ridge

    model = Ridge().fit(rows, rows.sum(axis=1))
    release.golden(release.sklearn_tree(model), {"X": rows})
    assert optimize("sklearn")["verdict"] == "PASS"
    assert [t["name"] for t in release.document("optimized")["outputs"]] == ["variable"]


def test_a_classifier_without_probabilities_is_compared_by_its_scores(
    release: Any, optimize: Any, digits: Any
) -> None:
    from sklearn.svm import LinearSVC

    rows, truth = digits.train
    model = LinearSVC(max_iter=50, tol=0.1).fit(rows / 16, truth)
    release.golden(release.sklearn_tree(model), {"X": digits.rows / 16})
    assert optimize("sklearn")["verdict"] == "PASS"


def test_a_pickle_is_loaded_only_where_the_policy_says_so(
    release: Any, optimize: Any, digits: Any
) -> None:
    tree = release.sklearn_tree(digits.model, pickled=True)
    release.golden(tree, {"X": digits.rows})
    with pytest.raises(RejectedError, match="is a pickle; log it as skops"):
        optimize("sklearn")
    release.policy["model"]["allow_pickle"] = True
    assert optimize("sklearn")["verdict"] == "PASS"


def test_a_skops_file_with_a_foreign_type_is_refused(
    release: Any, optimize: Any, rows: Any
) -> None:
    from sklearn.preprocessing import FunctionTransformer

    release.golden(release.sklearn_tree(FunctionTransformer(sorted)), {"X": rows})
    with pytest.raises(
        RejectedError, match=r"needs builtins.sorted, which is neither scikit-learn"
    ):
        optimize("sklearn")


def test_an_onnx_model_is_compared_with_its_recorded_answers(
    release: Any, optimize: Any, rows: Any, tmp_path: Path
) -> None:
    tree = release.onnx_tree(linear())
    release.golden(tree, {"X": rows}, answers(linear(), rows, tmp_path))
    assert optimize("onnx")["verdict"] == "PASS"
    reference = release.document("optimized")["parity"]["reference"]
    assert reference == "the answers recorded in golden.npz"


def test_an_onnx_model_without_recorded_answers_says_it_was_compared_with_itself(
    release: Any, optimize: Any, rows: Any
) -> None:
    release.golden(release.onnx_tree(linear()), {"X": rows})
    assert optimize("onnx")["verdict"] == "PASS"
    assert release.document("optimized")["parity"]["reference"] == "the source graph itself"


def test_two_percent_of_flipped_labels_are_caught_and_the_rows_named(
    release: Any, optimize: Any, rows: Any, tmp_path: Path
) -> None:
    recorded = answers(linear(), rows, tmp_path)
    wrong = {**recorded, "label": flipped(recorded["label"], 0.02)}
    release.golden(release.onnx_tree(linear()), {"X": rows}, wrong)
    result = optimize("onnx")
    assert result["verdict"] == "FAIL"
    assert "output label" in result["reason"]
    assert "4 of 200 rows differ (rows 0, 50, 100, 150)" in result["reason"]
    assert release.document("optimized")["kind"] == "Refusal"


def test_answers_that_are_not_a_number_are_caught(release: Any, optimize: Any, rows: Any) -> None:
    weights = np.ones((FEATURES, CLASSES))
    weights[3, 1] = np.nan
    release.golden(release.onnx_tree(linear(weights)), {"X": rows})
    result = optimize("onnx")
    assert result["verdict"] == "FAIL"
    assert "200 values NaN or infinite" in result["reason"]


def test_external_data_are_taken_into_the_graph(
    release: Any, optimize: Any, rows: Any, tmp_path: Path
) -> None:
    tree = release.onnx_tree(linear(), external=True)
    assert (tree / "0b1c.data").is_file()
    release.golden(tree, {"X": rows}, answers(linear(), rows, tmp_path))
    assert optimize("onnx")["verdict"] == "PASS"
    files = sorted(p.name for p in release.path("optimized_model").iterdir())
    assert files == ["golden.npz", "model.onnx"]


def test_weights_too_large_for_one_message_stay_beside_the_graph(tmp_path: Path, rows: Any) -> None:
    weights = np.random.default_rng(2).normal(size=(FEATURES, CLASSES * 100))
    path = tmp_path / "model.onnx"
    onnx_runtime.store(linear(weights), path, max_ir_version=10, inline_below=1000)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx", "model.onnx.data"]
    found = onnx_runtime.load(path, what="m").run({"X": rows})["scores"]
    np.testing.assert_allclose(found, rows @ weights.astype(np.float32), rtol=1e-4, atol=1e-4)


def test_the_ir_version_is_capped(release: Any, optimize: Any, rows: Any) -> None:
    release.golden(release.onnx_tree(linear(ir=12)), {"X": rows})
    assert optimize("onnx")["verdict"] == "PASS"
    assert release.document("optimized")["ir_version"] == 10


def test_a_graph_with_a_fixed_batch_is_asked_in_that_batch(
    release: Any, optimize: Any, rows: Any
) -> None:
    release.golden(release.onnx_tree(linear(batch=4)), {"X": rows})
    assert optimize("onnx")["verdict"] == "PASS"
    release.golden(release.path("model_tree"), {"X": rows[:198]})
    with pytest.raises(DocumentError, match="takes batches of 4 rows only"):
        optimize("onnx")


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({"Y": (60, 8)}, {}, "has inputs 'Y', the model takes 'X'; name the arrays"),
        ({"X": (60, 9)}, {}, r"input X has shape \(60, 9\), the model takes"),
        ({"X": (60, 8)}, {"lable": (60,)}, "records output 'lable', the model has label, scores"),
    ],
)
def test_a_wrong_golden_file_is_refused_by_name(
    release: Any, optimize: Any, inputs: Any, outputs: Any, message: str
) -> None:
    tree = release.onnx_tree(linear())
    zeros = [{n: np.zeros(s, np.float32) for n, s in part.items()} for part in (inputs, outputs)]
    release.golden(tree, *zeros)
    with pytest.raises(DocumentError, match=message):
        optimize("onnx")


def test_golden_rows_of_another_width_are_refused_for_scikit_learn(
    release: Any, optimize: Any, digits: Any
) -> None:
    release.golden(release.sklearn_tree(digits.model), {"X": digits.rows[:, :60]})
    with pytest.raises(DocumentError, match=r"digits version 7 takes \(rows, 64\)"):
        optimize("sklearn")


def test_a_graph_that_is_no_onnx_is_refused(release: Any, optimize: Any, rows: Any) -> None:
    tree = release.onnx_tree(linear())
    (tree / "model.onnx").write_bytes(b"no graph")
    release.golden(tree, {"X": rows})
    with pytest.raises(RejectedError, match="no readable ONNX model"):
        optimize("onnx")


def test_a_graph_outside_the_checked_files_is_refused(
    release: Any, optimize: Any, rows: Any
) -> None:
    tree = release.onnx_tree(linear())
    (tree / "model.onnx").rename(release.path("outside.onnx"))
    release.mlmodel({"onnx": {"data": "../outside.onnx"}})
    release.golden(tree, {"X": rows})
    with pytest.raises(RejectedError, match=r"has no file .* among its files"):
        optimize("onnx")


def test_external_data_that_are_missing_are_refused(release: Any, optimize: Any, rows: Any) -> None:
    tree = release.onnx_tree(linear(), external=True)
    (tree / "0b1c.data").unlink()
    release.golden(tree, {"X": rows})
    with pytest.raises(RejectedError, match=r"no file 0b1c\.data among the model's files"):
        optimize("onnx")


def test_a_tree_that_was_changed_after_fetch_is_refused(release: Any, rows: Any) -> None:
    tree = release.onnx_tree(linear())
    release.fetched("onnx")
    release.golden(tree, {"X": rows})
    with pytest.raises(DocumentError, match="use the folder and the document of one run"):
        release.run("optimize")


def test_a_target_that_the_flavor_does_not_reach_is_refused(release: Any, optimize: Any) -> None:
    release.onnx_tree(linear())
    release.policy["optimize"] = {"target": "native"}
    with pytest.raises(
        DocumentError, match=r"optimize.target native: .*has no other form; write onnxruntime"
    ):
        optimize("onnx")


def test_weights_above_the_limit_of_a_message_are_carried_and_configured_as_a_folder(
    release: Any, optimize: Any, rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_runtime, "INLINE_BELOW", 10)
    tree = release.onnx_tree(linear(), external=True)
    release.golden(tree, {"X": rows}, answers(linear(), rows, tmp_path))
    assert optimize("onnx")["verdict"] == "PASS"
    folder = release.path("optimized_model")
    assert (folder / "model.onnx.data").read_bytes() == (tree / "0b1c.data").read_bytes()
    assert release.run("configure")["verdict"] == "PASS"
    served = release.path("repository") / "digits" / "7" / "model.onnx"
    assert sorted(p.name for p in served.iterdir()) == ["model.onnx", "model.onnx.data"]


def test_labels_that_are_declared_as_one_row_get_the_batch_axis_that_they_have(
    release: Any, optimize: Any, rows: Any
) -> None:
    graph = linear()
    graph.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    release.golden(release.onnx_tree(graph), {"X": rows})
    assert optimize("onnx")["verdict"] == "PASS"
    outputs = {t["name"]: t["shape"] for t in release.document("optimized")["outputs"]}
    assert outputs == {"label": [-1], "scores": [-1, CLASSES]}
    assert release.run("configure")["verdict"] == "PASS"
    assert release.document("repository_document")["max_batch_size"] == 32


def test_a_map_per_row_is_refused_with_what_to_export_instead(
    release: Any, optimize: Any, digits: Any
) -> None:
    """skl2onnx gives probabilities so, unless it is told zipmap=False."""
    from skl2onnx import to_onnx

    graph = to_onnx(digits.model, digits.rows[:1], target_opset=18)
    release.golden(release.onnx_tree(graph), {"X": digits.rows})
    with pytest.raises(RejectedError, match=r"which Triton cannot serve; .*scikit-learn: zipmap"):
        optimize("onnx")
