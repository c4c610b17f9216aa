"""What a policy says of batching, queues, instances, labels and metrics, in the words of ModelConfig."""

from dataclasses import replace

from tidegate.core.model_config.instances import (
    ModelInstanceGroup,
    ModelRateLimiter,
    RateLimiterResource,
)
from tidegate.core.model_config.scheduling import ModelDynamicBatching, ModelQueuePolicy
from tidegate.core.model_config.tensors import ModelOutput
from tidegate.core.model_config.whole import (
    HistogramOptions,
    MetricControl,
    MetricIdentifier,
    ModelMetrics,
)
from tidegate.core.server_arguments import flag
from tidegate.errors import DocumentError
from tidegate.policy import InstanceGroup, LatencySlo, Policy, Queue, RateLimit, Triton

LABELS = "labels.txt"  # beside config.pbtxt
HISTOGRAM = "nv_inference_first_response_histogram_ms"  # the one family that takes buckets
HISTOGRAMS_SINCE = (2, 65)  # of ordinary models; older servers count decoupled ones alone
# Edges around a limit. One of them is the limit itself, so that what exceeds it is counted and not guessed.
AROUND = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)


def groups(wanted: Triton) -> tuple[ModelInstanceGroup, ...]:
    """Always said: the ONNX Runtime backend's own default is two instances on the CPU."""
    return tuple(_group(group) for group in wanted.groups)


def _group(group: InstanceGroup) -> ModelInstanceGroup:
    return ModelInstanceGroup(
        kind=group.kind,
        count=group.count,
        gpus=group.gpus,
        profile=group.profile,
        host_policy=group.host_policy,
        rate_limiter=_rate_limiter(group.rate_limit) if group.rate_limit else None,
    )


def _rate_limiter(limit: RateLimit) -> ModelRateLimiter:
    resources = tuple(
        RateLimiterResource(name=one.name, global_=one.of_server, count=one.count)
        for one in limit.resources
    )
    return ModelRateLimiter(resources=resources, priority=limit.priority)


def batching(wanted: Triton) -> ModelDynamicBatching:
    """Requests that come together run together; a queue that is full refuses."""
    bound = Queue(max_size=wanted.max_queue_size) if wanted.max_queue_size else None
    queue = wanted.queue or bound
    levels = wanted.priority_levels
    return ModelDynamicBatching(
        preferred_batch_size=wanted.preferred_batch_sizes,
        max_queue_delay_microseconds=wanted.max_queue_delay_us,
        preserve_ordering=wanted.preserve_ordering,
        priority_levels=levels,
        default_priority_level=wanted.default_priority or levels,
        default_queue_policy=_queue(queue) if queue else None,
        priority_queue_policy={n: _queue(one) for n, one in wanted.priority_queues.items()},
    )


def _queue(queue: Queue) -> ModelQueuePolicy:
    return ModelQueuePolicy(
        timeout_action=queue.on_timeout,
        default_timeout_microseconds=queue.timeout_us,
        allow_timeout_override=queue.allow_override,
        max_queue_size=queue.max_size,
    )


def labelled(
    outputs: tuple[ModelOutput, ...], labels: tuple[str, ...], wanted: Triton
) -> tuple[ModelOutput, ...]:
    """The label file on the output that has a score for each class.

    Raises DocumentError where the policy names labels and no output takes them, or names another one.
    """
    scored = [o.name for o in outputs if o.dims == (len(labels),) and "_FP" in o.data_type]
    said = bool(wanted.labels or wanted.labels_file)
    name = wanted.label_output or next(iter(scored), "")
    if labels and (said or wanted.label_output) and name not in scored:
        shown = ", ".join(f"{o.name} {list(o.dims)}" for o in outputs)
        lacks = f"{wanted.label_output} has no" if wanted.label_output else "no output has a"
        raise DocumentError(
            f"triton.labels: {len(labels)} names, and {lacks} score for each; the outputs are {shown}: "
            "correct the names, or triton.label_output"
        )
    if not labels or not name:
        return outputs
    return tuple(replace(o, label_filename=LABELS) if o.name == name else o for o in outputs)


def metrics(policy: Policy) -> ModelMetrics | None:
    """Buckets of the latency histogram: the policy's own, or around its latency objectives.

    None where the target's server does not count histograms of such a model, or was not told to.
    """
    wanted = policy.triton
    buckets = wanted.histogram_buckets_ms
    if buckets is None:
        buckets = _around(policy) if _counts_histograms(policy) else ()
    if not buckets:
        return None
    control = MetricControl(
        metric_identifier=MetricIdentifier(family=HISTOGRAM),
        histogram_options=HistogramOptions(buckets=tuple(buckets)),
    )
    return ModelMetrics(metric_control=(control,))


def _counts_histograms(policy: Policy) -> bool:
    major, _, minor = policy.triton.version.partition(".")
    told = flag(policy.serving.args, "metrics-config")
    return (int(major), int(minor)) >= HISTOGRAMS_SINCE and "histogram_latencies=true" in told


def _around(policy: Policy) -> tuple[float, ...]:
    limits = [o.limit_ms for o in policy.slo.objectives if isinstance(o, LatencySlo)]
    return tuple(sorted({round(limit * share, 3) for limit in limits for share in AROUND}))
