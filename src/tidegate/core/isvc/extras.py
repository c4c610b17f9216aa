"""What stands beside an InferenceService: ScaledObjects, a monitor, a graph. Pure."""

from tidegate.core.isvc.queries import query_of, threshold_of
from tidegate.core.isvc.scraping import (
    OF_KNATIVE,
    OF_KSERVE,
    OF_STANDARD,
    model_server,
    queue_proxy,
)
from tidegate.core.isvc.typed import Json
from tidegate.policy import Policy
from tidegate.policy.serving import Graph, GraphStep, Keda, Trigger

ISVC = "serving.kserve.io/inferenceservice"
UNBOUNDED = 100  # KEDA's own default


def scaled_object(policy: Policy, scaling: Keda, deployment: str) -> Json:
    """KEDA's object for one of the two Deployments that the predictor is in turn.

    Beside a canary both scale, each by its own pods' load; the one whose Deployment is not there waits.
    """
    serving = policy.serving
    pods = f"{deployment}-.*"
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": deployment, "namespace": policy.namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment},
            "pollingInterval": scaling.polling_s,
            "cooldownPeriod": scaling.cooldown_s,
            "minReplicaCount": serving.min_replicas,
            "maxReplicaCount": serving.max_replicas or UNBOUNDED,
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {"scaleDown": {"stabilizationWindowSeconds": scaling.cooldown_s}}
                }
            },
            "triggers": [
                _trigger(one, scaling, policy.namespace, pods) for one in scaling.triggers
            ],
        },
    }


def _trigger(trigger: Trigger, scaling: Keda, namespace: str, pods: str) -> Json:
    access = {"authenticationRef": {"name": scaling.authentication}}
    return {
        "type": "prometheus",
        "metricType": "Value",
        "metadata": {
            "serverAddress": scaling.server,
            "query": query_of(trigger, namespace=namespace, pods=pods),
            "threshold": threshold_of(trigger),
        },
        **(access if scaling.authentication else {}),
    }


def monitor(policy: Policy, mode: str) -> Json | None:
    """The service's own PodMonitor or ServiceMonitor; None when the policy leaves it to deploy/monitoring."""
    wanted = policy.serving.monitor
    if wanted.kind == "none":
        return None
    every, mine = f"{wanted.interval_s}s", {ISVC: policy.name}
    labels = [*(OF_KNATIVE if mode == "Knative" else OF_STANDARD), *OF_KSERVE]
    proxies = [queue_proxy(every)] if mode == "Knative" else []
    if wanted.kind == "service":
        private = {"networking.internal.knative.dev/serviceType": "Private"}
        spec: Json = {
            "selector": {"matchLabels": {**mine, **private}},
            "targetLabels": labels,
            "endpoints": proxies,
        }
        return _monitor("ServiceMonitor", policy, spec)
    spec = {
        "selector": {"matchLabels": {**mine, "component": "predictor"}},
        "podTargetLabels": labels,
        "podMetricsEndpoints": [*proxies, model_server(every)],
    }
    return _monitor("PodMonitor", policy, spec)


def _monitor(kind: str, policy: Policy, spec: Json) -> Json:
    metadata: Json = {"name": policy.name, "namespace": policy.namespace}
    if labels := policy.serving.monitor.labels:
        metadata["labels"] = labels
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


def graph(policy: Policy, wanted: Graph) -> Json:
    """An InferenceGraph of one router."""
    root = {"routerType": wanted.router, "steps": [_step(one) for one in wanted.steps]}
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {"name": wanted.name, "namespace": policy.namespace},
        "spec": {"nodes": {"root": root}},
    }


def _step(wanted: GraphStep) -> Json:
    given = {
        "serviceName": wanted.service,
        "name": wanted.name,
        "weight": wanted.weight,
        "condition": wanted.condition,
        "data": wanted.data,
        "dependency": "Hard" if wanted.dependency == "Hard" else "",
    }
    return {key: value for key, value in given.items() if value not in (None, "")}
