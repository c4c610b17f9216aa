"""What stands beside an InferenceService: ScaledObjects, a monitor. Pure."""

from tidegate.core.isvc import keda
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
from tidegate.policy.serving import Keda, Trigger

ISVC = "serving.kserve.io/inferenceservice"
UNBOUNDED = 100  # KEDA's own default


def scaled_object(policy: Policy, scaling: Keda, deployment: str) -> Json:
    """KEDA's object for one of the two Deployments that the predictor is in turn.

    Beside a canary both scale, each by its own pods' load.
    """
    serving = policy.serving
    behavior = keda.Behavior(
        scale_down=keda.ScalingRules(stabilization_window_seconds=scaling.cooldown_s)
    )
    hpa = keda.HpaConfig(name=keda.shorter_hpa_name(deployment), behavior=behavior)
    spec = keda.Spec(
        scale_target_ref=keda.ScaleTarget(name=deployment),
        polling_interval=scaling.polling_s,
        cooldown_period=scaling.cooldown_s,
        min_replica_count=serving.min_replicas,
        max_replica_count=serving.max_replicas or UNBOUNDED,
        advanced=keda.Advanced(horizontal_pod_autoscaler_config=hpa),
        triggers=tuple(
            _trigger(one, scaling, policy.namespace, f"{deployment}-.*") for one in scaling.triggers
        ),
    )
    metadata = keda.Metadata(
        name=deployment, namespace=policy.namespace, labels=dict(keda.MANAGED_BY)
    )
    return keda.ScaledObject(metadata=metadata, spec=spec).as_dict()


def _trigger(trigger: Trigger, scaling: Keda, namespace: str, pods: str) -> keda.Trigger:
    named = scaling.authentication
    return keda.Trigger(
        metadata=keda.PrometheusQuery(
            server_address=scaling.server,
            query=query_of(trigger, namespace=namespace, pods=pods),
            threshold=threshold_of(trigger),
        ),
        authentication_ref=keda.AuthenticationRef(name=named) if named else None,
    )


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
