"""Every pattern under examples/: what it renders to is what KServe, the CRDs and an API server take."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import examples
from tests import crd
from tests.deploy.crd import complaints
from tests.kserve_judge import read_by_kserve
from tests.sandbox.controllers.test_kubectl import KUBECTL, OLDEST, minor_version
from tidegate.adapters.files import read_policy
from tidegate.sandbox import program
from tidegate.sandbox.api.server import ApiServer
from tidegate.sandbox.interfaces import Program

Json = dict[str, Any]
CRDS = {
    "InferenceService": "serving.kserve.io_inferenceservices.yaml",
    "ServingRuntime": "serving.kserve.io_servingruntimes.yaml",
}
PATTERNS = {
    "canary", "canary-standard", "blue-green", "hpa", "kpa", "scale-to-zero", "keda-gpu-utilization",
    "keda-queue-time", "mig", "time-slicing", "service-monitor", "dashboards", "dcgm", "transformer",
    "transformer-component", "explainer", "logger", "inference-graph", "sklearn-v1", "grpc", "several-gpus",
    "ensemble", "several-models", "digits-transformer", "digits-transformer-component", "digits-explainer",
}  # fmt: skip


def objects(name: str) -> list[Json]:
    return [one for one in yaml.safe_load_all(examples.text(name)) if one]


def of_kind(name: str, kind: str) -> list[Json]:
    return [one for one in objects(name) if one["kind"] == kind]


def test_every_pattern_that_users_know_has_an_example() -> None:
    assert set(examples.names()) >= PATTERNS


def test_kserves_own_models_know_every_field_of_every_example() -> None:
    kinds = ("InferenceService", "InferenceGraph", "ServingRuntime")
    made = [one for name in examples.names() for one in objects(name) if one["kind"] in kinds]
    assert [one["kind"] for one in read_by_kserve(made)] == [one["kind"] for one in made]


@pytest.mark.skipif(not crd.SHARED, reason="TIDEGATE_SHARED names no folder with the CRDs")
@pytest.mark.parametrize("name", examples.names())
def test_an_example_is_valid_by_the_crds_of_kserve(name: str) -> None:
    for one in objects(name):
        if one["kind"] in CRDS:
            assert crd.complaints(one, crd.KSERVE / CRDS[one["kind"]]) == []


def test_monitors_are_valid_by_the_crds_of_prometheus_operator() -> None:
    monitors = [
        one for name in examples.names() for one in objects(name) if one["kind"].endswith("Monitor")
    ]
    assert {one["kind"] for one in monitors} == {"PodMonitor", "ServiceMonitor"}
    assert [list(complaints(one)) for one in monitors] == [[] for _ in monitors]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("api")
    crds = crd.KSERVE if crd.SHARED else None
    server = ApiServer(state_dir=folder, crd_dir=crds)
    server.start()
    try:
        yield folder
    finally:
        server.stop()


@pytest.mark.skipif(minor_version() < OLDEST, reason=f"no kubectl 1.{OLDEST} or newer on PATH")
def test_kubectl_applies_every_example_by_the_servers_dry_run_and_nothing_stays(api: Path) -> None:
    base = [str(KUBECTL), "--kubeconfig", str(api / "kubeconfig"), "--cache-dir", str(api / "c")]
    folders = [examples.ROOT / name / "rendered.yaml" for name in examples.names()]
    shop = "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}"
    subprocess.run([*base, "apply", "-f", "-"], input=shop, text=True, check=True, timeout=30)
    given = [part for path in folders for part in ("-f", str(path))]
    applied = subprocess.run(
        [*base, "apply", "--dry-run=server", *given],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert applied.returncode == 0, applied.stderr
    told = applied.stdout.splitlines()
    assert len(told) == sum(len(objects(name)) for name in examples.names())
    assert all("(server dry run)" in line for line in told)
    left = subprocess.run(
        [*base, "get", "isvc,servingruntimes,scaledobjects,podmonitors", "-A", "-o", "json"],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert json.loads(left.stdout)["items"] == []


# -- what each of them is there to show


def predictor(name: str) -> Json:
    (service,) = of_kind(name, "InferenceService")
    found: Json = service["spec"]["predictor"]
    return found


def test_a_canary_is_a_percent_in_knative_mode_and_an_entry_in_standard_mode() -> None:
    assert predictor("canary")["canaryTrafficPercent"] == 10
    (service,) = of_kind("canary-standard", "InferenceService")
    assert [one["trafficPercent"] for one in service["spec"]["canary"]] == [10]


def test_green_stands_at_0_percent_behind_a_tag_url() -> None:
    (service,) = of_kind("blue-green", "InferenceService")
    assert service["spec"]["predictor"]["canaryTrafficPercent"] == 0
    assert service["metadata"]["annotations"]["serving.kserve.io/enable-tag-routing"] == "true"


def test_keda_scales_both_deployments_that_the_predictor_is_in_turn() -> None:
    scaled = of_kind("keda-gpu-utilization", "ScaledObject")
    names = [one["spec"]["scaleTargetRef"]["name"] for one in scaled]
    assert names == ["vision-blue-predictor", "vision-green-predictor"]
    queries = [one["spec"]["triggers"][0]["metadata"]["query"] for one in scaled]
    assert queries[0] == (
        'avg(DCGM_FI_DEV_GPU_UTIL{namespace="shop",pod=~"vision-blue-predictor-.*"})'
    )


@pytest.mark.parametrize(
    ("name", "resource"),
    [("mig", "nvidia.com/mig-3g.40gb"), ("time-slicing", "nvidia.com/gpu.shared")],
)
def test_a_share_of_a_gpu_is_the_resource_that_the_plugin_offers(name: str, resource: str) -> None:
    assert predictor(name)["model"]["resources"]["limits"] == {resource: "1"}


def test_every_placed_instance_of_a_model_is_on_a_gpu_that_the_pod_has() -> None:
    from tidegate.adapters.model_config_text import from_text

    policy = read_policy(examples.ROOT / "several-gpus" / "policy.yaml")
    groups = from_text(policy.triton.config, what="triton.config").instance_group
    held = policy.serving.gpu.count if policy.serving.gpu else 0
    assert {gpu for group in groups for gpu in group.gpus} == set(range(held))


@pytest.mark.parametrize(
    "name", ["digits-transformer", "digits-transformer-component", "digits-explainer"]
)
def test_a_program_listens_where_a_kubelet_asks_it_and_in_the_sandbox_on_loopback(
    name: str,
) -> None:
    (isvc,) = of_kind(name, "InferenceService")
    kind = "explainer" if "explainer" in isvc["spec"] else "transformer"
    spec = isvc["spec"].get(kind) or isvc["spec"]["predictor"]
    (words,) = (one["args"] for one in spec["containers"] if kind in json.dumps(one.get("command")))
    assert "--host=0.0.0.0" in words
    here = program.arguments(Program(container=kind, argv=("python3", *words), port=8080), {})
    assert "--host=127.0.0.1" in here
    assert not any("0.0.0.0" in word for word in here)
