"""The whole serving section as KServe reads it: its own models, and its CRD."""

import json
from typing import Any

import pytest

from tests.crd import KSERVE, SHARED, complaints
from tests.kserve_judge import read_by_kserve
from tidegate.core import knative, standard
from tidegate.core.isvc.components import changed, companions
from tidegate.core.isvc.extras import scaled_object
from tidegate.core.isvc.scaling import class_trouble, manifest_fields
from tidegate.core.manifest import released_template
from tidegate.core.rendering import Served, rendered
from tidegate.core.standard_manifest import entry, promoted
from tidegate.policy import Policy
from tidegate.policy.serving import Keda

NEW = "s3://models/fraud/8/"
CRD = KSERVE / "serving.kserve.io_inferenceservices.yaml"
TRANSFORMER = {"image": "features:1", "args": ["--feast=http://feast:6566"], "env": {"A": "b"}}
BOTH: dict[str, Any] = {
    "storage_key": "minio",
    "service_account": "model-reader",
    "gpu": {"kind": "mig", "profile": "1g.10gb", "product": "NVIDIA-A100-SXM4-80GB"},
    "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "2", "memory": "8Gi"}},
    "placement": {
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "topology_spread": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "runtime_class": "nvidia",
        "priority_class": "serving",
    },
    "labels": {"team": "risk"},
    "args": ["--log-verbose=1"],
    "env": {"OMP_NUM_THREADS": "2"},
    "logger": {"url": "http://sink", "mode": "request"},
}
WITHIN = {
    "transformer": {
        **TRANSFORMER,
        "port": 8081,
        "inputs": [{"name": "id", "datatype": "BYTES", "shape": [-1]}],
    }
}
OWN = {
    "transformer": TRANSFORMER | {"collocated": False, "max_replicas": 3},
    "explainer": {"art": "SquareAttack", "config": {"nb_classes": "10"}},
}
KPA = {"kind": "kpa", "metric": "rps", "target": 50, "initial_scale": 1, "scale_down_delay_s": 60}
TRIGGERS: list[dict[str, Any]] = [
    {"kind": "queue_time", "threshold": 20},
    {"kind": "gpu_utilization", "threshold": 80},
    {"kind": "prometheus", "query": "sum(up)", "threshold": 3},
]


def policy(serving: dict[str, Any], **parts: Any) -> Policy:
    base = {"name": "fraud", "namespace": "prod", "model": {"uri": "models:/fraud/8"}}
    return Policy.model_validate(base | {"serving": serving} | parts)


KEDA: dict[str, Any] = {"kind": "keda", "triggers": TRIGGERS}
CAPTURED = {"load": {"capture": "captured.jsonl"}}
EVERYTHING = {
    "Knative": [
        policy(BOTH | OWN | {"scaling": KPA, "concurrency": 8, "max_replicas": 4}),
        policy(BOTH | WITHIN | {"scaling": {"kind": "hpa", "metric": "memory"}}, **CAPTURED),
        policy({"port": "grpc", "explainer": {"image": "e:1"}}, load={"protocol": "grpc"}),
        policy({"format": "sklearn", "protocol": "v1", "batcher": {}}),
    ],
    "Standard": [
        policy(BOTH | {"scaling": {"kind": "hpa"}, "max_replicas": 4}),
        policy(BOTH | WITHIN | {"scaling": KEDA}, **CAPTURED),
        policy({"scaling": KEDA | {"via": "auto_scaling", "authentication": "prometheus"}}),
    ],
}
MANIFESTS = [
    json.loads(json.dumps(rules.manifest_of(one, NEW, "8")))
    for mode, rules in (("Knative", knative), ("Standard", standard))
    for one in EVERYTHING[mode]
]


def test_kserves_own_models_know_every_field_and_give_it_back() -> None:
    assert read_by_kserve(MANIFESTS) == MANIFESTS


@pytest.mark.skipif(not SHARED, reason="TIDEGATE_SHARED names no folder with the CRDs")
@pytest.mark.parametrize("manifest", MANIFESTS)
def test_the_crds_schema_takes_it(manifest: dict[str, Any]) -> None:
    assert complaints(manifest, CRD) == []


def of(serving: dict[str, Any], **parts: Any) -> dict[str, Any]:
    spec: dict[str, Any] = knative.manifest_of(policy(serving, **parts), NEW, "8")["spec"]
    return spec


def test_a_collocated_transformer_has_the_port_and_the_only_probe_of_the_pod() -> None:
    predictor = of(WITHIN, **CAPTURED)["predictor"]
    (container,) = predictor["containers"]
    assert container["name"] == "transformer-container"
    assert container["ports"] == [{"containerPort": 8081, "protocol": "TCP"}]
    assert container["readinessProbe"]["httpGet"]["port"] == 8081
    assert "readinessProbe" not in predictor["model"]
    assert "transformer" not in of(WITHIN, **CAPTURED)


def test_a_transformer_of_its_own_and_an_explainer_stand_beside_the_predictor() -> None:
    spec = of(OWN)
    assert spec["transformer"]["containers"][0]["name"] == "kserve-container"
    assert spec["transformer"]["maxReplicas"] == 3
    assert spec["explainer"]["art"] == {"type": "SquareAttack", "config": {"nb_classes": "10"}}
    assert "containers" not in spec["predictor"]


def test_credentials_are_those_of_the_storage_key_and_the_account() -> None:
    predictor = of(BOTH)["predictor"]
    assert predictor["model"]["storage"] == {"key": "minio"}
    assert predictor["serviceAccountName"] == "model-reader"


def test_a_canary_is_shown_with_the_pods_that_its_share_takes() -> None:
    asked = policy({"mode": "Standard", "min_replicas": 4, "max_replicas": 4})
    new, old = Served(storage_uri=NEW, version="8"), Served(storage_uri="s3://m/7/", version="7")
    (shown,) = rendered(asked, "Standard", new, percent=30, incumbent=old)
    (canary,) = shown.manifest["spec"]["canary"]
    assert (canary["trafficPercent"], canary["predictor"]["minReplicas"]) == (30, 2)


def test_grpc_is_the_pods_one_port() -> None:
    model = of({"port": "grpc"}, load={"protocol": "grpc"})["predictor"]["model"]
    assert model["ports"] == [{"name": "h2c", "containerPort": 9000, "protocol": "TCP"}]
    assert model["protocolVersion"] == "grpc-v2"


def test_knatives_autoscaler_is_told_in_fields_and_annotations() -> None:
    predictor = of({"scaling": KPA, "max_replicas": 4})["predictor"]
    assert (predictor["scaleMetric"], predictor["scaleTarget"]) == ("rps", 50)
    assert predictor["annotations"] == {
        "autoscaling.knative.dev/target-utilization-percentage": "70",
        "autoscaling.knative.dev/window": "60s",
        "autoscaling.knative.dev/initial-scale": "1",
        "autoscaling.knative.dev/scale-down-delay": "60s",
    }


@pytest.mark.parametrize(
    ("mode", "scaling", "key", "value"),
    [
        ("Knative", KPA, "autoscaling.knative.dev/class", "kpa.autoscaling.knative.dev"),
        ("Knative", {"kind": "hpa"}, "autoscaling.knative.dev/class", "hpa.autoscaling.knative.dev"),
        ("Standard", {"kind": "hpa"}, "serving.kserve.io/autoscalerClass", "hpa"),
        ("Standard", {"kind": "keda", "triggers": TRIGGERS}, "serving.kserve.io/autoscalerClass", "external"),
    ],
)  # fmt: skip
def test_the_class_stands_on_the_service_where_kserves_webhook_looks(
    mode: str, scaling: dict[str, Any], key: str, value: str
) -> None:
    rules = {"Knative": knative, "Standard": standard}[mode]
    made = rules.manifest_of(policy({"scaling": scaling}), NEW, "8")
    assert made["metadata"]["annotations"][key] == value
    wanted = policy({"scaling": scaling}).serving.scaling
    assert class_trouble(made["metadata"]["annotations"], wanted, mode) == ""


@pytest.mark.parametrize(
    ("threshold", "written"), [(20, "20"), (0.5, "0.5"), (1_234_567, "1234567")]
)
def test_keda_gets_every_digit_of_a_threshold(threshold: float, written: str) -> None:
    trigger = {"kind": "prometheus", "query": "sum(up)", "threshold": threshold}
    asked = policy({"mode": "Standard", "scaling": KEDA | {"triggers": [trigger]}})
    assert isinstance(asked.serving.scaling, Keda)
    (made,) = scaled_object(asked, asked.serving.scaling, "d")["spec"]["triggers"]
    assert made["metadata"]["threshold"] == written
    (metric,) = manifest_fields(
        asked.serving.scaling.model_copy(update={"via": "auto_scaling"}), "fraud", "prod"
    )["autoScaling"]["metrics"]
    assert metric["external"]["target"]["value"] == written


def test_another_class_than_the_served_one_is_no_release() -> None:
    wanted = policy({"scaling": {"kind": "keda", "triggers": TRIGGERS}}).serving.scaling
    said = class_trouble({}, wanted, "Standard")
    assert "its autoscaler is hpa" in said
    assert "serving.kserve.io/autoscalerClass=external" in said


def test_a_canary_of_a_scaled_predictor_scales_by_nothing_and_is_scaled_once_promoted() -> None:
    hpa = policy({"scaling": {"kind": "hpa", "target_percent": 60}, "max_replicas": 4})
    stable = standard.manifest_of(hpa, NEW, "8")["spec"]["predictor"]
    assert (stable["scaleMetric"], stable["scaleTarget"]) == ("cpu", 60)
    staged = entry(stable, "green", percent=0, replicas=1)
    assert not {"scaleMetric", "scaleTarget", "maxReplicas"} & set(staged["predictor"])
    bolder = hpa.model_copy(
        update={"serving": hpa.serving.model_copy(update={"max_replicas": 9})}
    ).model_dump(mode="json")
    after = promoted({**stable, "canary": [staged["predictor"]]}, bolder)
    assert (after["scaleTarget"], after["maxReplicas"], after["name"]) == (60, 9, "green")


def test_another_way_of_scaling_takes_the_place_of_the_one_before_whole() -> None:
    before = policy({"scaling": KEDA | {"via": "auto_scaling"}})
    stable = standard.manifest_of(before, NEW, "8")["spec"]["predictor"]
    staged = entry(stable, "green", percent=0, replicas=1)
    after = policy({"scaling": {"kind": "hpa"}}).model_dump(mode="json")
    made = promoted({**stable, "canary": [staged["predictor"]]}, after)
    assert "autoScaling" in stable
    assert ("autoScaling" in made, made["scaleMetric"]) == (False, "cpu")


CHANGES: list[dict[str, Any]] = [
    {"max_replicas": 2},
    {"resources": {"limits": {"cpu": "2"}}},
    {"scaling": {"kind": "hpa"}},
    {"transformer": TRANSFORMER | {"collocated": False}},
    {"labels": {"team": "risk"}},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_change_of_what_is_served_is_another_template_and_so_a_release(
    change: dict[str, Any],
) -> None:
    assert released_template(policy(change)) != released_template(policy({}))


def test_what_is_not_served_is_no_release_of_its_own() -> None:
    graph = {"name": "g", "steps": [{"service": "a"}, {"service": "fraud"}]}
    assert released_template(policy({"graph": graph})) == released_template(policy({}))


def test_what_kserve_filled_into_a_component_is_no_change_and_a_users_edit_is() -> None:
    asked = policy(OWN)
    held = json.loads(json.dumps(companions(asked)))
    held["transformer"]["containers"][0]["securityContext"] = {"runAsNonRoot": True}
    assert changed(held, asked) == ""
    beside = {**held, "transformer": {**held["transformer"], "containers": []}}
    assert changed(beside, asked) == (
        "spec.transformer.containers is not as serving.transformer says"
    )
    held["transformer"]["containers"][0]["image"] = "features:2"
    assert changed(held, asked) == (
        "spec.transformer.containers[0].image is not as serving.transformer says"
    )
    assert changed({}, asked) == "serving.transformer is not there yet"
    assert changed(held, policy({})) == (
        "spec.transformer is there, and the policy has no serving.transformer"
    )
