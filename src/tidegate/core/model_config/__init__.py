"""Triton's ModelConfig as plain values, and how a graph and a policy become one.

Values and rules only; protobuf and text are `tidegate.adapters.model_config_text`.
"""

from tidegate.core.model_config.building import (
    build,
    is_batchable,
    model_input,
    model_output,
    warmup_requests,
)
from tidegate.core.model_config.ensemble import Member, ensemble
from tidegate.core.model_config.from_policy import LABELS, groups, metrics
from tidegate.core.model_config.instances import InstanceKind, ModelInstanceGroup
from tidegate.core.model_config.on_gpu import OnGpu
from tidegate.core.model_config.scheduling import (
    EnsembleStep,
    ModelDynamicBatching,
    ModelEnsembling,
    ModelQueuePolicy,
    ModelSequenceBatching,
)
from tidegate.core.model_config.tensors import (
    DATA_TYPES,
    ModelInput,
    ModelOutput,
    ModelTensor,
    ModelTensorReshape,
)
from tidegate.core.model_config.whole import (
    ModelConfig,
    ModelParameter,
    ModelVersionPolicy,
    ModelWarmup,
    Specific,
    WarmupInput,
)

__all__ = [
    "DATA_TYPES",
    "LABELS",
    "EnsembleStep",
    "InstanceKind",
    "Member",
    "ModelConfig",
    "ModelDynamicBatching",
    "ModelEnsembling",
    "ModelInput",
    "ModelInstanceGroup",
    "ModelOutput",
    "ModelParameter",
    "ModelQueuePolicy",
    "ModelSequenceBatching",
    "ModelTensor",
    "ModelTensorReshape",
    "ModelVersionPolicy",
    "ModelWarmup",
    "OnGpu",
    "Specific",
    "WarmupInput",
    "build",
    "ensemble",
    "groups",
    "is_batchable",
    "metrics",
    "model_input",
    "model_output",
    "warmup_requests",
]
