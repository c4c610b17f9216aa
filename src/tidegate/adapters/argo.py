"""Argo Workflows through the Kubernetes API: a run of a WorkflowTemplate, and a CronWorkflow of it.

Argo's server is not needed; its admission is not either, so what it would refuse is refused here first.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.adapters.kubernetes import Kubernetes
from tidegate.adapters.release_lock import MANAGED_BY
from tidegate.errors import ConflictError, RejectedError, UsageError

Json = dict[str, Any]
GROUP = "/apis/argoproj.io/v1alpha1"
LATE_S = 600  # a schedule that was missed by more is left out, not made up for


class Argo:
    """One WorkflowTemplate in one namespace; `cluster_scope` = a ClusterWorkflowTemplate."""

    def __init__(
        self, kube: Kubernetes, namespace: str, template: str, *, cluster_scope: bool = False
    ) -> None:
        self._kube, self._template, self._cluster = kube, template, cluster_scope
        self._namespaced = f"{GROUP}/namespaces/{namespace}"
        self.namespace = namespace

    def submit(self, parameters: Mapping[str, str], *, account: str = "") -> str:
        """Start a run; its name."""
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": {"generateName": f"{self._template}-", "labels": dict([MANAGED_BY])},
            "spec": self._spec(parameters, account),
        }
        # Once only: a lost answer must not start a second run.
        made = self._kube.once("POST", f"{self._namespaced}/workflows", body, None)
        return str(made["metadata"]["name"])

    def schedule(
        self,
        name: str,
        cron: str,
        parameters: Mapping[str, str],
        *,
        timezone: str,
        account: str = "",
    ) -> str:
        """Create or update the CronWorkflow: created, updated or unchanged.

        Raises ConflictError when one of that name was not made by tidegate.
        """
        spec = {
            "schedules": [cron],
            "timezone": timezone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": LATE_S,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "workflowSpec": self._spec(parameters, account),
        }
        found = self._kube.find(f"{self._namespaced}/cronworkflows/{name}")
        return self._update(found, spec) if found else self._create(name, spec)

    def _create(self, name: str, spec: Json) -> str:
        body = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "CronWorkflow",
            "metadata": {"name": name, "labels": dict([MANAGED_BY])},
            "spec": spec,
        }
        self._kube.request("POST", f"{self._namespaced}/cronworkflows", body)
        return "created"

    def _update(self, found: Json, spec: Json) -> str:
        name, labels = found["metadata"]["name"], found["metadata"].get("labels") or {}
        if labels.get(MANAGED_BY[0]) != MANAGED_BY[1]:
            raise ConflictError(
                f"CronWorkflow {self.namespace}/{name} was not made by tidegate; choose another --name, or "
                "delete it first"
            )
        kept = {"suspend": found["spec"]["suspend"]} if "suspend" in found["spec"] else {}
        if found["spec"] == spec | kept:
            return "unchanged"
        # With the resourceVersion that was read: what somebody changed meanwhile is a conflict.
        body = {**found, "spec": spec | kept}
        self._kube.request("PUT", f"{self._namespaced}/cronworkflows/{name}", body)
        return "updated"

    def _spec(self, parameters: Mapping[str, str], account: str) -> Json:
        self._check(parameters)
        scope = {"clusterScope": True} if self._cluster else {}
        given = [{"name": key, "value": value} for key, value in sorted(parameters.items())]
        arguments = {"arguments": {"parameters": given}} if given else {}
        runs_as = {"serviceAccountName": account} if account else {}
        reference = {"name": self._template, **scope}
        return {"workflowTemplateRef": reference, **arguments, **runs_as}

    def _check(self, parameters: Mapping[str, str]) -> None:
        """Every parameter is one of the template's, and every one without a value is given."""
        declared = self._declared()
        if unknown := sorted(set(parameters) - set(declared)):
            known = ", ".join(declared) or "none"
            raise UsageError(f"{self._named} has no parameter {unknown[0]!r}; it has {known}")
        missing = [name for name, has in declared.items() if not has and name not in parameters]
        if missing:
            raise UsageError(
                f"{self._named} needs parameter {missing[0]!r}; give -p {missing[0]}=..."
            )

    def _declared(self) -> dict[str, bool]:
        """Parameter -> whether the template has a value for it."""
        where = (
            f"{GROUP}/clusterworkflowtemplates"
            if self._cluster
            else f"{self._namespaced}/workflowtemplates"
        )
        found = self._kube.find(f"{where}/{self._template}")
        if found is None:
            raise RejectedError(
                f"{self._named} does not exist; apply it first: kubectl apply -f workflows/release.yaml"
            )
        declared = (found["spec"].get("arguments") or {}).get("parameters") or ()
        return {one["name"]: "value" in one or "valueFrom" in one for one in declared}

    @property
    def _named(self) -> str:
        kind = "ClusterWorkflowTemplate" if self._cluster else "WorkflowTemplate"
        where = "" if self._cluster else f"{self.namespace}/"
        return f"{kind} {where}{self._template}"
