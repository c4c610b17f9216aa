from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.core import model_config
from tidegate.core.model_config import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelParameter,
    ModelQueuePolicy,
    ModelSequenceBatching,
    ModelTensorReshape,
)
from tidegate.core.model_config.merging import DECIDES
from tidegate.core.model_config.whole import ModelResponseCache
from tidegate.documents import Tensor
from tidegate.errors import DocumentError
from tidegate.policy import Triton

X = Tensor(name="X", dtype="FP32", shape=(-1, 64))
LABEL = Tensor(name="label", dtype="INT64", shape=(-1,))
SCORES = Tensor(name="probabilities", dtype="FP32", shape=(-1, 10))
SCALAR = Tensor(name="scalar", dtype="FP32", shape=())


def build(
    inputs: tuple[Tensor, ...] = (X,),
    outputs: tuple[Tensor, ...] = (LABEL, SCORES),
    shapes: dict[str, tuple[int, ...]] | None = None,
    written: ModelConfig | None = None,
    **wanted: object,
) -> ModelConfig:
    return model_config.build(
        name="digits",
        backend="onnxruntime",
        inputs=inputs,
        outputs=outputs,
        wanted=Triton.model_validate(wanted),
        shapes=shapes or {},
        written=written,
    )


def test_the_batch_axis_is_left_out_of_the_dims() -> None:
    assert build().input == (ModelInput(name="X", data_type="TYPE_FP32", dims=(64,)),)


def test_a_scalar_per_row_is_one_value_reshaped_to_none() -> None:
    label = build().output[0]
    assert (label.dims, label.reshape) == ((1,), ModelTensorReshape())


def test_without_batching_a_scalar_is_declared_without_a_reshape() -> None:
    config = build(inputs=(X,), outputs=(SCALAR,))
    assert (config.output[0].dims, config.output[0].reshape) == ((1,), None)


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
    assert config.input[0].dims == (-1, 64)


def test_a_batch_size_of_zero_in_the_policy_turns_batching_off() -> None:
    config = build(max_batch_size=0)
    assert (config.max_batch_size, config.dynamic_batching) == (0, None)


def test_instances_are_always_said_because_the_backend_would_start_two() -> None:
    assert [(g.kind, g.count) for g in build().instance_group] == [("KIND_CPU", 1)]


def test_the_warm_up_sends_one_row_and_a_full_batch() -> None:
    assert [w.batch_size for w in build(max_batch_size=8).model_warmup] == [1, 8]
    assert [w.batch_size for w in build(max_batch_size=1).model_warmup] == [1]


def test_free_dims_get_the_golden_rows_size_or_there_is_no_warm_up() -> None:
    image = Tensor(name="X", dtype="FP32", shape=(-1, 3, -1, -1))
    assert build(inputs=(image,)).model_warmup == ()
    known = build(inputs=(image,), shapes={"X": (3, 32, 32)})
    assert known.model_warmup[0].inputs["X"].dims == (3, 32, 32)


def test_the_policy_can_turn_the_warm_up_off() -> None:
    assert build(warmup=False).model_warmup == ()


def test_parameters_of_the_policy_win() -> None:
    config = build(threads=2, parameters={"execution_mode": "1"})
    values = {key: one.string_value for key, one in config.parameters.items()}
    assert values == {"intra_op_thread_count": "2", "execution_mode": "1"}


def written(**fields: object) -> ModelConfig:
    return ModelConfig(**fields)  # type: ignore[arg-type]


def test_what_is_written_by_hand_wins_over_a_default_of_the_policy() -> None:
    by_hand = written(
        max_batch_size=8,
        instance_group=(ModelInstanceGroup(kind="KIND_CPU", count=3),),
        dynamic_batching=ModelDynamicBatching(preferred_batch_size=(4,)),
    )
    config = build(written=by_hand)
    assert (config.max_batch_size, config.instance_group[0].count) == (8, 3)
    assert [w.batch_size for w in config.model_warmup] == [1, 8]
    assert config.dynamic_batching == ModelDynamicBatching(
        preferred_batch_size=(4,), default_queue_policy=ModelQueuePolicy(max_queue_size=256)
    )


def test_labels_are_added_to_an_output_of_the_graph() -> None:
    label = ModelOutput(name="label", label_filename="labels.txt")
    assert build(written=written(output=(label,))).output[0] == ModelOutput(
        name="label",
        data_type="TYPE_INT64",
        dims=(1,),
        reshape=ModelTensorReshape(),
        label_filename="labels.txt",
    )


def test_a_sequence_batcher_takes_the_place_of_the_default_batcher() -> None:
    config = build(written=written(sequence_batching=ModelSequenceBatching()))
    assert (config.dynamic_batching, config.sequence_batching) == (None, ModelSequenceBatching())


CONTRADICTIONS = {
    "max_batch_size is 8, and triton.max_batch_size makes it 4": (
        written(max_batch_size=8),
        {"max_batch_size": 4},
    ),
    "instance_group is .*, and triton.instances makes it": (
        written(instance_group=(ModelInstanceGroup(count=3),)),
        {"instances": 2},
    ),
    "parameters.intra_op_thread_count is .*, and triton.threads makes it": (
        written(parameters={"intra_op_thread_count": ModelParameter(string_value="8")}),
        {"threads": 2},
    ),
    "max_queue_size is 3, and triton.max_queue_size makes it 9": (
        written(
            dynamic_batching=ModelDynamicBatching(
                default_queue_policy=ModelQueuePolicy(max_queue_size=3)
            )
        ),
        {"max_queue_size": 9},
    ),
    "default_queue_policy is .*, and triton.queue makes it": (
        written(
            dynamic_batching=ModelDynamicBatching(
                default_queue_policy=ModelQueuePolicy(default_timeout_microseconds=3)
            )
        ),
        {"queue": {"max_size": 9}},
    ),
    "response_cache is .*, and triton.response_cache makes it": (
        written(response_cache=ModelResponseCache(enable=True)),
        {"response_cache": False},
    ),
    "another scheduler than the dynamic batcher of triton.max_queue_delay_us": (
        written(sequence_batching=ModelSequenceBatching()),
        {"max_queue_delay_us": 9},
    ),
    "backend is 'python', and the model makes it 'onnxruntime'": (written(backend="python"), {}),
    r"input X dims is \(65,\), and the graph makes it \(64,\)": (
        written(input=(ModelInput(name="X", dims=(65,)),)),
        {},
    ),
    "output 'scores' is not in the graph; it has label, probabilities": (
        written(output=(ModelOutput(name="scores"),)),
        {},
    ),
}


@pytest.mark.parametrize(("said", "case"), CONTRADICTIONS.items(), ids=range(len(CONTRADICTIONS)))
def test_a_contradiction_is_an_error_that_names_both_sides(
    said: str, case: tuple[ModelConfig, dict[str, Any]]
) -> None:
    by_hand, wanted = case
    with pytest.raises(DocumentError, match=said):
        build(written=by_hand, **wanted)


@given(st.sampled_from(sorted(DECIDES)))
def test_repeating_what_the_policy_says_is_no_contradiction(field: str) -> None:
    wanted: dict[str, Any] = {field: Triton.model_fields[field].default}
    assert build(written=build(**wanted), **wanted) == build(**wanted)
