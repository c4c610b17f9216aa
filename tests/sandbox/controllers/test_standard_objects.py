"""What the controllers write in Standard mode, before other judges: the CRD, KServe's models, kubectl."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.kserve_judge import read_by_kserve
from tidegate.sandbox.api.admission import Admission
from tidegate.sandbox.api.kinds import INFERENCESERVICES
from tidegate.sandbox.api.schemas import load

from .standard_cluster import StandardCluster, entry, running
from .test_kubectl import Kubectl, kubectl, minor_version

SHARED = os.environ.get("TIDEGATE_SHARED")
CRDS = Path(SHARED or "unset") / "data" / "crds"
__all__ = ["kubectl"]  # the fixture
MANIFEST = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: digits
  annotations: {serving.kserve.io/deploymentMode: Standard}
spec:
  predictor:
    name: blue
    model: {modelFormat: {name: triton}, storageUri: "s3://models/1/"}
"""


def staged(cluster: StandardCluster) -> dict[str, Any]:
    cluster.create(minReplicas=2)
    cluster.ready("blue")
    cluster.canary(entry("green", 10, minReplicas=1, labels={"version": "2"}))
    cluster.ready("green")
    return cluster.base.isvc()


@pytest.mark.skipif(not CRDS.is_dir(), reason="TIDEGATE_SHARED names no CRDs")
def test_the_status_passes_the_schema_of_the_crd() -> None:
    admission = Admission(load(CRDS))
    with running(crd_dir=CRDS) as cluster:
        isvc = staged(cluster)
        assert cluster.shares() == {"blue": 90, "green": 10}
        assert admission.unknown_fields(INFERENCESERVICES, isvc) == []
        admission.schemas.check(INFERENCESERVICES, isvc)


def test_kserves_own_models_read_the_service_and_write_it_back() -> None:
    with running() as cluster:
        isvc = staged(cluster)
    assert read_by_kserve([isvc]) == [isvc]
    (status,) = isvc["status"]["canaryStatuses"]
    assert (status["name"], status["ready"], status["trafficPercent"]) == ("green", True, 10)


def test_the_official_client_reads_every_kind() -> None:
    with running() as cluster:
        staged(cluster)
        deployment = cluster.deployment("blue")
        assert deployment.spec.selector.match_labels == {"app": "isvc.digits-blue-predictor"}
        (owner,) = deployment.metadata.owner_references
        assert (owner.kind, owner.name) == ("InferenceService", "digits")
        sets = cluster.apps.list_namespaced_replica_set("default").items
        assert {s.metadata.owner_references[0].kind for s in sets} == {"Deployment"}
        pods = cluster.core.list_namespaced_pod("default").items
        assert {p.metadata.owner_references[0].kind for p in pods} == {"ReplicaSet"}
        service = cluster.core.read_namespaced_service("digits-green-predictor", "default")
        assert service.spec.selector == {"app": "isvc.digits-green-predictor"}
        assert (service.spec.ports[0].port, service.spec.ports[0].target_port) == (80, 8080)


@pytest.mark.skipif(minor_version() < 28, reason="no kubectl of version 1.28 or newer on PATH")
def test_kubectl_sees_a_rollout_and_the_routes(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("wait", "isvc/digits", "--for=condition=Ready", "--timeout=60s")
    told = kubectl("rollout", "status", "deployment/digits-blue-predictor", "--timeout=60s")
    assert "successfully rolled out" in told
    canary = [entry("green", 10, "s3://models/2/", minReplicas=1)]
    patch = json.dumps({"spec": {"canary": canary}})
    kubectl("patch", "isvc", "digits", "--type", "merge", "-p", patch)
    # Not `--for=condition`: kubectl waits for status.observedGeneration, which is a Deployment's here.
    ready = "jsonpath={.status.canaryStatuses[0].ready}=true"
    kubectl("wait", "isvc/digits", f"--for={ready}", "--timeout=60s")
    route = json.loads(kubectl("get", "httproute", "digits", "-o", "json"))
    assert [ref["weight"] for ref in route["spec"]["rules"][0]["backendRefs"]] == [90, 10]
    listed = kubectl("get", "deploy,rs,svc,pods,httproutes")
    assert "digits-green-predictor" in listed
    assert "digits.default.example.com" in listed


def test_the_cluster_says_what_it_has_installed() -> None:
    with running() as cluster:
        objects = cluster.base.objects
        crds = ("apiextensions.k8s.io", "v1", "customresourcedefinitions")
        listed = objects.list_cluster_custom_object(*crds)["items"]
        names = {crd["metadata"]["name"] for crd in listed}
        wanted = {"inferenceservices.serving.kserve.io", "httproutes.gateway.networking.k8s.io"}
        assert wanted < names
        assert "deployments.apps" not in names
        found = objects.get_cluster_custom_object(*crds, "inferenceservices.serving.kserve.io")
        schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert "canary" in schema["properties"]["spec"]["properties"]
        manager = cluster.apps.read_namespaced_deployment("kserve-controller-manager", "kserve")
        (container,) = manager.spec.template.spec.containers
        assert container.image == "kserve/kserve-controller:v0.21.0"
        assert cluster.base.runtime.specs == {}


def test_a_deployment_that_is_no_predictor_runs_nothing() -> None:
    with running() as cluster:
        labels = {"app": "web"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        cluster.apps.create_namespaced_deployment(
            "default", {"metadata": {"name": "web"}, "spec": spec}
        )
        cluster.settle()
        assert cluster.base.runtime.specs == {}
        assert cluster.apps.list_namespaced_replica_set("default").items == []
