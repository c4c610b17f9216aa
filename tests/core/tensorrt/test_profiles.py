"""Profiles: from the policy, the graph, and the shapes that golden rows were seen with."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core.tensorrt.profiles import complaint, largest_batch, profiles, takes
from tidegate.documents import ShapeRange, Tensor
from tidegate.errors import DocumentError
from tidegate.policy import TensorRt

X = Tensor(name="X", dtype="FP32", shape=(-1, 3, -1, 224))
Y = Tensor(name="Y", dtype="FP32", shape=(-1, 10))


def wanted(**told: Any) -> TensorRt:
    return TensorRt.model_validate(told)


def span(low: Any, best: Any, high: Any) -> ShapeRange:
    return ShapeRange(min=tuple(low), opt=tuple(best), max=tuple(high))


def test_the_batch_goes_from_one_to_the_servers_largest_and_the_rest_is_what_was_seen() -> None:
    (found,) = profiles((X,), (Y,), {"X": [(3, 224, 224)]}, wanted(), 32)
    assert found == {"X": span([1, 3, 224, 224], [32, 3, 224, 224], [32, 3, 224, 224])}


def test_the_policy_may_say_for_which_batch_it_is_tuned() -> None:
    (found,) = profiles((X,), (Y,), {"X": [(3, 8, 224)]}, wanted(opt_batch_size=8), 32)
    assert (found["X"].opt[0], found["X"].max[0]) == (8, 32)
    (found,) = profiles((X,), (Y,), {"X": [(3, 8, 224)]}, wanted(opt_batch_size=64), 32)
    assert found["X"].opt[0] == 32
    (found,) = profiles((X,), (Y,), {"X": [(3, 8, 224)]}, wanted(), 32, (4, 16))
    assert found["X"].opt[0] == 16


def test_a_graph_without_a_free_axis_needs_no_profile() -> None:
    fixed = Tensor(name="X", dtype="FP32", shape=(4, 3))
    assert profiles((fixed,), (Y,), {}, wanted(), 32) == ()


def test_a_free_axis_that_nothing_was_seen_of_is_one_line() -> None:
    with pytest.raises(
        DocumentError, match=r"axis 2 of input X is free .*; write optimize\.tensorrt"
    ):
        profiles((X,), (Y,), {}, wanted(), 32)


def test_a_free_first_axis_that_is_no_batch_axis_is_asked_one_at_a_time() -> None:
    fixed_output = Tensor(name="Y", dtype="FP32", shape=(1, 10))
    (found,) = profiles((X,), (fixed_output,), {"X": [(3, 8, 224)]}, wanted(), 32)
    assert found["X"].max[0] == 1


GIVEN = {"min": [1, 3, 32, 224], "opt": [8, 3, 64, 224], "max": [16, 3, 128, 224]}


def test_a_profile_of_the_policy_is_taken_as_it_is() -> None:
    (found,) = profiles((X,), (Y,), {}, wanted(profiles=[{"X": GIVEN}]), 32)
    assert found == {"X": span(*(GIVEN[side] for side in ("min", "opt", "max")))}
    assert largest_batch([found], batchable=True) == 16
    assert largest_batch([found], batchable=False) == 0
    assert largest_batch([], batchable=True) == 0


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({}, r"profiles\.0 has no 'X', which has free axes"),
        ({"X": GIVEN, "Z": GIVEN}, r"profiles\.0\.Z: the graph has X"),
        ({"X": {"min": [1], "opt": [1], "max": [1]}}, r"profiles\.0\.X has 1 axes, the graph's is"),
        (
            {"X": {**GIVEN, "max": [16, 4, 128, 224]}},
            r"profiles\.0\.X: axis 1 is 4, the graph fixes it to 3; write 3",
        ),
    ],
)
def test_a_profile_that_the_graph_does_not_have_is_one_line(profile: Any, message: str) -> None:
    with pytest.raises(DocumentError, match=message):
        profiles((X,), (Y,), {}, wanted(profiles=[profile]), 32)


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"profiles": [{"X": {**GIVEN, "min": [1, 3, 32]}}]}, "different lengths"),
        ({"profiles": [{"X": {**GIVEN, "min": [9, 3, 32, 224]}}]}, "axis 0 is 9, 8, 16; 1 <= min"),
        (
            {"profiles": [{"X": GIVEN}], "plan": "a.plan"},
            "a plan that is given has its own profiles",
        ),
        ({"plan": "../a.plan"}, "leaves the model version"),
        ({"plan": "/a.plan"}, "leaves the model version"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_when_it_is_read(told: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wanted(**told)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[tuple[Tensor, ...], dict[str, list[tuple[int, ...]]]]:
    """Inputs with some free axes, and rows that were seen of each."""
    inputs, seen = [], {}
    for at in range(draw(st.integers(1, 3))):
        axes = draw(st.lists(st.one_of(st.just(-1), st.integers(1, 8)), min_size=0, max_size=3))
        name = f"X{at}"
        inputs.append(Tensor(name=name, dtype="FP32", shape=(-1, *axes)))
        row = st.tuples(*(st.integers(1, 9) if a == -1 else st.just(a) for a in axes))
        seen[name] = draw(st.lists(row, min_size=1, max_size=4))
    return tuple(inputs), seen


@given(graphs(), st.integers(0, 64), st.one_of(st.none(), st.integers(1, 64)))
def test_whatever_was_seen_fits_the_profile_in_every_batch_up_to_the_largest(
    graph: Any, largest: int, best: int | None
) -> None:
    inputs, seen = graph
    (found,) = profiles(inputs, (Y,), seen, wanted(opt_batch_size=best), largest)
    for tensor in inputs:
        one = found[tensor.name]
        for axis, size in enumerate(tensor.shape):
            low, middle, high = one.min[axis], one.opt[axis], one.max[axis]
            assert 1 <= low <= middle <= high
            assert size == -1 or low == high == size
    for batch in {1, max(1, largest)}:
        for at in range(min(map(len, seen.values()))):
            shapes = {name: (batch, *rows[at]) for name, rows in seen.items()}
            assert complaint(found, shapes) == ""
    beyond = {name: (max(1, largest) + 1, *rows[0]) for name, rows in seen.items()}
    assert "the profile is for 1 to" in complaint(found, beyond)
    assert largest_batch([found], batchable=True) == max(1, largest)


def test_a_row_fits_where_one_profile_takes_all_its_inputs_whatever_the_batch() -> None:
    short = {"ids": span((4, 1), (4, 8), (8, 16)), "mask": span((4, 1), (4, 8), (8, 16))}
    long = {"ids": span((1, 17), (1, 32), (2, 64)), "mask": span((1, 17), (1, 32), (2, 64))}
    assert takes([short, long], {"ids": (64,), "mask": (64,)})
    assert takes([short, long], {"ids": (16,), "mask": (16,)})
    assert not takes([short, long], {"ids": (16,), "mask": (17,)})
    assert not takes([short], {"ids": (64,), "mask": (64,)})
    assert takes([], {"ids": (640,)})
