"""The kustomize base and its overlays."""

from collections.abc import Iterator

import yaml

from deploy.objects import rbac
from deploy.objects.metadata import PART_OF, Json, account

KUSTOMIZATION = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
# Kubeflow runs every task of a run as one account of the profile's namespace.
KUBEFLOW_ACCOUNT = "default-editor"
KUBEFLOW_NAMESPACE = "kubeflow-user-example-com"
ARGO_NAMESPACE = "argo"


def moved(namespace: str) -> Json:
    """An overlay's namespace, in bindings too, whose subject need not be ours: a Kubeflow run's account."""
    transformer = {
        "apiVersion": "builtin",
        "kind": "NamespaceTransformer",
        "metadata": {"name": "namespace", "namespace": namespace},
        "setRoleBindingSubjects": "allServiceAccounts",
        "fieldSpecs": [{"path": "metadata/name", "kind": "Namespace", "create": True}],
    }
    return {"transformers": [_text(transformer)]}


def base(files: list[str]) -> Json:
    """Everything that both orchestrators need."""
    return KUSTOMIZATION | {"resources": sorted(files)}


def component(files: list[str]) -> Json:
    """A part that a user's kustomization takes under `components:`, in a namespace of its choice."""
    head = {"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}
    return head | ({"resources": sorted(files)} if files else {})


def dashboards(uids: list[str]) -> Json:
    """A ConfigMap for each, by the label that Grafana's sidecar looks for in kube-prometheus-stack."""
    options = {
        "disableNameSuffixHash": True,
        "labels": {"grafana_dashboard": "1", **PART_OF},
        "annotations": {"grafana_folder": "tidegate"},
    }
    made = [
        {"name": f"{uid}-dashboard", "files": [f"{uid}.json"], "options": options} for uid in uids
    ]
    return component([]) | {"configMapGenerator": made}


def monitoring() -> Json:
    """All of it together, for a cluster that has Prometheus' operator and Grafana's sidecar."""
    return KUSTOMIZATION | {"components": ["monitors", "rules", "dashboards"]}


def gpu(parts: list[str]) -> Json:
    """In the GPU Operator's own namespace, where its values look for them."""
    return KUSTOMIZATION | {"namespace": "gpu-operator", "components": parts}


def kubeflow() -> Json:
    """In a profile's namespace. The sweep's pod has no sidecar: a Job with one never ends."""
    no_sidecar = [
        {
            "op": "add",
            "path": "/spec/jobTemplate/spec/template/metadata/labels/sidecar.istio.io~1inject",
            "value": "false",
        }
    ]
    return (
        KUSTOMIZATION
        | moved(KUBEFLOW_NAMESPACE)
        | {
            "resources": ["../../base", "network-policy.yaml", "run-account.yaml"],
            "patches": [
                {
                    "target": {"kind": "CronJob", "name": "tidegate-sweep"},
                    "patch": _text(no_sidecar),
                }
            ],
        }
    )


def job_gate() -> Json:
    """A component that an overlay names for policies with an objective of kind job.

    The account of a step that asks the API for nothing gets no token, so this one gives it.
    """
    token = {"op": "replace", "path": "/automountServiceAccountToken", "value": True}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["role.yaml"],
        "patches": [
            {
                "target": {"kind": "ServiceAccount", "name": account("gate")},
                "patch": _text([token]),
            }
        ],
    }


def room() -> Json:
    """A component that an overlay names so that what the nodes have left is known."""
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["role.yaml"],
    }


def _text(patch: object) -> str:
    return yaml.safe_dump(patch, sort_keys=False)


def run_account() -> Iterator[Json]:
    """The rights of all steps for the one account of a Kubeflow run, which serves other pipelines, too."""
    for kind, made in (("Role", rbac.roles()), ("ClusterRole", rbac.cluster_roles())):
        for one in made:
            name = one["metadata"]["name"]
            if one["kind"] == kind and name != account("doctor"):
                yield rbac.binding(kind, f"{name}-run", [KUBEFLOW_ACCOUNT], role_name=name)


def argo() -> Json:
    """In Argo's namespace, where every template names the account of its own step."""
    return (
        KUSTOMIZATION
        | moved(ARGO_NAMESPACE)
        | {
            "resources": ["../../base", "executor.yaml", "network-policy.yaml"],
        }
    )


def executor() -> Iterator[Json]:
    """What Argo's own sidecar needs of the account that a pod runs as."""
    name = "tidegate-argo-executor"
    rule = {
        "apiGroup": "argoproj.io", "resource": "workflowtaskresults", "verbs": ["create", "patch"],
    }  # fmt: skip
    yield rbac.role("Role", name, [rule])
    yield rbac.binding("Role", name, [account(step) for step in rbac.recorded()])
