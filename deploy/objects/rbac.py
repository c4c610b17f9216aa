"""One ServiceAccount, Role and binding per step, from what it was recorded to ask of the API."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from deploy.objects.metadata import NAMESPACE, Json, account, metadata
from tidegate.steps.registry import steps

VERBS = Path(__file__).parents[1] / "rbac" / "verbs.yaml"
GROUP = "rbac.authorization.k8s.io"
# Not on the wire of a recorded release: a policy may be given as configmap:<namespace>/<name>.
UNRECORDED: Mapping[str, list[Json]] = {
    "resolve": [{"apiGroup": "", "resource": "configmaps", "verbs": ["get"]}]
}
# Whoever may create Jobs may run anything in the namespace, so a policy that asks for one asks for this, too.
BY_CHOICE = ("gate",)
# What doctor reads of a cluster. SelfSubjectAccessReviews everybody may create (system:basic-user).
DOCTOR: list[Json] = [
    {"apiGroup": "", "resource": "nodes", "verbs": ["list"]},
    {"apiGroup": "", "resource": "configmaps", "verbs": ["get"],
     "resourceNames": ["inferenceservice-config", "config-features", "config-observability"]},
    {"apiGroup": "", "resource": "persistentvolumeclaims", "verbs": ["get"]},
    {"apiGroup": "", "resource": "serviceaccounts", "verbs": ["get"]},
    {"apiGroup": "apiextensions.k8s.io", "resource": "customresourcedefinitions", "verbs": ["get"]},
    {"apiGroup": "apps", "resource": "deployments", "verbs": ["get"],
     "resourceNames": ["kserve-controller-manager", "controller"]},
    {"apiGroup": "authorization.k8s.io", "resource": "subjectaccessreviews", "verbs": ["create"]},
    {"apiGroup": "serving.kserve.io", "resource": "inferenceservices", "verbs": ["list"]},
    {"apiGroup": "serving.kserve.io", "resource": "servingruntimes", "verbs": ["get"]},
    {"apiGroup": "serving.kserve.io", "resource": "clusterservingruntimes", "verbs": ["get"]},
]  # fmt: skip


def recorded() -> dict[str, list[Json]]:
    """Step -> its rules: those of verbs.yaml, and the few that are not on a recorded wire."""
    found = {
        step: [rule for rule in rules if not is_of_room(rule)]
        for step, rules in _verbs().items()
        if step not in BY_CHOICE
    }
    commands = [step.command for step in steps().values()]
    return {one: [*found.get(one, []), *UNRECORDED.get(one, [])] for one in commands}


def _verbs() -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = yaml.safe_load(VERBS.read_text(encoding="utf-8"))
    return found


def job_gate(run_account: str) -> Iterator[Json]:
    """What `gate` needs for objectives of kind job; `run_account` is that of a Kubeflow run."""
    name = f"{account('gate')}-job"
    yield role("Role", name, _verbs()["gate"])
    yield binding("Role", name, [account("gate"), run_account])


def is_of_room(rule: Mapping[str, Any]) -> bool:
    """Pods of all namespaces: their specs may hold what is not everybody's, so it is granted by choice."""
    return rule["resource"] == "pods" and bool(rule.get("everywhere"))


def room(run_account: str) -> Iterator[Json]:
    """What deploy and doctor need to know what the nodes have left; `run_account` as above."""
    name = "tidegate-room"
    yield role("ClusterRole", name, [rule for rule in _verbs()["deploy"] if is_of_room(rule)])
    yield binding("ClusterRole", name, [account("deploy"), account("doctor"), run_account])


def is_cluster_wide(rule: Mapping[str, Any]) -> bool:
    """A rule for all namespaces, or for KServe's own.

    KServe's is granted by the object's name in a ClusterRole: an overlay's `namespace:` would move a Role
    that is bound to namespace kserve.
    """
    return bool(rule.get("everywhere") or rule.get("namespace"))


def service_accounts() -> Iterator[Json]:
    """One per step, and one for doctor; what needs nothing of the API gets no token."""
    for step, rules in {**recorded(), "doctor": DOCTOR}.items():
        yield {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(account(step)),
            "automountServiceAccountToken": bool(rules),
        }


def roles() -> Iterator[Json]:
    """Per step: what it may do beside the InferenceService, and its binding."""
    for step, rules in recorded().items():
        local = [rule for rule in rules if not is_cluster_wide(rule)]
        if local:
            yield role("Role", account(step), local)
            yield binding("Role", account(step), [account(step)])


def cluster_roles() -> Iterator[Json]:
    """Per step: what it may do in all namespaces; and doctor's, which reads nodes."""
    wide = {s: [r for r in rules if is_cluster_wide(r)] for s, rules in recorded().items()}
    for step, rules in {**wide, "doctor": DOCTOR}.items():
        if rules:
            yield role("ClusterRole", account(step), rules)
            yield binding("ClusterRole", account(step), [account(step)])


def role(kind: str, name: str, rules: Iterable[Mapping[str, Any]]) -> Json:
    """A Role or ClusterRole of rules as verbs.yaml has them."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": metadata(name, namespaced=kind == "Role"),
        "rules": [_rule(rule) for rule in rules],
    }


def _rule(rule: Mapping[str, Any]) -> Json:
    names = {"resourceNames": list(rule["resourceNames"])} if rule.get("resourceNames") else {}
    return {
        "apiGroups": [rule["apiGroup"]],
        "resources": [rule["resource"]],
        **names,
        "verbs": list(rule["verbs"]),
    }


def binding(kind: str, name: str, accounts: Iterable[str], *, role_name: str = "") -> Json:
    """A RoleBinding or ClusterRoleBinding of a role to ServiceAccounts."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata(name, namespaced=kind == "Role"),
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role_name or name},
        "subjects": [
            {"kind": "ServiceAccount", "name": one, "namespace": NAMESPACE} for one in accounts
        ],
    }
