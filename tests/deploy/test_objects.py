"""The objects of deploy/: valid by Kubernetes' own schemas and KServe's CRDs, and no wider than recorded."""

import copy
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.testing import CliRunner

from deploy.objects.rbac import BY_CHOICE, UNRECORDED
from tests.rbac.verbs import load
from tidegate.cli import app
from tidegate.orchestrators.surroundings import IN_SECRET, NAME, labels
from tidegate.sandbox import binaries
from tidegate.sandbox.api import schemas
from tidegate.sandbox.api.errors import ApiError
from tidegate.sandbox.api.kinds import ALL
from tidegate.steps.registry import steps

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
BASE = ROOT / "deploy" / "base"
OVERLAYS = {"kubeflow": "kubeflow-user-example-com", "argo": "argo"}
KUBERNETES = "1.33"  # the oldest that the tested Knative runs on


def objects(*paths: Path) -> list[Json]:
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [one for text in texts for one in yaml.safe_load_all(text)]


def written() -> list[Json]:
    files = [path for path in sorted(BASE.glob("*.yaml")) if path.name != "kustomization.yaml"]
    return objects(*files)


def built(overlay: str) -> list[Json]:
    """What kustomize makes of it."""
    if not shutil.which("kubectl"):
        pytest.skip("no kubectl here, whose kustomize would build the overlay")
    folder = str(ROOT / "deploy" / "overlays" / overlay)
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def is_core(item: Json) -> bool:
    return "kserve" not in item["apiVersion"]


def named(items: list[Json], kind: str) -> dict[str, Json]:
    return {one["metadata"]["name"]: one for one in items if one["kind"] == kind}


def check(item: Json) -> None:
    kubernetes_validate.validate(item, KUBERNETES, strict=True)


@pytest.mark.parametrize("overlay", ["", *OVERLAYS])
def test_every_core_object_is_valid_by_kubernetes_own_schema(overlay: str) -> None:
    items = built(overlay) if overlay else written()
    for item in filter(is_core, items):
        check(item)
    assert len(items) > 30


def mutants() -> Iterator[Any]:
    """One object of every kind with a field that it does not have, and one with a wrong type."""
    for kind, item in {one["kind"]: one for one in written() if is_core(one)}.items():
        typo = copy.deepcopy(item)
        typo["metadata"]["lables"] = {}
        yield pytest.param(typo, id=f"{kind} with a typo")
        wrong = copy.deepcopy(item)
        wrong["metadata"]["labels"] = "text"
        yield pytest.param(wrong, id=f"{kind} with a wrong type")


@pytest.mark.parametrize("mutant", [*mutants()])
def test_the_check_sees_what_is_wrong(mutant: Json) -> None:
    with pytest.raises(kubernetes_validate.utils.ValidationError):
        check(mutant)


def test_the_serving_runtime_is_valid_by_kserves_own_crd(tmp_path: Path) -> None:
    shared = os.environ.get("TIDEGATE_SHARED")
    if not shared:
        pytest.skip("TIDEGATE_SHARED names no folder with the CRDs")
    crd = Path(shared) / "data" / "crds" / "serving.kserve.io_servingruntimes.yaml"
    (tmp_path / crd.name).symlink_to(crd)  # alone: the others take seconds to read
    crds = schemas.load(tmp_path)
    kind = next(one for one in ALL if one.kind == "ServingRuntime")
    runtime = named(written(), "ServingRuntime")["tidegate-triton"]
    crds.check(kind, runtime)
    assert crds.prune(kind, runtime)[1] == []
    del runtime["spec"]["supportedModelFormats"][0]["name"]
    with pytest.raises(ApiError):
        crds.check(kind, runtime)


# -- who may do what


def granted(step: str, items: list[Json]) -> set[tuple[str, ...]]:
    """(group, resource, name, verb) of every role that is bound to the account of a step."""
    rules: set[tuple[str, ...]] = set()
    for kind in ("Role", "ClusterRole"):
        roles = named(items, kind)
        for bound in named(items, f"{kind}Binding").values():
            accounts = [one["name"] for one in bound["subjects"]]
            if f"tidegate-{step}" in accounts:
                rules |= set(_flat(roles[bound["roleRef"]["name"]]["rules"]))
    return rules


def _flat(rules: list[Json]) -> Iterator[tuple[str, ...]]:
    for rule in rules:
        (group,), (resource,) = rule["apiGroups"], rule["resources"]
        for name in rule.get("resourceNames", [""]):
            yield from ((group, resource, name, verb) for verb in rule["verbs"])


def wanted(step: str) -> set[tuple[str, ...]]:
    rules = [] if step in BY_CHOICE else load().get(step, [])
    kept = [one for one in rules if (one.resource, one.namespace) != ("pods", "*")]
    recorded = {(one.group, one.resource, one.name, one.verb) for one in kept}
    unrecorded = UNRECORDED.get(step, [])
    return recorded | {
        (r["apiGroup"], r["resource"], "", v) for r in unrecorded for v in r["verbs"]
    }


@pytest.mark.parametrize("step", [one.command for one in steps().values()])
def test_a_step_may_do_what_it_was_recorded_to_do_and_no_more(step: str) -> None:
    items = written()
    assert granted(step, items) == wanted(step)
    account = named(items, "ServiceAccount")[f"tidegate-{step}"]
    assert account["automountServiceAccountToken"] == bool(wanted(step))


def test_a_gate_may_run_jobs_only_where_an_overlay_chooses_the_component() -> None:
    folder = ROOT / "deploy" / "components" / "job-gate"
    items = objects(folder / "role.yaml")
    for item in items:
        check(item)
    recorded = {(one.group, one.resource, one.name, one.verb) for one in load()["gate"]}
    assert granted("gate", items) == recorded
    assert ("batch", "jobs", "", "create") in recorded
    assert not any(
        "jobs" in rule["resources"] for one in written() for rule in one.get("rules", ())
    )
    (kustomization,) = objects(folder / "kustomization.yaml")
    assert (kustomization["kind"], kustomization["resources"]) == ("Component", ["role.yaml"])
    target = kustomization["patches"][0]["target"]
    assert target["name"] in named(written(), "ServiceAccount")


def test_nodes_are_read_by_deploy_and_doctor_alone_and_through_a_cluster_role() -> None:
    readers = {
        (role["kind"], role["metadata"]["name"])
        for role in written()
        for rule in role.get("rules", ())
        if "nodes" in rule["resources"]
    }
    assert readers == {("ClusterRole", "tidegate-deploy"), ("ClusterRole", "tidegate-doctor")}


def test_pods_of_all_namespaces_are_read_only_where_an_overlay_chooses_the_component() -> None:
    items = objects(ROOT / "deploy" / "components" / "room" / "role.yaml")
    for item in items:
        check(item)
    (role, binding) = items
    assert role["kind"] == "ClusterRole"
    assert [(rule["resources"], rule["verbs"]) for rule in role["rules"]] == [(["pods"], ["list"])]
    readers = {one["name"] for one in binding["subjects"]}
    assert readers == {"tidegate-deploy", "tidegate-doctor", "default-editor"}
    wide = [one for one in written() if one["kind"] == "ClusterRole"]
    assert not [one for one in wide for rule in one["rules"] if "pods" in rule["resources"]]


def test_nothing_is_granted_with_a_wildcard() -> None:
    assert not [rule for one in written() for rule in one.get("rules", ()) if "*" in str(rule)]


@pytest.mark.parametrize(("overlay", "namespace"), OVERLAYS.items())
def test_an_overlay_moves_everything_and_every_binding_finds_its_account(
    overlay: str, namespace: str
) -> None:
    items = built(overlay)
    accounts = set(named(items, "ServiceAccount")) | {"default-editor"}
    for item in items:
        assert item["metadata"].get("namespace", namespace) == namespace
        for subject in item.get("subjects", ()):
            assert subject["namespace"] == namespace
            assert subject["name"] in accounts
        if role := item.get("roleRef"):
            assert role["name"] in named(items, role["kind"])


def test_a_kubeflow_run_may_do_what_each_of_its_steps_may() -> None:
    items = built("kubeflow")
    bound = [one for one in items if "default-editor" in str(one.get("subjects", ""))]
    reached = {(one["roleRef"]["kind"], one["roleRef"]["name"]) for one in bound}
    roles = {(one["kind"], one["metadata"]["name"]) for one in items if "rules" in one}
    assert reached == roles - {("ClusterRole", "tidegate-doctor")}


def test_every_account_of_an_argo_pod_may_report_its_result() -> None:
    items = built("argo")
    for step in steps().values():
        rule = ("argoproj.io", "workflowtaskresults", "", "create")
        assert rule in granted(step.command, items)


def test_every_account_that_an_argo_workflow_names_is_there() -> None:
    accounts = named(built("argo"), "ServiceAccount")
    documents = objects(*sorted((ROOT / "workflows").glob("release*.yaml")))
    templates = [one for document in documents for one in document["spec"].get("templates", ())]
    asked = {one["serviceAccountName"] for one in templates if "serviceAccountName" in one}
    assert "tidegate-deploy" in asked
    assert asked <= set(accounts)


# -- what runs


def test_the_sweep_runs_read_only_as_nobody_and_the_network_policy_selects_it() -> None:
    items = written()
    job = named(items, "CronJob")["tidegate-sweep"]["spec"]
    assert job["concurrencyPolicy"] == "Forbid"
    template = job["jobTemplate"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["spec"]["securityContext"]["runAsUser"] > 0
    assert template["spec"]["serviceAccountName"] in named(items, "ServiceAccount")
    selector = named(items, "NetworkPolicy")["tidegate-sweep"]["spec"]["podSelector"]
    assert selector["matchLabels"].items() <= template["metadata"]["labels"].items()
    of_runs = [labels(step) for step in steps().values() if step.name != "sweep"]
    assert not [one for one in of_runs if selector["matchLabels"].items() <= one.items()]


def test_the_sidecar_that_would_keep_the_sweep_alive_is_off_in_kubeflow() -> None:
    job = named(built("kubeflow"), "CronJob")["tidegate-sweep"]
    labels = job["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert labels["sidecar.istio.io/inject"] == "false"


def test_the_runtime_serves_the_pinned_triton_with_flags_that_triton_has() -> None:
    release = yaml.safe_load((ROOT / "deploy" / "triton.yaml").read_text())["release"]
    (container,) = named(written(), "ServingRuntime")["tidegate-triton"]["spec"]["containers"]
    assert container["image"] == f"nvcr.io/nvidia/tritonserver:{release}-py3"
    command = [str(binaries.tritonserver()), "--help"]
    libraries = os.pathsep.join(map(str, binaries.triton_libraries()))
    help_text = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"LD_LIBRARY_PATH": libraries}
    )
    known = help_text.stdout + help_text.stderr
    for argument in container["args"][1:]:
        assert argument.partition("=")[0] in known
    assert not [one for one in container["args"] if "counter_latencies" in one]


# -- kind


def test_what_kind_is_given_is_valid_and_it_is_monitored_as_any_other_cluster() -> None:
    for item in objects(*sorted((ROOT / "deploy" / "kind").glob("*.yaml"))):
        check(item)
    assert "kubectl apply -n argo -k deploy/monitoring" in (ROOT / "deploy/kind/up").read_text()


def test_runs_on_kind_keep_files_and_models_in_the_bucket_that_is_there(tmp_path: Path) -> None:
    up = (ROOT / "deploy/kind/up").read_text()
    there = objects(ROOT / "deploy/kind/services.yaml")
    secrets, services = named(there, "Secret"), named(there, "Service")
    command = re.search(r"tidegate (compile argo --output )\S+ (.+)", up)
    assert command
    given = [*command[1].split(), str(tmp_path), *command[2].split()]
    assert CliRunner().invoke(app, given).exit_code == 0
    templates = yaml.safe_load((tmp_path / "release.yaml").read_text())["spec"]["templates"]
    s3 = next(one["archiveLocation"]["s3"] for one in templates if "archiveLocation" in one)
    for key in (s3["accessKeySecret"], s3["secretKeySecret"]):
        assert secrets[key["name"]]["stringData"][key["key"]]
    (port,) = services["minio"]["spec"]["ports"]
    assert s3["endpoint"] == f"minio.argo:{port['port']}"
    assert f"TIDEGATE_STORAGE_URI=s3://{s3['bucket']}/" in up
    own = secrets[NAME]["stringData"]
    assert set(own) <= set(IN_SECRET)
    assert own["AWS_ENDPOINT_URL"] == f"http://{s3['endpoint']}"


def test_kind_is_not_brought_up_without_its_tools(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to(str(shutil.which("dirname")))
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "deploy" / "kind" / "up")],
        capture_output=True, text=True, env={"PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "kind/up: docker is missing; install it and run this again\n"
