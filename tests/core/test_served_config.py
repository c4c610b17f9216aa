"""What a server may fill in, and what is drift."""

from dataclasses import replace

import pytest

from tidegate.core.model_config import (
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelInstanceGroup,
    ModelOutput,
    ModelVersionPolicy,
)
from tidegate.core.served_config import drifted

WRITTEN = ModelConfig(
    name="m",
    backend="onnxruntime",
    max_batch_size=8,
    input=(ModelInput(name="X", data_type="TYPE_FP32", dims=(4,)),),
    output=(ModelOutput(name="Y", data_type="TYPE_FP32", dims=(2,)),),
    instance_group=(ModelInstanceGroup(kind="KIND_CPU", count=2),),
    dynamic_batching=ModelDynamicBatching(max_queue_delay_microseconds=100),
)


def test_what_a_server_fills_in_is_no_drift() -> None:
    batching = replace(
        WRITTEN.dynamic_batching or ModelDynamicBatching(), preferred_batch_size=(8,)
    )
    served = replace(
        WRITTEN,
        version_policy=ModelVersionPolicy(),
        dynamic_batching=batching,
        default_model_filename="model.onnx",
        instance_group=(replace(WRITTEN.instance_group[0], name="m_0"),),
    )
    assert drifted(WRITTEN, served) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"max_batch_size": 4}, "max_batch_size was written as 8 and is served as 4"),
        ({"dynamic_batching": None}, "dynamic_batching was written as"),
        ({"instance_group": (ModelInstanceGroup(kind="KIND_CPU", count=1),)},
         "instance_group[].count was written as 2 and is served as 1"),
        ({"output": ()}, "output was written as"),
        ({"default_model_filename": "other.onnx"}, ""),
    ],
)  # fmt: skip
def test_what_was_written_and_is_served_otherwise_is_named(
    change: dict[str, object], told: str
) -> None:
    found = drifted(WRITTEN, replace(WRITTEN, **change))  # type: ignore[arg-type]
    assert bool(found) == bool(told)
    assert all(line.startswith(told) for line in found)


def test_a_batcher_that_the_server_adds_is_drift() -> None:
    """Auto-completion does this to a config that leaves inputs out."""
    written = replace(WRITTEN, max_batch_size=0, dynamic_batching=None)
    assert len(drifted(written, WRITTEN)) == 2


def test_a_platform_that_the_server_is_too_old_to_know_is_no_drift_and_of_a_newer_one_it_is() -> (
    None
):
    written = replace(WRITTEN, backend="pytorch", platform="torch_aoti")
    served = replace(written, platform="pytorch_libtorch", default_model_filename="model.pt2")
    assert drifted(written, served, (2, 51)) == ()
    assert drifted(written, served, (2, 67)) == (
        "platform was written as 'torch_aoti' and is served as 'pytorch_libtorch'",
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"max_batch_size": 4}, "max_batch_size was written as 8 and is served as 4"),
        ({"backend": "python"}, "backend was written as 'pytorch' and is served as 'python'"),
        ({"default_model_filename": "model.pt"},
         "default_model_filename was written as 'model.pt2' and is served as 'model.pt'"),
    ],
)  # fmt: skip
def test_anything_else_of_a_package_is_drift_on_a_server_that_is_too_old_too(
    change: dict[str, object], told: str
) -> None:
    written = replace(WRITTEN, backend="pytorch", platform="torch_aoti")
    served = replace(written, platform="pytorch_libtorch", default_model_filename="model.pt2")
    assert drifted(written, replace(served, **change), (2, 51)) == (told,)  # type: ignore[arg-type]


def test_no_other_platform_is_left_out_for_a_server_that_is_old() -> None:
    written = replace(WRITTEN, platform="onnxruntime_onnx")
    assert drifted(written, replace(written, platform="pytorch_libtorch"), (2, 51)) == (
        "platform was written as 'onnxruntime_onnx' and is served as 'pytorch_libtorch'",
    )
