"""Inputs at the edges, and what is asked of answers there."""

from typing import Any

import numpy as np
import pytest

from tidegate.core.edge_inputs import edge, judge_edge, tiled
from tidegate.documents import Word

GOLDEN: dict[str, Any] = {
    "X": np.array([[1.0, -8.0], [2.0, 3.0], [0.5, 0.25]], np.float32),
    "id": np.array([[3], [4], [5]], np.int64),
}


@pytest.mark.parametrize(
    ("kind", "size"),
    [
        ("zeros", 0.0),
        ("tiny", 1.4e-45),
        ("extremes", 8.0),
        ("large", 8000.0),
        ("greatest", 3.4028235e38),
    ],
)
def test_floats_are_at_the_edge_with_both_signs_and_integers_stay_golden(
    kind: str, size: float
) -> None:
    made = edge(kind, GOLDEN, 4)
    assert made["X"].shape == (4, 2)
    assert made["X"].dtype == np.float32
    assert np.allclose(made["X"][0], np.float32(size), atol=0)
    assert np.allclose(made["X"][-1], -np.float32(size), atol=0)
    assert made["id"].ravel().tolist() == [3, 4, 5, 3]


@pytest.mark.parametrize(
    ("rows", "signs"), [(1, [1]), (2, [1, -1]), (3, [1, 1, -1]), (4, [1, 1, -1, -1])]
)
def test_the_second_half_of_the_rows_has_the_other_sign(rows: int, signs: list[int]) -> None:
    """A graph that takes two rows at once and no other number is asked with both signs too."""
    assert np.sign(edge("large", GOLDEN, rows)["X"][:, 0]).tolist() == signs


def test_a_large_input_ends_where_its_type_ends() -> None:
    made = edge("large", {"X": np.full((2, 1), 60000, np.float16)}, 2)
    assert np.isfinite(made["X"]).all()


def judged(measured: Any, expected: Any, *, counts: bool = True) -> Any:
    return judge_edge("large", {"y": measured}, {"y": expected}, counts=counts)


def test_a_finite_answer_that_becomes_infinite_fails_and_is_counted() -> None:
    found = judged(np.array([1.0, np.inf, np.nan]), np.array([1.0, 2.0, 3.0]))
    assert found.word is Word.FAIL
    assert found.message == (
        "on large inputs 2 values of y are NaN or infinite, the source's are finite"
    )


def test_where_the_source_has_no_number_none_is_asked_for() -> None:
    assert judged(np.array([1.0, np.nan]), np.array([1.0, np.inf])).word is Word.PASS


def test_what_the_policy_does_not_ask_for_is_told_and_does_not_fail() -> None:
    found = judged(np.array([np.inf]), np.array([1.0]), counts=False)
    assert found.word is Word.PASS
    assert "only told" in found.message


def test_another_shape_fails() -> None:
    assert judged(np.ones((2, 1)), np.ones((3, 1))).word is Word.FAIL


def test_rows_are_repeated_in_turn() -> None:
    assert tiled(GOLDEN, 5)["id"].ravel().tolist() == [3, 4, 5, 3, 4]
