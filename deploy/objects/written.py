"""Path -> text of every generated file below deploy/."""

from collections.abc import Callable, Iterable
from functools import partial

import yaml

from deploy.objects import kustomizations, network, rbac, serving, sweeping
from deploy.objects.gpu import charts, metrics, scaling, sharing
from deploy.objects.metadata import Json
from deploy.objects.monitoring import dashboards, monitors, rules
from deploy.objects.monitoring.dashboards import drawn

HEAD = "# Written by `make generate` from deploy/objects/; change those.\n"


class _Dumper(yaml.SafeDumper):
    """Text of several lines is written as such, to be read by people."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def _text(documents: Iterable[Json]) -> str:
    return HEAD + yaml.dump_all(
        documents, Dumper=_Dumper, sort_keys=False, width=110, explicit_start=True
    )


BASE: dict[str, Callable[[], Iterable[Json]]] = {
    "service-accounts.yaml": rbac.service_accounts,
    "roles.yaml": rbac.roles,
    "cluster-roles.yaml": rbac.cluster_roles,
    "serving-runtime.yaml": lambda: [serving.serving_runtime()],
    "network-policies.yaml": network.policies,
    "sweep.yaml": lambda: [sweeping.sweep()],
}
MONITORING: dict[str, Callable[[], Iterable[Json]]] = {
    "monitors/pod-monitors.yaml": monitors.predictors,
    "monitors/service-monitors.yaml": lambda: [*monitors.gateways(), *monitors.gpus()],
    "monitors/kustomization.yaml": lambda: [
        kustomizations.component(["pod-monitors.yaml", "service-monitors.yaml"])
    ],
    "monitors-by-service/service-monitors.yaml": monitors.by_service,
    "monitors-by-service/kustomization.yaml": lambda: [
        kustomizations.component(["service-monitors.yaml"])
    ],
    "rules/rules.yaml": lambda: [rules.rules()],
    "rules/kustomization.yaml": lambda: [kustomizations.component(["rules.yaml"])],
    "dashboards/kustomization.yaml": lambda: [kustomizations.dashboards(list(dashboards.ALL))],
    "kustomization.yaml": lambda: [kustomizations.monitoring()],
}
# One component each, with its one object; and values for Helm, which are no objects.
GPU: dict[str, tuple[str, Callable[[], Json]]] = {
    "mig": ("config-map.yaml", sharing.mig),
    "time-slicing": ("config-map.yaml", sharing.time_slicing),
    "dcgm": ("config-map.yaml", metrics.config_map),
    "hpa": ("autoscaler.yaml", scaling.autoscaler),
}
VALUES: dict[str, Callable[[], Json]] = {
    "gpu-operator.yaml": charts.gpu_operator,
    "nvidia-device-plugin.yaml": charts.device_plugin,
    "dcgm-exporter.yaml": charts.dcgm_exporter,
    "prometheus-adapter.yaml": charts.prometheus_adapter,
}


def _gpu() -> dict[str, Callable[[], Iterable[Json]]]:
    made: dict[str, Callable[[], Iterable[Json]]] = {}
    for part, (name, one) in GPU.items():
        made[f"{part}/{name}"] = lambda one=one: [one()]  # type: ignore[misc]
        made[f"{part}/kustomization.yaml"] = lambda name=name: [kustomizations.component([name])]  # type: ignore[misc]
    for name, one in VALUES.items():
        made[f"values/{name}"] = lambda one=one: [one()]  # type: ignore[misc]
    made["kustomization.yaml"] = lambda: [kustomizations.gpu(["mig", "time-slicing", "dcgm"])]
    return made


FILES: dict[str, Callable[[], Iterable[Json]]] = {
    **{f"deploy/base/{name}": made for name, made in BASE.items()},
    "deploy/base/kustomization.yaml": lambda: [kustomizations.base(list(BASE))],
    "deploy/components/job-gate/kustomization.yaml": lambda: [kustomizations.job_gate()],
    "deploy/components/job-gate/role.yaml": lambda: rbac.job_gate(kustomizations.KUBEFLOW_ACCOUNT),
    "deploy/components/room/kustomization.yaml": lambda: [kustomizations.room()],
    "deploy/components/room/role.yaml": lambda: rbac.room(kustomizations.KUBEFLOW_ACCOUNT),
    "deploy/overlays/kubeflow/kustomization.yaml": lambda: [kustomizations.kubeflow()],
    "deploy/overlays/kubeflow/run-account.yaml": kustomizations.run_account,
    "deploy/overlays/argo/kustomization.yaml": lambda: [kustomizations.argo()],
    "deploy/overlays/kubeflow/network-policy.yaml": lambda: [network.runs("pipeline/runid")],
    "deploy/overlays/argo/executor.yaml": kustomizations.executor,
    "deploy/overlays/argo/network-policy.yaml": lambda: [
        network.runs("workflows.argoproj.io/workflow")
    ],
    **{f"deploy/monitoring/{name}": made for name, made in MONITORING.items()},
    **{f"deploy/gpu/{name}": made for name, made in _gpu().items()},
}


def texts() -> dict[str, Callable[[], str]]:
    """For `make generate`."""
    made: dict[str, Callable[[], str]] = {
        path: lambda objects=objects: _text(objects())  # type: ignore[misc]
        for path, objects in FILES.items()
    }
    for uid, one in dashboards.ALL.items():
        made[f"deploy/monitoring/dashboards/{uid}.json"] = partial(drawn.text, one)
    return made
