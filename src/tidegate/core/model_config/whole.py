"""One model's config.pbtxt, whole: every field of Triton's own ModelConfig message, under its own name.

None = absent, where the message tells absent from empty. A name that Python reserves has `_` at its end.
Source: model_config.proto of triton-inference-server/common, as tritonclient ships it; a test holds
these classes against it field by field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.core.model_config.instances import ModelInstanceGroup
from tidegate.core.model_config.optimization import ModelOptimizationPolicy
from tidegate.core.model_config.scheduling import (
    ModelDynamicBatching,
    ModelEnsembling,
    ModelSequenceBatching,
)
from tidegate.core.model_config.tensors import BatchInput, BatchOutput, ModelInput, ModelOutput


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """The newest so many versions."""

    num_versions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every version that has a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specific:
    """These versions."""

    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersionPolicy:
    """Which versions are served: one of the three; absent = the newest."""

    latest: Latest | None = None
    all_: All | None = None
    specific: Specific | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParameter:
    """A knob of the backend; always text."""

    string_value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmupInput:
    """One input of a warm-up request: zeros, random bytes, or a file below `warmup/`."""

    data_type: str = "TYPE_INVALID"
    dims: tuple[int, ...] = ()
    zero_data: bool | None = None
    random_data: bool | None = None
    input_data_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWarmup:
    """A request that runs before the model is READY, count times (0 = once)."""

    name: str = ""
    batch_size: int = 0
    inputs: Mapping[str, WarmupInput] = field(default_factory=dict)
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOperations:
    """Libraries of custom operators."""

    op_library_filename: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTransactionPolicy:
    """Decoupled: any number of answers to one request."""

    decoupled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Something that looks at the files before they load, such as a checksum."""

    name: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRepositoryAgents:
    """The agents in order."""

    agents: tuple[Agent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelResponseCache:
    """Equal requests get the stored answer; needs a cache of the server's, and ends its summaries."""

    enable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricIdentifier:
    """Which family of metrics."""

    family: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramOptions:
    """Upper edges of the buckets."""

    buckets: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricControl:
    """How one family is counted for this model."""

    metric_identifier: MetricIdentifier | None = None
    histogram_options: HistogramOptions | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetrics:
    """Metrics of this model that differ from the server's; read by Triton 2.52 and newer."""

    metric_control: tuple[MetricControl, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The whole message."""

    name: str = ""
    platform: str = ""
    backend: str = ""
    runtime: str = ""
    version_policy: ModelVersionPolicy | None = None
    max_batch_size: int = 0
    input: tuple[ModelInput, ...] = ()
    output: tuple[ModelOutput, ...] = ()
    batch_input: tuple[BatchInput, ...] = ()
    batch_output: tuple[BatchOutput, ...] = ()
    optimization: ModelOptimizationPolicy | None = None
    dynamic_batching: ModelDynamicBatching | None = None
    sequence_batching: ModelSequenceBatching | None = None
    ensemble_scheduling: ModelEnsembling | None = None
    instance_group: tuple[ModelInstanceGroup, ...] = ()
    default_model_filename: str = ""
    cc_model_filenames: Mapping[str, str] = field(default_factory=dict)
    metric_tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, ModelParameter] = field(default_factory=dict)
    model_warmup: tuple[ModelWarmup, ...] = ()
    model_operations: ModelOperations | None = None
    model_transaction_policy: ModelTransactionPolicy | None = None
    model_repository_agents: ModelRepositoryAgents | None = None
    response_cache: ModelResponseCache | None = None
    model_metrics: ModelMetrics | None = None

    @property
    def tensors(self) -> tuple[ModelInput | ModelOutput, ...]:
        """Inputs, then outputs."""
        return (*self.input, *self.output)
