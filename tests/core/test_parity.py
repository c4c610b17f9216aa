from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tidegate.core import parity
from tidegate.documents import Word
from tidegate.policy import Parity as Rules
from tidegate.policy import Tolerance

ROWS = 400
FINITE = hnp.arrays(
    dtype=st.sampled_from([np.float32, np.float64]),
    shape=st.tuples(st.integers(50, 60), st.integers(1, 4)),
    elements={"allow_nan": False, "allow_infinity": False},
)


def labels(rows: int = ROWS) -> Any:
    return np.arange(rows) % 10


def flipped(array: Any, count: int) -> Any:
    other = array.copy()
    step = len(array) // count
    other[: count * step : step] = (other[: count * step : step] + 1) % 10
    return other


def compare(measured: Any, reference: Any, min_rows: int = 50, **tolerance: Any) -> Any:
    return parity.compare("out", measured, reference, Tolerance(**tolerance), min_rows)


def test_equal_labels_pass() -> None:
    found = compare(labels(), labels())
    assert (found.word, found.agreement) == (Word.PASS, 1.0)


def test_two_percent_of_flipped_labels_fail_and_the_rows_are_named() -> None:
    found = compare(flipped(labels(), 8), labels())
    assert found.word is Word.FAIL
    assert found.agreement == pytest.approx(0.98)
    assert found.message == (
        "output out: 0.9800 of labels agree, 0.995 wanted; "
        "8 of 400 rows differ (rows 0, 50, 100, 150, 200, ...)"
    )


def test_one_flip_in_sixty_rows_is_inconclusive_because_the_share_may_still_be_enough() -> None:
    found = compare(flipped(labels(60), 1), labels(60))
    assert found.word is Word.INCONCLUSIVE
    assert "60 golden rows are too few" in found.message


def test_too_few_rows_are_inconclusive_even_when_equal() -> None:
    assert compare(labels(20), labels(20)).word is Word.INCONCLUSIVE
    assert compare(np.ones((20, 3)), np.ones((20, 3))).word is Word.INCONCLUSIVE


def test_too_few_rows_that_plainly_differ_fail() -> None:
    assert compare(flipped(labels(20), 10), labels(20)).word is Word.FAIL


def test_text_labels_are_compared_as_text() -> None:
    text = np.array([f"digit {i % 10}" for i in range(ROWS)])
    assert compare(text.astype(object), text).word is Word.PASS
    assert compare(np.roll(text, 1), text).word is Word.FAIL


def test_labels_are_never_near() -> None:
    assert compare(labels() + 1, labels(), atol=5.0).word is Word.FAIL


def test_numbers_within_the_tolerance_pass_and_beyond_fail() -> None:
    reference = np.linspace(0.1, 1, ROWS).reshape(-1, 2)
    assert compare(reference + 5e-5, reference).word is Word.PASS
    assert compare(reference + 5e-3, reference).word is Word.FAIL


def test_a_reference_of_zeros_is_judged_by_the_absolute_tolerance() -> None:
    reference = np.zeros((ROWS, 2))
    same = compare(reference, reference)
    assert (same.word, same.max_rel_error, same.cosine) == (Word.PASS, 0.0, 1.0)
    assert compare(reference + 1.0, reference).word is Word.FAIL


def test_a_share_of_mismatches_is_allowed_when_the_policy_says_so() -> None:
    reference = np.ones((100, 1))
    measured = reference.copy()
    measured[3] = 1.01
    assert compare(measured, reference).word is Word.FAIL
    assert compare(measured, reference, max_mismatch_ratio=0.02).word is Word.PASS


def test_a_small_error_that_turns_the_vector_fails_by_its_cosine() -> None:
    rng = np.random.default_rng(0)
    reference = rng.normal(size=(100, 3)) * 1e-5
    assert compare(-reference, reference, atol=1.0).word is Word.FAIL


def test_values_at_the_end_of_the_range_are_compared_without_a_warning() -> None:
    reference = np.full((100, 1), 1.7e308)
    assert compare(-reference, reference).word is Word.FAIL
    assert compare(reference, reference).word is Word.PASS


def test_another_shape_and_a_missing_output_fail() -> None:
    assert compare(np.ones((100, 2)), np.ones((100, 3))).word is Word.FAIL
    assert compare(None, np.ones((100, 3))).word is Word.FAIL


def test_no_rows_are_inconclusive() -> None:
    assert compare(np.ones((0, 2)), np.ones((0, 2))).word is Word.INCONCLUSIVE


def test_nothing_compared_is_inconclusive() -> None:
    assert parity.overall(parity.judge({}, {}, Rules())) is Word.INCONCLUSIVE


def test_the_worst_output_decides_and_each_has_its_own_tolerance() -> None:
    reference = {"a": np.ones((100, 1)), "b": np.ones((100, 1))}
    measured = {"a": np.ones((100, 1)), "b": np.full((100, 1), 1.5)}
    strict = parity.judge(measured, reference, Rules())
    loose = parity.judge(measured, reference, Rules(outputs={"b": Tolerance(atol=1.0)}))
    assert (parity.overall(strict), parity.overall(loose)) == (Word.FAIL, Word.PASS)


@pytest.mark.parametrize(("equal", "total"), [(392, 400), (400, 400), (1, 3), (0, 5), (50, 50)])
def test_the_bounds_are_clopper_and_pearsons(equal: int, total: int) -> None:
    from scipy.stats import binomtest

    interval = binomtest(equal, total).proportion_ci(0.90, method="exact")  # 5 % on each side
    assert parity.lower_bound(equal, total) == pytest.approx(interval.low, abs=1e-9)
    assert parity.upper_bound(equal, total) == pytest.approx(interval.high, abs=1e-9)


@given(FINITE)
def test_identical_outputs_always_pass(array: Any) -> None:
    found = compare(array, array.copy(), atol=0, rtol=0, min_cosine=1.0)
    assert found.word is Word.PASS


@given(FINITE, st.data(), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_a_nan_or_an_infinity_never_passes(array: Any, data: st.DataObject, broken: float) -> None:
    row = data.draw(st.integers(0, len(array) - 1))
    other = array.copy()
    other[row, 0] = broken
    both_sides = ((other, array), (array, other), (other, other))
    for measured, reference in both_sides:
        found = compare(measured, reference, max_mismatch_ratio=1.0, atol=1e30, min_cosine=-1.0)
        assert found.word is Word.FAIL
        assert "NaN or infinite" in found.message


@given(hnp.arrays(np.int64, st.tuples(st.integers(50, 70))), st.integers(0, 49))
def test_more_flips_are_never_a_better_word(array: Any, flips: int) -> None:
    order = [Word.PASS, Word.INCONCLUSIVE, Word.FAIL]
    words = []
    for count in (flips, flips + 1):
        other = array.copy()
        other[:count] ^= 1
        words.append(order.index(compare(other, array).word))
    assert words == sorted(words)


def scores(rows: int = ROWS) -> Any:
    return np.eye(10, dtype=np.float32)[labels(rows)]


def test_top_1_of_scores_is_judged_when_the_policy_asks() -> None:
    other = np.eye(10, dtype=np.float32)[flipped(labels(), 8)]
    alike = compare(other, scores(), max_mismatch_ratio=1.0, min_cosine=-1.0)
    assert alike.word is Word.PASS
    found = compare(other, scores(), max_mismatch_ratio=1.0, min_cosine=-1.0, min_top1=0.995)
    assert (found.word, found.agreement) == (Word.FAIL, pytest.approx(0.98))
    assert (
        "top-1 0.9800 of rows agree, at least 0.9642 by 95 % confidence, 0.995 wanted"
        in found.message
    )
    assert found.agreement_lower < 0.98


def test_top_1_of_one_column_cannot_be_judged() -> None:
    found = compare(np.ones((ROWS, 1)), np.ones((ROWS, 1)), min_top1=0.9)
    assert (found.word, found.agreement) == (Word.INVALID, None)


def test_neighbouring_floats_are_one_ulp_apart_also_across_zero() -> None:
    one = np.float32(1.0)
    tiny = np.float32(1e-45)
    a = np.array([[one, tiny]], np.float32)
    b = np.array([[np.nextafter(one, np.float32(2)), -tiny]], np.float32)
    assert parity.ulp_distance(a, a) == 0
    assert parity.ulp_distance(a[:, :1], b[:, :1]) == 1
    assert parity.ulp_distance(a[:, 1:], b[:, 1:]) == 2


def test_more_ulp_than_the_policy_allows_fail() -> None:
    a = np.ones((ROWS, 2), np.float32)
    b = np.nextafter(a, np.float32(2))
    assert compare(b, a, max_ulp=1).word is Word.PASS
    found = compare(np.nextafter(b, np.float32(2)), a, max_ulp=1)
    assert (found.word, found.max_ulp) == (Word.FAIL, 2)


@given(FINITE)
def test_the_ulp_distance_is_symmetric_and_zero_only_between_equals(array: Any) -> None:
    other = np.roll(array, 1, axis=0)
    apart = parity.ulp_distance(array, other)
    assert apart == parity.ulp_distance(other, array)
    assert (apart == 0) == np.array_equal(array, other)


def test_a_nan_has_no_ulp_distance_and_types_are_not_compared() -> None:
    a = np.ones((2, 2), np.float32)
    assert parity.ulp_distance(a * np.nan, a) is None
    assert parity.ulp_distance(a, a.astype(np.float64)) is None


def test_top_1_passes_only_once_its_lower_bound_reaches_what_is_wanted() -> None:
    """All of n equal: the one-sided 95 % bound is 0.05 ** (1 / n), 0.99 from 299 rows on."""
    few, found = (compare(scores(rows), scores(rows), min_top1=0.99) for rows in (298, 299))
    assert (few.word, found.word) == (Word.INCONCLUSIVE, Word.PASS)
    assert "at least 0.9900 by 95 % confidence" in found.message
