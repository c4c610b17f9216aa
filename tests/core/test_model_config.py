import dataclasses

import pytest

from tidegate.core import model_config
from tidegate.core.model_config import ModelConfig, ModelTensor
from tidegate.documents import Tensor
from tidegate.policy import Triton

X = Tensor(name="X", dtype="FP32", shape=(-1, 64))
LABEL = Tensor(name="label", dtype="INT64", shape=(-1,))
SCORES = Tensor(name="probabilities", dtype="FP32", shape=(-1, 10))
SCALAR = Tensor(name="scalar", dtype="FP32", shape=())


def build(
    inputs: tuple[Tensor, ...] = (X,),
    outputs: tuple[Tensor, ...] = (LABEL, SCORES),
    shapes: dict[str, tuple[int, ...]] | None = None,
    **wanted: object,
) -> ModelConfig:
    return model_config.build(
        name="digits",
        backend="onnxruntime",
        inputs=inputs,
        outputs=outputs,
        wanted=Triton.model_validate(wanted),
        shapes=shapes or {},
    )


def test_the_batch_axis_is_left_out_of_the_dims() -> None:
    assert build().inputs == (ModelTensor(name="X", data_type="FP32", dims=(64,)),)


def test_a_scalar_per_row_is_one_value_reshaped_to_none() -> None:
    label = build().outputs[0]
    assert (label.dims, label.reshape) == ((1,), ())


def test_without_batching_a_scalar_is_declared_without_a_reshape() -> None:
    config = build(inputs=(X,), outputs=(SCALAR,))
    assert (config.outputs[0].dims, config.outputs[0].reshape) == ((1,), None)


@pytest.mark.parametrize(
    "outputs",
    [(Tensor(name="label", dtype="INT64", shape=(1,)),), (SCALAR,), (LABEL, SCALAR)],
    ids=["fixed", "scalar", "one of two"],
)
def test_one_tensor_without_a_free_axis_0_makes_the_model_unbatched(
    outputs: tuple[Tensor, ...],
) -> None:
    config = build(outputs=outputs)
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)
    assert config.inputs[0].dims == (-1, 64)


def test_a_batch_size_of_zero_in_the_policy_turns_batching_off() -> None:
    config = build(max_batch_size=0)
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)


def test_instances_are_always_said_because_the_backend_would_start_two() -> None:
    assert [dataclasses.astuple(g) for g in build().instance_groups] == [("KIND_CPU", 1)]


def test_the_warm_up_sends_one_row_and_a_full_batch() -> None:
    assert [w.batch_size for w in build(max_batch_size=8).warmup] == [1, 8]
    assert [w.batch_size for w in build(max_batch_size=1).warmup] == [1]


def test_free_dims_get_the_golden_rows_size_or_there_is_no_warm_up() -> None:
    image = Tensor(name="X", dtype="FP32", shape=(-1, 3, -1, -1))
    assert build(inputs=(image,)).warmup == ()
    known = build(inputs=(image,), shapes={"X": (3, 32, 32)})
    assert known.warmup[0].inputs["X"].dims == (3, 32, 32)


def test_the_policy_can_turn_the_warm_up_off() -> None:
    assert build(warmup=False).warmup == ()


def test_parameters_of_the_policy_win() -> None:
    config = build(threads=2, parameters={"execution_mode": "1"})
    assert config.parameters == {"intra_op_thread_count": "2", "execution_mode": "1"}
