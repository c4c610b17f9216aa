"""Whether clients of the incumbent can go on asking the candidate."""

from dataclasses import dataclass

import pytest

from tidegate.core.signature import breaking
from tidegate.documents import Tensor


@dataclass(frozen=True)
class Model:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def tensor(name: str, dtype: str = "FP32", shape: tuple[int, ...] = (-1, 4)) -> Tensor:
    return Tensor(name=name, dtype=dtype, shape=shape)


BEFORE = Model((tensor("x"), tensor("ids", "INT64", (-1, 8))), (tensor("y", shape=(-1, -1)),))


def after(*inputs: Tensor, outputs: tuple[Tensor, ...] | None = None) -> Model:
    return Model(inputs or BEFORE.inputs, BEFORE.outputs if outputs is None else outputs)


@pytest.mark.parametrize(
    "model",
    [
        after(),
        after(*reversed(BEFORE.inputs)),
        after(outputs=(*BEFORE.outputs, tensor("more"))),
        after(tensor("x", shape=(-1, -1)), BEFORE.inputs[1]),
        after(outputs=(tensor("y", shape=(-1, 3)),)),
    ],
    ids=["the same", "in another order", "one more output", "a freer input", "a narrower output"],
)
def test_what_every_client_can_go_on_asking_breaks_nothing(model: Model) -> None:
    assert breaking(BEFORE, model) == ()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (after(tensor("x")), "input ids is gone"),
        (after(*BEFORE.inputs, tensor("mask")), "input mask is new, and no client sends it"),
        (after(tensor("x", "FP16"), BEFORE.inputs[1]), "input x was FP32 and is FP16"),
        (
            after(tensor("x", shape=(-1, 4, 1)), BEFORE.inputs[1]),
            "input x was [-1, 4] and is [-1, 4, 1]",
        ),
        (after(tensor("x", shape=(1, 4)), BEFORE.inputs[1]), "input x was [-1, 4] and is [1, 4]"),
        (after(outputs=(tensor("z", shape=(-1, -1)),)), "output y is gone"),
        (after(outputs=(tensor("y", "INT64", (-1, -1)),)), "output y was FP32 and is INT64"),
        (after(outputs=(tensor("y", shape=(-1,)),)), "output y was [-1, -1] and is [-1]"),
    ],
)
def test_what_a_client_would_trip_over_is_named(model: Model, said: str) -> None:
    assert breaking(BEFORE, model) == (said,)


def test_an_output_that_was_of_one_size_may_not_become_of_any() -> None:
    fixed = Model((), (tensor("y", shape=(-1, 3)),))
    assert breaking(fixed, Model((), (tensor("y", shape=(-1, -1)),)))
    assert breaking(fixed, Model((), (tensor("y", shape=(-1, 4)),)))
