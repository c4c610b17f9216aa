from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tidegate.core.calibration import shared_rows

ROWS = hnp.arrays(np.float32, (6, 2), elements=st.integers(-3, 3), unique=False)


@given(ROWS, st.sets(st.integers(0, 5)))
def test_exactly_the_golden_rows_that_were_calibrated_on_are_named(
    golden: Any, taken: set[int]
) -> None:
    calibration = golden[sorted(taken)]
    equal = {row for row in range(6) if any((golden[row] == one).all() for one in calibration)}
    assert set(shared_rows({"X": calibration}, {"X": golden})) == equal


def test_a_row_is_the_same_only_if_all_its_inputs_are() -> None:
    golden = {"a": np.array([[1.0]]), "b": np.array([[2.0]])}
    assert shared_rows({"b": np.array([[2.0]]), "a": np.array([[1.0]])}, golden) == (0,)
    assert shared_rows({"a": np.array([[1.0]]), "b": np.array([[3.0]])}, golden) == ()


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_both_zeros_are_one_number(zero: float) -> None:
    assert shared_rows({"X": np.array([[zero]])}, {"X": np.array([[0.0]])}) == (0,)
