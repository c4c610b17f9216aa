"""What a policy says of batching, queues, instances, labels and metrics becomes fields of ModelConfig."""

from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.core import model_config
from tidegate.core.model_config import (
    LABELS,
    ModelConfig,
    ModelDynamicBatching,
    ModelInstanceGroup,
    ModelQueuePolicy,
    OnGpu,
)
from tidegate.core.model_config.from_policy import AROUND
from tidegate.core.model_config.instances import ModelRateLimiter, RateLimiterResource
from tidegate.core.model_config.on_gpu import on_gpus
from tidegate.core.visible_gpus import visible_gpus
from tidegate.documents import Tensor
from tidegate.errors import DocumentError
from tidegate.policy import Policy, Triton

X = Tensor(name="X", dtype="FP32", shape=(-1, 64))
LABEL = Tensor(name="label", dtype="INT64", shape=(-1,))
SCORES = Tensor(name="probabilities", dtype="FP32", shape=(-1, 3))
COUNTS = ("--metrics-config=histogram_latencies=true",)


def build(labels: tuple[str, ...] = (), **wanted: Any) -> ModelConfig:
    return model_config.build(
        name="m",
        backend="onnxruntime",
        inputs=(X,),
        outputs=(LABEL, SCORES),
        wanted=Triton.model_validate(wanted),
        shapes={},
        labels=labels,
    )


def test_cpu_and_gpu_groups_stand_side_by_side() -> None:
    mixed = [
        {"kind": "KIND_GPU", "count": 2, "gpus": [0, 3], "profile": ["1"]},
        {"kind": "KIND_CPU", "count": 4, "host_policy": "numa_1"},
    ]
    assert build(instance_groups=mixed).instance_group == (
        ModelInstanceGroup(kind="KIND_GPU", count=2, gpus=(0, 3), profile=("1",)),
        ModelInstanceGroup(kind="KIND_CPU", count=4, host_policy="numa_1"),
    )


def test_a_gpu_takes_the_instances_unless_the_policy_places_them() -> None:
    free, placed = Triton(instances=2), Triton(instances=2, instance_kind="KIND_CPU")
    kinds = [on_gpus(model_config.groups(one), one, OnGpu())[0].kind for one in (free, placed)]
    assert kinds == ["KIND_GPU", "KIND_CPU"]


def test_a_group_may_hold_resources_while_it_runs() -> None:
    limit = {"priority": 2, "resources": [{"name": "bus", "count": 3, "of_server": True}]}
    (group,) = build(instance_groups=[{"rate_limit": limit}]).instance_group
    resource = RateLimiterResource(name="bus", global_=True, count=3)
    assert group.rate_limiter == ModelRateLimiter(priority=2, resources=(resource,))


def test_priorities_have_queues_of_their_own_and_the_last_level_is_for_those_that_name_none() -> (
    None
):
    config = build(
        priority_levels=3,
        preferred_batch_sizes=[4, 8],
        preserve_ordering=True,
        queue={"max_size": 100, "timeout_us": 5000, "on_timeout": "DELAY", "allow_override": True},
        priority_queues={"1": {"max_size": 9}},
    )
    assert config.dynamic_batching == ModelDynamicBatching(
        preferred_batch_size=(4, 8),
        preserve_ordering=True,
        priority_levels=3,
        default_priority_level=3,
        default_queue_policy=ModelQueuePolicy(
            max_queue_size=100,
            default_timeout_microseconds=5000,
            timeout_action="DELAY",
            allow_timeout_override=True,
        ),
        priority_queue_policy={1: ModelQueuePolicy(max_queue_size=9)},
    )


def test_tags_and_the_cache_are_said_as_they_are() -> None:
    config = build(metric_tags={"release": "r42"}, response_cache=True)
    assert config.metric_tags == {"release": "r42"}
    assert config.response_cache is not None
    assert config.response_cache.enable


def test_labels_go_to_the_output_that_scores_each_class() -> None:
    named = build(labels=("a", "b", "c"))
    assert [o.label_filename for o in named.output] == ["", LABELS]
    assert [o.label_filename for o in build(labels=("a", "b")).output] == ["", ""]


def test_labels_of_the_policy_that_no_output_takes_are_an_error_that_shows_the_outputs() -> None:
    with pytest.raises(
        DocumentError, match=r"2 names, and probabilities has no score .* probabilities \[3\]"
    ):
        build(labels=("a", "b"), label_output="probabilities")
    with pytest.raises(DocumentError, match="2 names, and no output has a score"):
        model_config.build(
            name="m", backend="onnxruntime", inputs=(X,), outputs=(LABEL, SCORES),
            wanted=Triton(labels=("a", "b")), shapes={}, labels=("a", "b"),
        )  # fmt: skip
    with pytest.raises(DocumentError, match="3 names, and label has no score"):
        build(labels=("a", "b", "c"), label_output="label")


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"instances": 2, "instance_groups": [{}]}, "instance_groups and instances say the same"),
        ({"max_queue_size": 2, "queue": {}}, "queue and max_queue_size say the same"),
        ({"labels": ["a"], "labels_file": "l"}, "labels and labels_file say the same"),
        ({"labels_file": "../l"}, "without .."),
        ({"instance_groups": [{"gpus": [0]}]}, "write kind: KIND_GPU"),
        ({"priority_levels": 2, "default_priority": 3}, "priority 3 is not within 1..2"),
        ({"priority_levels": 2, "priority_queues": {"4": {}}}, "priority 4 is not within 1..2"),
    ],
)
def test_what_contradicts_itself_is_refused_with_the_policy(
    wanted: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError, match=told):
        Triton.model_validate(wanted)


def policy(version: str = "2.65", args: tuple[str, ...] = COUNTS, **triton: Any) -> Policy:
    latency = {"kind": "latency", "quantile": 0.99, "limit_ms": 40}
    return Policy.model_validate(
        {
            "name": "m",
            "model": {"uri": "models:/m/1"},
            "triton": {"version": version, **triton},
            "serving": {"args": args},
            "slo": {"objectives": [latency]},
        }
    )


def buckets(wanted: Policy) -> tuple[float, ...]:
    found = model_config.metrics(wanted)
    if found is None:
        return ()
    options = found.metric_control[0].histogram_options
    assert options is not None
    return options.buckets


def test_buckets_lie_around_the_latency_objective_and_one_edge_is_the_limit_itself() -> None:
    found = buckets(policy())
    assert found == tuple(40 * share for share in AROUND)
    assert 40 in found


def test_no_buckets_are_said_to_a_server_that_counts_none() -> None:
    assert buckets(policy(version="2.64")) == ()
    assert buckets(policy(args=())) == ()
    assert buckets(policy(histogram_buckets_ms=[])) == ()
    assert buckets(policy(args=(), histogram_buckets_ms=[1, 2.5])) == (
        1,
        2.5,
    )  # the linter refuses it


@pytest.mark.parametrize(
    ("limits", "seen"),
    [
        ({}, None),
        ({"cpu": "2"}, None),
        ({"nvidia.com/gpu": "2"}, 2),
        ({"nvidia.com/gpu.shared": "1"}, 1),
        ({"nvidia.com/mig-1g.10gb": "3"}, 1),
    ],
)
def test_a_process_sees_whole_gpus_all_and_of_mig_slices_one(
    limits: dict[str, str], seen: int | None
) -> None:
    assert visible_gpus({"limits": limits}) == seen
