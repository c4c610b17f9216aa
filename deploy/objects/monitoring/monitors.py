"""PodMonitors and ServiceMonitors: who is scraped, and which labels the series get.

Two PodMonitors of one predictor: queue-proxy and model server are found in two ways
(`tidegate.core.isvc.scraping`).
"""

from deploy.objects.metadata import LABELS, Json
from deploy.objects.monitoring.labels import OF_KNATIVE, OF_KSERVE, OF_STANDARD, REVISION
from tidegate.core.isvc.scraping import kept, model_server, named, queue_proxy

GROUP = "monitoring.coreos.com/v1"
EVERY = "10s"  # a live gate looks every second at rates over a bake; a rate needs several samples
IS_KNATIVE = {"key": "serving.knative.dev/revision", "operator": "Exists"}
IS_STANDARD = {"key": "serving.knative.dev/revision", "operator": "DoesNotExist"}


def predictors() -> list[Json]:
    """Queue-proxies, model servers of both modes, and the gateways that count for Standard mode."""
    knative, standard = _of_kserve(IS_KNATIVE), _of_kserve(IS_STANDARD)
    of_knative, of_standard = (*OF_KNATIVE, *OF_KSERVE), (*OF_STANDARD, *OF_KSERVE)
    return [
        _pods("tidegate-queue-proxies", knative, of_knative, QUEUE_PROXY),
        _pods("tidegate-model-servers", knative, of_knative, MODEL_SERVER),
        _pods("tidegate-standard-model-servers", standard, of_standard, MODEL_SERVER),
        _pods("tidegate-istio-proxies", {"matchExpressions": [IS_PROXY]}, (), ISTIO_PROXY),
        _pods("tidegate-kourier", {"matchLabels": {"app": "3scale-kourier-gateway"}}, (), KOURIER),
    ]


def by_service() -> list[Json]:
    """Instead of the queue-proxies' PodMonitor, where PodMonitors are not allowed.

    Knative's private Service of a revision has the queue-proxy's port; no Service has Triton's.
    """
    spec = {
        "namespaceSelector": {"any": True},
        "selector": {
            "matchLabels": {"networking.internal.knative.dev/serviceType": "Private"},
            "matchExpressions": [
                {"key": "serving.kserve.io/inferenceservice", "operator": "Exists"}
            ],
        },
        "targetLabels": [*OF_KNATIVE, *OF_KSERVE],
        "endpoints": [QUEUE_PROXY],
    }
    return [_object("ServiceMonitor", "tidegate-revisions", spec)]


def gateways() -> list[Json]:
    """What tells of releases themselves: the Pushgateway. Its series name their own namespace."""
    return [
        _honoured(
            "tidegate-pushgateway", {"app.kubernetes.io/name": "prometheus-pushgateway"}, "http"
        )
    ]


def gpus() -> list[Json]:
    """The DCGM exporter of the GPU Operator, and that of its own chart.

    `honorLabels`: namespace and pod are those that use the GPU, not the exporter's own.
    """
    return [
        _honoured("tidegate-dcgm-exporter", {"app": "nvidia-dcgm-exporter"}, "gpu-metrics"),
        _honoured(
            "tidegate-dcgm-exporter-chart", {"app.kubernetes.io/name": "dcgm-exporter"}, "metrics"
        ),
    ]


QUEUE_PROXY = queue_proxy(EVERY)
MODEL_SERVER = model_server(EVERY)
IS_PROXY = {"key": "istio-prometheus-ignore", "operator": "DoesNotExist"}

# Istio's own sample (samples/addons/extras/prometheus-operator.yaml), by the port of merged statistics.
ISTIO_PROXY: Json = {
    "path": "/stats/prometheus",
    "interval": EVERY,
    "relabelings": [
        kept("__meta_kubernetes_pod_container_name", "istio-proxy"),
        kept("__meta_kubernetes_pod_container_port_name", ".*-envoy-prom"),
    ],
}
# Kourier names a cluster <namespace>/<revision> (net-kourier pkg/generator/ingress_translator.go).
CLUSTER = ["envoy_cluster_name"]
KOURIER: Json = {
    "port": "http2-external",
    "path": "/stats/prometheus",
    "interval": EVERY,
    "relabelings": [named("__address__", ["__address__"], r"(.+):\d+", "$1:9000")],
    "metricRelabelings": [
        {"action": "keep", "sourceLabels": ["__name__"], "regex": "envoy_cluster_upstream_.+"},
        named("namespace", CLUSTER, "(.+)/(.+)", "$1"),
        named("revision", CLUSTER, "(.+)/(.+)", "$2"),
        named("service", ["revision"], REVISION, "$1"),
    ],
}


def _of_kserve(mode: Json) -> Json:
    return {"matchLabels": {"component": "predictor"}, "matchExpressions": [mode]}


def _pods(name: str, selector: Json, labels: tuple[str, ...], endpoint: Json) -> Json:
    spec: Json = {
        "namespaceSelector": {"any": True},
        "selector": selector,
        "podTargetLabels": list(labels),
        "podMetricsEndpoints": [endpoint],
    }
    return _object("PodMonitor", name, spec)


def _honoured(name: str, labels: dict[str, str], port: str) -> Json:
    spec = {
        "namespaceSelector": {"any": True},
        "selector": {"matchLabels": labels},
        "endpoints": [{"port": port, "path": "/metrics", "interval": EVERY, "honorLabels": True}],
    }
    return _object("ServiceMonitor", name, spec)


def _object(kind: str, name: str, spec: Json) -> Json:
    """Without a namespace: it goes where the user's kustomization says."""
    metadata = {"name": name, "labels": dict(LABELS)}
    return {"apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec}
