"""The model repository: how the server batches, queues, runs and counts the model."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tidegate.policy.load import inside
from tidegate.policy.scheduling import SequenceBatching, VersionPolicy
from tidegate.policy.section import Section

Kind = Literal["KIND_AUTO", "KIND_CPU", "KIND_GPU"]
# Of the dynamic batcher alone.
DYNAMIC = (
    "max_queue_delay_us", "max_queue_size", "queue", "preferred_batch_sizes", "preserve_ordering",
    "priority_levels", "default_priority", "priority_queues",
)  # fmt: skip


class Queue(Section):
    """What a full or slow queue does; 0 = no bound."""

    max_size: int = Field(default=0, ge=0, description="Requests that wait; one more is refused")
    timeout_us: int = Field(default=0, ge=0, description="A request that waits longer times out")
    on_timeout: Literal["REJECT", "DELAY"] = Field(
        default="REJECT", description="DELAY: it runs when nothing else waits"
    )
    allow_override: bool = Field(
        default=False, description="A request may name a shorter timeout of its own"
    )


class RateLimitResource(Section):
    """Something that instances share."""

    name: str = Field(min_length=1)
    count: int = Field(default=1, ge=1)
    of_server: bool = Field(default=False, description="One pool for the server, not one a device")


class RateLimit(Section):
    """What an instance holds while it runs; needs --rate-limit=execution_count in serving.args."""

    priority: int = Field(default=1, ge=1, description="2 runs half as often as 1")
    resources: tuple[RateLimitResource, ...] = Field(default=(), strict=False)


class InstanceGroup(Section):
    """count copies of the model: for each GPU of `gpus` (none named: of all), or in all on the CPU.

    A process sees one MIG slice, as GPU 0, whatever it is cut from.
    """

    kind: Kind = "KIND_CPU"
    count: int = Field(default=1, ge=1)
    gpus: tuple[int, ...] = Field(default=(), strict=False, description="As CUDA numbers them")
    profile: tuple[str, ...] = Field(
        default=(), strict=False, description="TensorRT's optimisation profiles by index"
    )
    host_policy: str = Field(default="", description="NUMA policy of the server's --host-policy")
    rate_limit: RateLimit | None = None

    @model_validator(mode="after")
    def _gpus_of_a_gpu_group(self) -> Self:
        if self.gpus and self.kind == "KIND_CPU":
            raise ValueError(f"gpus {list(self.gpus)} in a group of KIND_CPU; write kind: KIND_GPU")
        return self


class Triton(Section):
    """The model repository and the server it is for."""

    version: str = Field(default="2.51", pattern=r"^\d+\.\d+$", description="Target Triton version")
    model_name: str = Field(
        default="", description="Model name in the URL path; '' = the service's name"
    )
    tensorrt: str = Field(
        default="",
        pattern=r"^(\d+\.\d+\.\d+(\.\d+)?)?$",
        description="TensorRT of the serving image; '' = what deploy/triton.yaml says, for its own runtime",
    )
    torch: str = Field(
        default="",
        pattern=r"^(\d+\.\d+\.\d+\S*)?$",
        description="torch of the serving image, as its torch.__version__ says it; for optimize.target aoti",
    )
    max_batch_size: int = Field(default=32, ge=0)
    max_queue_delay_us: int = Field(default=0, ge=0)
    max_queue_size: int = Field(default=256, ge=0)
    instances: int = Field(default=1, ge=1)
    instance_kind: Literal["KIND_AUTO", "KIND_CPU", "KIND_GPU"] = "KIND_CPU"
    threads: int = Field(default=1, ge=1, description="intra_op threads per instance")
    warmup: bool = True
    parameters: dict[str, str] = Field(default_factory=dict)
    load_and_query: Literal["never", "if_present", "always"] = Field(
        default="if_present",
        description="configure starts a tritonserver on the repository, where one is at hand, asks it the "
        "golden inputs, and compares its answers and the config that it serves",
    )
    config: str = Field(
        default="",
        description="Fields of config.pbtxt as text, merged into what is generated: they win over the "
        "defaults here, and what contradicts the graph or a field that is set here is an error",
    )
    instance_groups: tuple[InstanceGroup, ...] = Field(
        default=(),
        strict=False,
        description="In place of instances and instance_kind: CPU and GPU groups, several GPUs, rate limits",
    )
    preferred_batch_sizes: tuple[int, ...] = Field(
        default=(), strict=False, description="Batches that run without waiting for a larger one"
    )
    preserve_ordering: bool = Field(default=False, description="Answers in the order of requests")
    queue: Queue | None = Field(
        default=None, description="The queue whole, in place of max_queue_size"
    )
    priority_levels: int = Field(default=0, ge=0, description="1 is first; 0 = no priorities")
    default_priority: int = Field(
        default=0, ge=0, description="Level of a request that names none; 0 = the last"
    )
    priority_queues: dict[Annotated[int, Field(strict=False)], Queue] = Field(
        default_factory=dict, description="Queues of their own, by level"
    )
    sequence_batching: SequenceBatching | None = Field(
        default=None, description="For a model with a memory, in place of the dynamic batcher"
    )
    version_policy: VersionPolicy | None = Field(
        default=None, description="By default Triton's own: the newest version"
    )
    labels: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Names of the classes, for the output that scores them; by default the model's own",
    )
    labels_file: str = Field(
        default="", description="Path inside the model version of the same, a line each"
    )
    label_output: str = Field(
        default="", description="The output that they name; '' = the one with a score for each"
    )
    response_cache: bool = Field(
        default=False,
        description="Equal requests get the stored answer; needs --cache-config in serving.args. A load "
        "test that is answered so is INVALID",
    )
    metric_tags: dict[str, str] = Field(
        default_factory=dict, description="Labels of the model's metrics, with _ before their names"
    )
    histogram_buckets_ms: tuple[float, ...] | None = Field(
        default=None,
        strict=False,
        description="Buckets of nv_inference_first_response_histogram_ms, from Triton 2.65 on. By default "
        "around the latency objectives, where serving.args turns histogram_latencies on; [] = Triton's own",
    )

    _inside = field_validator("labels_file")(inside)

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        pairs = {
            "instance_groups": ("instances", "instance_kind"),
            "queue": ("max_queue_size",),
            "labels": ("labels_file",),
        }
        for whole, parts in pairs.items():
            also = [part for part in parts if self._says(part)]
            if also and self._says(whole):
                raise ValueError(f"{whole} and {also[0]} say the same; keep one")
        return self

    @model_validator(mode="after")
    def _one_batcher(self) -> Self:
        said = [n for n in DYNAMIC if n in self.model_fields_set and self._says(n)]
        if self.sequence_batching is not None and said:
            raise ValueError(
                f"{said[0]} is of the dynamic batcher, and sequence_batching takes its place; keep one"
            )
        return self

    @model_validator(mode="after")
    def _levels_that_there_are(self) -> Self:
        strays = [n for n in self.priority_queues if not 1 <= n <= self.priority_levels]
        if strays or self.default_priority > self.priority_levels:
            level = strays[0] if strays else self.default_priority
            raise ValueError(
                f"priority {level} is not within 1..{self.priority_levels}; raise priority_levels"
            )
        return self

    def _says(self, name: str) -> bool:
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    @property
    def groups(self) -> tuple[InstanceGroup, ...]:
        """The instance groups, by whichever way they were said."""
        one = InstanceGroup(kind=self.instance_kind, count=self.instances)
        return self.instance_groups or (one,)
