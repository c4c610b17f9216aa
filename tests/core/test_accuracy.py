"""Is the candidate as right as the incumbent?"""

from typing import Any

import numpy as np
import pytest

from tidegate.core.accuracy import judge, judge_errors, judge_right
from tidegate.documents import Word

TRUTH = np.arange(1000) % 10


def wrong_in(rows: Any, count: int) -> Any:
    """The truth, but for the first `count` of these rows."""
    answers = TRUTH.copy()
    answers[np.asarray(rows)[:count]] += 1
    return answers


ROWS = np.random.default_rng(5).permutation(1000)


def test_two_that_are_right_in_the_same_rows_pass_on_enough_of_them() -> None:
    both = wrong_in(ROWS, 50)
    found = judge("label", both, both, TRUTH, 0.01)
    assert found.word is Word.PASS
    assert (found.observed, found.samples, found.limit) == (0.0, 1000, -0.01)
    assert found.lower == pytest.approx(-0.00368, abs=1e-4)  # 1 - 0.025 ** (1 / 1000)
    few = judge("label", both[:300], both[:300], TRUTH[:300], 0.01)
    assert few.word is Word.INCONCLUSIVE
    assert "log more labelled rows" in few.message


def test_one_that_is_surely_worse_than_the_margin_fails() -> None:
    found = judge("label", wrong_in(ROWS, 100), wrong_in(ROWS, 20), TRUTH, 0.01)
    assert found.word is Word.FAIL
    assert "0.9000 right, the incumbent 0.9800" in found.message
    assert "McNemar, one-sided: p " in found.message


def test_one_that_may_or_may_not_be_worse_is_inconclusive() -> None:
    found = judge("label", wrong_in(ROWS, 15), wrong_in(ROWS, 0), TRUTH, 0.01)
    assert found.word is Word.INCONCLUSIVE


def test_a_better_one_passes_by_far() -> None:
    assert judge("label", wrong_in(ROWS, 0), wrong_in(ROWS, 90), TRUTH, 0.0).word is Word.PASS


def test_scores_beside_a_true_class_count_by_the_largest_and_text_as_text() -> None:
    scores = np.eye(11)[wrong_in(ROWS, 7)]
    assert judge("scores", scores, scores, TRUTH, 0.01).word is Word.PASS
    words = np.array([f"digit {n}" for n in TRUTH])
    found = judge("label", words.astype(object).reshape(-1, 1), words.reshape(-1, 1), words, 0.01)
    assert (found.word, found.observed) == (Word.PASS, 0.0)


def test_it_falsely_passes_no_more_often_than_it_says() -> None:
    """At a true loss of just the margin, PASS is the error; 300 draws; the bounds are wide."""
    rng, passed = np.random.default_rng(11), 0
    for _ in range(300):
        incumbent = rng.random(800) < 0.95
        lost = incumbent & (rng.random(800) < 0.03 / 0.95)
        found = judge_right("label", incumbent & ~lost, incumbent, 0.03)
        passed += found.word is Word.PASS
    assert passed / 300 <= 0.05


def test_numbers_are_judged_by_how_much_their_mean_error_grows() -> None:
    rng = np.random.default_rng(2)
    usual = rng.random(400)
    assert judge_errors("y", usual * 1.001, usual, 0.05).word is Word.PASS
    assert judge_errors("y", usual * 1.2, usual, 0.05).word is Word.FAIL
    noisy = np.abs(usual + rng.normal(0, 1, 400))
    assert judge_errors("y", noisy[:30], usual[:30], 5.0).word is not Word.FAIL
    assert judge_errors("y", usual[:19], usual[:19], 0.05).word is Word.INCONCLUSIVE


def test_a_float_truth_means_near_or_far() -> None:
    truth = np.linspace(0, 1, 200)
    found = judge(
        "y", truth.reshape(-1, 1) + 0.2, truth.reshape(-1, 1) + 0.1, truth.reshape(-1, 1), 0.1
    )
    assert found.word is Word.FAIL
    assert "mean error 0.2, the incumbent's 0.1" in found.message


def test_a_truth_of_one_axis_is_that_of_answers_in_one_column() -> None:
    truth = np.linspace(0, 1, 200)
    column = truth.reshape(-1, 1)
    found = judge("y", column + 0.2, column + 0.1, truth, 0.1)
    assert found.word is Word.FAIL
    assert "mean error 0.2, the incumbent's 0.1" in found.message
    with pytest.raises(ValueError, match="400 values were answered, the truth has 200"):
        judge("y", np.hstack([column, column]), column, truth, 0.1)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_number_that_is_none_is_never_judged(broken: float) -> None:
    truth = np.linspace(0, 1, 200)
    other = np.where(truth > 0.99, broken, truth)
    for candidate, incumbent, label in (
        (other, truth, truth), (truth, other, truth), (truth, truth, other),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="are NaN or infinite"):
            judge("y", candidate, incumbent, label, 0.1)


def test_scores_that_are_nan_are_right_in_no_row() -> None:
    truth, right = np.zeros(1000, np.int64), np.eye(2)[np.zeros(1000, np.int64)]
    found = judge("scores", np.full((1000, 2), np.nan), right, truth, 0.01)
    assert (found.word, found.observed) == (Word.FAIL, -1.0)


@pytest.mark.parametrize(
    "answers",
    [np.full((1000, 1), 0.7), np.array([f"digit {n}" for n in TRUTH]), TRUTH.astype(np.float32)],
    ids=["a probability", "other words", "a float"],
)
def test_two_that_are_never_right_prove_that_the_labels_are_of_something_else(answers: Any) -> None:
    with pytest.raises(ValueError, match=r"neither version has one row right; write label\.y as"):
        judge("y", answers, answers, TRUTH, 0.01)
