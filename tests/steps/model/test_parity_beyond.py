"""The parity gate beyond golden rows, on graphs that are broken on purpose."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tidegate.adapters import onnx_runtime
from tidegate.adapters.flavors import edges
from tidegate.adapters.flavors.conversion import Converted
from tidegate.documents import Word
from tidegate.policy import Parity, Policy
from tidegate.steps.parity_beyond import checks

FEATURES = 4
ROWS = np.random.default_rng(3).normal(size=(60, FEATURES)).astype(np.float32)
POLICY: dict[str, Any] = {
    "name": "m", "model": {"uri": "models:/m/1"}, "triton": {"max_batch_size": 8},
}  # fmt: skip


def graph(*nodes: Any, **constants: Any) -> Any:
    """X [batch, 4] -> Y [batch, 4]."""
    shape = ["batch", FEATURES]
    made = helper.make_graph(
        list(nodes), "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def halves() -> Any:
    """Through fp16, which ends at 65504."""
    return graph(
        helper.make_node("Mul", ["X", "c"], ["m"]),
        helper.make_node("Cast", ["m"], ["h"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", ["h"], ["Y"], to=TensorProto.FLOAT),
        c=np.float32(100),
    )


def plain() -> Any:
    return graph(helper.make_node("Mul", ["X", "c"], ["Y"]), c=np.float32(100))


def centred() -> Any:
    """Each answer depends on the rows beside it."""
    return graph(
        helper.make_node("ReduceMean", ["X", "axes"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["X", "mean"], ["Y"]),
        axes=np.array([0]),
    )


def up_to(rows: int) -> Any:
    """Fails on more rows than these."""
    return graph(
        helper.make_node("Shape", ["X"], ["n"], start=0, end=1),
        helper.make_node("Squeeze", ["n"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["index"]),
        helper.make_node("Gather", ["W", "index"], ["w"]),
        helper.make_node("Mul", ["X", "w"], ["Y"]),
        zero=np.int64(0), one=np.int64(1), W=np.full((rows, FEATURES), 100, np.float32),
    )  # fmt: skip


def wide(*nodes: Any, **constants: Any) -> Any:
    """X [batch, length] -> Y [batch, 1]: an axis beside the batch is free."""
    made = helper.make_graph(
        list(nodes), "g",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", "length"])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def mean() -> Any:
    return wide(helper.make_node("ReduceMean", ["X", "axes"], ["Y"]), axes=np.array([1]))


def mean_of_four() -> Any:
    """A length that an exporter took for a constant."""
    return wide(
        helper.make_node("ReduceSum", ["X", "axes"], ["sum"]),
        helper.make_node("Mul", ["sum", "quarter"], ["Y"]),
        axes=np.array([1]), quarter=np.float32(0.25),
    )  # fmt: skip


def of_length(length: int) -> edges.Edge:
    rows = ROWS[:4, np.arange(length) % FEATURES]
    answers = {"Y": rows.mean(axis=1, keepdims=True)}
    return edges.Edge(kind=f"rows of {length}", inputs={"X": rows}, expected=answers)


def converted(candidate: Any, source: Any, folder: Path) -> Converted:
    forms = []
    for name, model in (("candidate", candidate), ("source", source)):
        onnx.save(model, str(folder / f"{name}.onnx"))
        forms.append(onnx_runtime.load(folder / f"{name}.onnx", what=name))
    form, asked = forms
    return Converted(
        form=form, model_file="candidate.onnx", inputs={"X": ROWS},
        expected={"Y": asked.run({"X": ROWS})["Y"]}, reference="the source", recorded={},
        edges=tuple(edges.asked(asked.run, {"X": ROWS}, form.inputs)),
    )  # fmt: skip


def found(candidate: Any, source: Any, folder: Path, **changes: Any) -> dict[str, Any]:
    policy = Policy.model_validate(POLICY | changes)
    return {one.output: one for one in checks(converted(candidate, source, folder), policy)}


def failed(findings: dict[str, Any]) -> list[str]:
    return [name for name, one in findings.items() if one.word is Word.FAIL]


def test_a_faithful_graph_is_asked_at_every_edge_and_size(tmp_path: Path) -> None:
    findings = found(plain(), plain(), tmp_path)
    assert list(findings) == [
        *(f"edge inputs: {kind}" for kind in ("zeros", "tiny", "extremes", "large", "greatest")),
        *(f"batches of {size}" for size in (1, 4, 8, 9)),
    ]
    assert failed(findings) == []


def test_a_graph_in_fp16_that_overflows_where_its_source_does_not_fails(tmp_path: Path) -> None:
    loose = {"default": {"atol": 10.0, "rtol": 0.1}}
    findings = found(halves(), plain(), tmp_path, parity=loose)
    assert failed(findings) == ["edge inputs: large"]
    assert "are NaN or infinite, the source's are finite" in findings["edge inputs: large"].message


def test_a_graph_whose_answers_depend_on_the_rows_beside_them_fails(tmp_path: Path) -> None:
    findings = found(centred(), centred(), tmp_path)
    assert failed(findings) == [f"batches of {size}" for size in (1, 4, 8, 9)]


def test_one_row_more_than_the_most_may_be_refused_and_the_most_may_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    enough = converted(up_to(60), plain(), tmp_path / "a")
    (tmp_path / "b").mkdir()
    short = converted(up_to(60), plain(), tmp_path / "b")
    onnx.save(up_to(8), str(tmp_path / "b" / "short.onnx"))
    form = onnx_runtime.load(tmp_path / "b" / "short.onnx", what="short")
    policy = Policy.model_validate(POLICY)
    last = [one for one in checks(enough, policy) if one.output == "batches of 9"]
    assert [one.word for one in last] == [Word.PASS]
    from dataclasses import replace

    refused = {one.output: one for one in checks(replace(short, form=form), policy)}
    assert refused["batches of 9"].word is Word.PASS
    assert "refused" in refused["batches of 9"].message
    wider = Policy.model_validate(POLICY | {"triton": {"max_batch_size": 16}})
    assert {
        one.output for one in checks(replace(short, form=form), wider) if one.word is Word.FAIL
    } == {"batches of 16"}


def test_a_graph_that_took_the_golden_length_for_a_constant_fails_at_every_other(
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    words = {}
    for name, candidate in (("mean", mean()), ("of four", mean_of_four())):
        (tmp_path / name).mkdir()
        whole = replace(
            converted(candidate, mean(), tmp_path / name),
            shapes=tuple(map(of_length, (1, 4, 9))),
        )
        found = {one.output: one for one in checks(whole, Policy.model_validate(POLICY))}
        words[name] = [found[f"rows of {length}"].word for length in (1, 4, 9)]
    assert words["mean"] == [Word.PASS] * 3
    assert words["of four"] == [Word.FAIL, Word.PASS, Word.FAIL]


def test_a_length_that_only_the_source_takes_fails(tmp_path: Path) -> None:
    from dataclasses import replace

    whole = replace(converted(plain(), plain(), tmp_path), shapes=(of_length(9),))
    found = {one.output: one for one in checks(whole, Policy.model_validate(POLICY))}
    assert found["rows of 9"].word is Word.FAIL
    assert "it fails and the source does not" in found["rows of 9"].message


def test_a_length_that_the_source_refuses_is_told_whether_it_is_answered_or_not(
    tmp_path: Path,
) -> None:
    from dataclasses import replace

    told = {}
    for name, candidate in (("refuses", plain()), ("answers", mean())):
        (tmp_path / name).mkdir()
        whole = replace(
            converted(candidate, mean(), tmp_path / name),
            shapes=(replace(of_length(9), expected={}),),
        )
        (last,) = [
            one for one in checks(whole, Policy.model_validate(POLICY)) if one.output == "rows of 9"
        ]
        told[name] = last.message
    assert told["refuses"].endswith("refused, as by the source")
    assert "answered, which the source refuses" in told["answers"]


def test_without_batching_no_size_is_asked(tmp_path: Path) -> None:
    findings = found(plain(), plain(), tmp_path, triton={"max_batch_size": 0})
    assert not [name for name in findings if name.startswith("batches")]


def test_the_largest_batch_is_asked_whole_however_large_it_is(release: Any) -> None:
    tree = release.onnx_tree(up_to(300))
    release.golden(tree, {"X": ROWS})
    release.policy["triton"] = {"max_batch_size": 400}
    release.fetched("onnx")
    result = release.run("optimize")
    assert result["verdict"] == "FAIL"
    assert "batches of 400: refused" in result["reason"]


def test_the_step_refuses_such_a_graph_and_names_the_size(release: Any) -> None:
    tree = release.onnx_tree(centred())
    release.golden(tree, {"X": ROWS})
    release.fetched("onnx")
    result = release.run("optimize")
    assert result["verdict"] == "FAIL"
    assert "batches of 1: output Y" in result["reason"]


def test_answers_that_another_model_recorded_are_told_from_a_broken_layer(release: Any) -> None:
    tree = release.onnx_tree(plain())
    release.golden(tree, {"X": ROWS}, {"Y": ROWS * 3})
    release.fetched("onnx")
    result = release.run("optimize")
    assert result["verdict"] == "FAIL"
    assert "none of the 1 layers that both graphs have differs" in result["reason"]


@pytest.mark.parametrize("kinds", [[], ["zeros", "greatest"]])
def test_which_edges_count_is_the_policys(kinds: list[str]) -> None:
    assert list(Parity.model_validate({"edges": kinds}).edges) == kinds
