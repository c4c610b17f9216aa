"""Reads of a cluster what `tidegate doctor` judges, and asks the API who may do what."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.core.checkup_access import Need

Json = dict[str, Any]
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KSERVE = "/apis/serving.kserve.io"
REVIEWS = "/apis/authorization.k8s.io/v1"


class Cluster:
    """One cluster, the namespace of the service, and that of the runs' accounts ('' = the same)."""

    def __init__(self, kube: Kubernetes, namespace: str, *, runs_in: str = "") -> None:
        self._kube, self._namespace = kube, namespace
        self._accounts = f"system:serviceaccount:{runs_in or namespace}"

    def version(self) -> str:
        """Of Kubernetes."""
        return str(self._kube.request("GET", "/version").get("gitVersion", "unknown"))

    def crd(self, name: str) -> Json | None:
        """A custom resource definition."""
        return self._kube.find(f"{CRDS}/{name}")

    def config(self, namespace: str, name: str) -> Json | None:
        """A ConfigMap of KServe or Knative."""
        return self._kube.find(f"/api/v1/namespaces/{namespace}/configmaps/{name}")

    def deployment(self, namespace: str, name: str) -> Json | None:
        """A controller."""
        return self._kube.find(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")

    def runtime(self, name: str) -> Json | None:
        """The namespace's own runtime of this name, else the cluster's, as KServe looks them up."""
        if not name:
            return None  # KServe is to choose, and this path would be that of all of them
        own = f"{KSERVE}/v1alpha1/namespaces/{self._namespace}/servingruntimes/{name}"
        return self._kube.find(own) or self._kube.find(
            f"{KSERVE}/v1alpha1/clusterservingruntimes/{name}"
        )

    def claim(self, name: str, namespace: str) -> Json | None:
        """A PersistentVolumeClaim."""
        return self._kube.find(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")

    def services(self) -> list[Json]:
        """The InferenceServices of the namespace."""
        path = f"{KSERVE}/v1beta1/namespaces/{self._namespace}/inferenceservices"
        return list(self._kube.request("GET", path)["items"])

    def nodes(self) -> list[Json]:
        """All nodes."""
        return list(self._kube.request("GET", "/api/v1/nodes")["items"])

    def pods(self) -> list[Json]:
        """All pods of the cluster that have not ended."""
        running = {"fieldSelector": "status.phase!=Succeeded,status.phase!=Failed"}
        return list(self._kube.request("GET", "/api/v1/pods", query=running)["items"])

    def allows(self, need: Need, account: str) -> bool:
        """Whether we may do this, or a ServiceAccount of the runs if one is named."""
        kind = "SubjectAccessReview" if account else "SelfSubjectAccessReview"
        user = {"user": f"{self._accounts}:{account}"} if account else {}
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": kind,
            "spec": {"resourceAttributes": need.attributes, **user},
        }
        answer = self._kube.request("POST", f"{REVIEWS}/{kind.lower()}s", body)
        return (answer.get("status") or {}).get("allowed") is True


def recorded_verbs() -> dict[str, list[Json]]:
    """What each step was recorded to ask for: inside the installed package, or in the source tree."""
    packaged = files("tidegate.adapters").joinpath("verbs.yaml")
    source = Path(__file__).parents[3] / "deploy" / "rbac" / "verbs.yaml"
    text = (packaged if packaged.is_file() else source).read_text(encoding="utf-8")
    found: dict[str, list[Json]] = yaml.safe_load(text)
    return found
