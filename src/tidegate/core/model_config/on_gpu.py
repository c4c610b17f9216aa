"""What a config says of a model that a GPU serves: its instances there, and ONNX Runtime's provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidegate.core.model_config.instances import ModelInstanceGroup
from tidegate.core.model_config.optimization import (
    Accelerator,
    ExecutionAccelerators,
    ModelOptimizationPolicy,
)
from tidegate.policy import Triton


@dataclass(frozen=True, slots=True, kw_only=True)
class OnGpu:
    """The profiles of a plan, or ONNX Runtime's provider and its parameters.

    `accelerator` is Triton's name of the provider; '' for a backend that is on the GPU itself.
    """

    accelerator: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    profiles: int = 0


def on_gpus(
    groups: tuple[ModelInstanceGroup, ...], wanted: Triton, gpu: OnGpu | None
) -> tuple[ModelInstanceGroup, ...]:
    """The groups on GPUs, where the policy says nothing else.

    Of a plan with several profiles one group for each, since an instance has but one.
    """
    said = {"instance_kind", "instance_groups"} & wanted.model_fields_set
    if gpu is None or said:
        return groups
    placed = tuple(replace(group, kind="KIND_GPU") for group in groups)
    if gpu.profiles < 2:
        return placed
    return tuple(
        replace(group, profile=(str(at),)) for at in range(gpu.profiles) for group in placed
    )


def optimization(gpu: OnGpu | None) -> ModelOptimizationPolicy | None:
    """The provider, None where there is none."""
    if gpu is None or not gpu.accelerator:
        return None
    provider = Accelerator(name=gpu.accelerator, parameters=gpu.parameters)
    return ModelOptimizationPolicy(
        execution_accelerators=ExecutionAccelerators(gpu_execution_accelerator=(provider,))
    )
