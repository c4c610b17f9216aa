"""Labelled golden rows, asked of candidate and incumbent as they are served."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.evidence.conftest import Serve, deployment, policy
from tidegate.documents import Finding, Word
from tidegate.steps.load_accuracy import accuracy_findings

RIGHT: dict[str, Any] = {"version": "1"}


def labelled(tree: Path, rows: int = 500, **more: Any) -> Path:
    x = np.random.default_rng(7).normal(size=(rows, 2)).astype(np.float32)
    truth = (x.sum(axis=1) > 0).astype(np.int64)
    arrays = {"input.x": x, "output.label": truth, "output.score": 2 * x, "label.label": truth}
    np.savez(tree / "golden.npz", **(arrays | more))
    return tree / "golden.npz"


def found(golden: Path, **changes: Any) -> list[Finding]:
    return accuracy_findings(deployment(**changes), policy(), golden)


def test_a_candidate_as_right_as_its_incumbent_passes(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={}, incumbent=RIGHT)
    (one,) = found(labelled(golden_tree))
    assert (one.word, one.observed, one.samples) == (Word.PASS, 0.0, 500)


def test_one_that_is_wrong_in_every_fifth_answer_fails(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"wrong_every": 5}, incumbent=RIGHT)
    (one,) = found(labelled(golden_tree))
    assert one.word is Word.FAIL
    assert one.blocking
    assert "accuracy of label: 0.8000 right, the incumbent 1.0000" in one.message


def test_too_few_labelled_rows_are_inconclusive(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={}, incumbent=RIGHT)
    (one,) = found(labelled(golden_tree, rows=40))
    assert one.word is Word.INCONCLUSIVE


def test_an_arm_that_does_not_answer_every_row_is_invalid(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={}, incumbent={**RIGHT, "error_every": 100})
    (one,) = found(labelled(golden_tree))
    assert one.word is Word.INVALID
    assert "was not answered" in one.message


def test_each_row_is_asked_once_however_many_labels_it_has(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={"error_every": 40}, incumbent=RIGHT)
    golden = labelled(golden_tree, rows=30, **{"label.score": np.zeros((30, 2), np.float32)})
    assert {one.name: one.word for one in found(golden)} == {
        "accuracy of label": Word.INCONCLUSIVE, "accuracy of score": Word.PASS,
    }  # fmt: skip


def test_another_version_than_the_one_asked_is_invalid(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={}, incumbent={"version": "7"})
    (one,) = found(labelled(golden_tree, rows=30))
    assert (one.word, "version 7 answered for 1" in one.message) == (Word.INVALID, True)


def test_a_label_of_no_output_is_invalid(serve: Serve, golden_tree: Path) -> None:
    serve(candidate={}, incumbent=RIGHT)
    golden = labelled(golden_tree, rows=30, **{"label.other": np.zeros(30)})
    other = {one.name: one for one in found(golden)}["accuracy of other"]
    assert other.word is Word.INVALID
    assert "accuracy of other: there is no such output, only " in other.message


@pytest.mark.parametrize("first", [True, False], ids=["no incumbent", "no labels"])
def test_without_an_incumbent_or_labels_nothing_is_asked(golden_tree: Path, first: bool) -> None:
    golden = labelled(golden_tree) if first else golden_tree / "golden.npz"
    assert found(golden, first_release=first) == []
