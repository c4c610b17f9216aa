"""The serving section: what it means, and what each mode cannot do, told when the policy is read."""

from typing import Any

import pytest
from pydantic import ValidationError

from tidegate.core.checkup import FLAGS, State, features
from tidegate.core.manifest import predictor
from tidegate.policy import Policy, unsupported

BASE: dict[str, Any] = {"name": "fraud", "model": {"uri": "models:/fraud/8"}}
KEDA = {"kind": "keda", "triggers": [{"kind": "queue_time", "threshold": 20}]}
OWN = {"image": "features:1", "collocated": False}
WITHIN = {"image": "features:1", "port": 8081}
ENTITY = {"name": "id", "datatype": "INT64", "shape": [-1, 1]}


def policy(serving: dict[str, Any], **parts: Any) -> Policy:
    return Policy.model_validate(BASE | {"serving": serving} | parts)


@pytest.mark.parametrize(
    ("serving", "parts", "said"),
    [
        ({"mode": "Knative", "scaling": KEDA}, {}, "write kind: kpa with metric concurrency or rps"),
        ({"mode": "Standard", "scaling": {"kind": "kpa"}}, {}, "write kind: hpa, or keda"),
        ({"mode": "Standard", "transformer": OWN}, {}, "write transformer.collocated: true"),
        ({"mode": "Standard", "transformer": OWN}, {}, "or with kserve#5944 to nobody"),
        ({"mode": "Standard", "explainer": {"art": "SquareAttack"}}, {}, "an InferenceService of its own"),
        ({"mode": "Standard", "explainer": {"image": "e:1"}}, {}, "takes that Service away from its pods"),
        ({"mode": "Standard", "concurrency": 4}, {}, "limit triton.max_queue_size"),
        ({"min_replicas": 0}, {}, "write scaling: {kind: kpa}"),
        ({"min_replicas": 0, "scaling": {"kind": "kpa"}}, {}, "write traffic.steps: [100]"),
        (
            {"min_replicas": 0, "scaling": {"kind": "kpa"}},
            {"traffic": {"steps": [100]}},
            "set traffic.keep_warm_s",
        ),
        ({"min_replicas": 3, "max_replicas": 2}, {}, "max_replicas 2 is below min_replicas 3"),
        ({"min_replicas": 2, "max_replicas": 4, "scaling": KEDA}, {}, "min_replicas 2 beside KEDA"),
        (
            {"max_replicas": 2, "scaling": {"kind": "kpa", "initial_scale": 3}},
            {},
            "initial_scale 3 is above max_replicas 2",
        ),
        ({"protocol": "v1"}, {}, "protocol v1 is not spoken by Triton"),
        ({"batcher": {}}, {}, "let Triton batch"),
        ({"port": "grpc"}, {}, "write load.protocol: grpc"),
        ({"port": "grpc", "transformer": WITHIN}, {}, "write port: http"),
        ({"transformer": WITHIN}, {}, "set load.capture"),
        ({"transformer": WITHIN | {"port": 8080}}, {}, "port 8080 is the model server's"),
        ({"transformer": WITHIN | {"port": 9000}}, {}, "port 9000 is the model server's"),
        ({"transformer": WITHIN | {"inputs": [{**ENTITY, "value": "a"}]}}, {}, "'a' of input 'id' is no"),
        ({"transformer": WITHIN | {"inputs": [{**ENTITY, "value": 0.5}]}}, {}, "0.5 of input 'id' is no"),
        ({"transformer": WITHIN}, {"load": {"protocol": "grpc"}}, "write load.protocol: http"),
        ({"transformer": OWN}, {"name": "f" * 45}, "shorten it by 1"),
        ({"explainer": {"image": "e:1", "art": "SquareAttack"}}, {}, "set either image or art"),
        ({"gpu": {"kind": "mig"}}, {}, "write e.g. 1g.10gb"),
        ({"gpu": {"kind": "whole", "profile": "1g.10gb"}}, {}, "goes with kind: mig"),
        ({"gpu": {"kind": "shared", "count": 2}}, {}, "write count: 1"),
        ({"gpu": {"preflight": "report"}}, {}, "preflight is serving.preflight now; write it there"),
        (
            {"gpu": {}, "resources": {"limits": {"nvidia.com/gpu": "1"}}},
            {},
            "which gpu asks for already",
        ),
        ({"resources": {"limits": {"nvidia.com/gpu": "0.5"}}}, {}, "write a whole number"),
        ({"resources": {"limits": {"memory": "lots"}}}, {}, "is no quantity"),
        ({"resources": {"requests": {"nvidia.com/gpu": "1"}}}, {}, "must equal its limit"),
        ({"env": {"PORT": "1"}}, {}, "PORT is reserved"),
        ({"placement": {"tolerations": [{"operator": "Exists", "value": "x"}]}}, {}, "remove it"),
        ({"placement": {"affinity": {"gpuAffinity": {}}}}, {}, "affinity.gpuAffinity is not known"),
        (
            {"graph": {"name": "g", "router": "Splitter", "steps": [{"service": "a"}, {"service": "b"}]}},
            {},
            "must add up to 100",
        ),
        (
            {"scaling": {"kind": "keda", "triggers": [{"kind": "gpu_utilization", "threshold": 800}]}},
            {},
            "is in %",
        ),
    ],
)  # fmt: skip
def test_what_kserve_would_ignore_or_break_is_refused_with_what_to_write_instead(
    serving: dict[str, Any], parts: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        policy(serving, **parts)
    assert said in str(refused.value)


def test_without_a_mode_the_refusal_waits_until_the_cluster_says_it() -> None:
    serving = policy({"scaling": KEDA}).serving
    assert unsupported(serving, "Standard") == ""
    assert "does nothing in Knative mode" in unsupported(serving, "Knative")


def test_a_gpu_is_the_resource_of_nvidias_plugin() -> None:
    named: dict[str, dict[str, Any]] = {
        "nvidia.com/gpu": {"count": 2},
        "nvidia.com/mig-1g.10gb": {"kind": "mig", "profile": "1g.10gb"},
        "nvidia.com/gpu.shared": {"kind": "shared"},
        "nvidia.com/mig-1g.10gb.shared": {"kind": "mig-shared", "profile": "1g.10gb"},
    }
    for resource, gpu in named.items():
        assert policy({"gpu": gpu}).serving.limits == {resource: str(gpu.get("count", 1))}


def test_doctor_names_the_flag_of_every_field_that_knative_refuses_as_shipped() -> None:
    placed = {
        "placement": {"node_selector": {"pool": "gpu"}, "priority_class": "serving"},
        "transformer": WITHIN,
    }
    spec = predictor(policy(placed, load={"capture": "c.jsonl"}), "s3://m/1/", "1").as_dict()
    probed = {"spec": {"containers": [{"readinessProbe": {}}, {"readinessProbe": {"httpGet": {}}}]}}
    said = features({"data": {}}, probed, spec)
    assert said.state is State.FAIL
    assert said.found == (
        "off, and used by the policy: kubernetes.podspec-nodeselector, "
        "kubernetes.podspec-priorityclassname, multi-container-probing"
    )
    on = dict.fromkeys(FLAGS.values(), "enabled")
    assert features({"data": on}, probed, spec).state is State.OK
