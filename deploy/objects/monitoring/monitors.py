"""PodMonitors and ServiceMonitors: who is scraped, and which labels the series get.

Two PodMonitors of one predictor, because a PodMonitor finds a port only where a container declares it
(prometheus-operator pkg/prometheus/promcfg.go keeps by the name or number of a declared port), and Knative
lets a container declare one port: the model server's metrics are reached by the pod's annotation instead.
"""

from deploy.objects.metadata import LABELS, Json
from deploy.objects.monitoring.labels import OF_KNATIVE, OF_KSERVE, OF_STANDARD, REVISION

GROUP = "monitoring.coreos.com/v1"
EVERY = "10s"  # a live gate looks every second at rates over a bake; a rate needs several samples
ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_kserve_io_"
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


QUEUE_PROXY: Json = {"port": "http-usermetric", "path": "/metrics", "interval": EVERY}
IS_PROXY = {"key": "istio-prometheus-ignore", "operator": "DoesNotExist"}


def _kept(source: str, pattern: str) -> Json:
    return {"action": "keep", "sourceLabels": [source], "regex": pattern}


def _named(target: str, sources: list[str], pattern: str, replacement: str) -> Json:
    return {
        "action": "replace",
        "sourceLabels": sources,
        "regex": pattern,
        "replacement": replacement,
        "targetLabel": target,
    }


def _at(port: str) -> list[Json]:
    """A pod's address at a port that no container declares."""
    pod = ["__meta_kubernetes_pod_ip", port]
    return [
        _named("__address__", pod, r"([\d.]+);(\d+)", "$1:$2"),
        _named("__address__", pod, r"(.*:.*);(\d+)", "[$1]:$2"),
    ]


MODEL_SERVER: Json = {
    "interval": EVERY,
    "relabelings": [
        _kept("__meta_kubernetes_pod_container_name", "kserve-container"),
        _kept(f"{ANNOTATION}port", r"\d+"),
        *_at(f"{ANNOTATION}port"),
        _named("__metrics_path__", [f"{ANNOTATION}path"], "(.+)", "$1"),
    ],
}
# Istio's own sample (samples/addons/extras/prometheus-operator.yaml), by the port of merged statistics.
ISTIO_PROXY: Json = {
    "path": "/stats/prometheus",
    "interval": EVERY,
    "relabelings": [
        _kept("__meta_kubernetes_pod_container_name", "istio-proxy"),
        _kept("__meta_kubernetes_pod_container_port_name", ".*-envoy-prom"),
    ],
}
# Kourier names a cluster <namespace>/<revision> (net-kourier pkg/generator/ingress_translator.go).
CLUSTER = ["envoy_cluster_name"]
KOURIER: Json = {
    "port": "http2-external",
    "path": "/stats/prometheus",
    "interval": EVERY,
    "relabelings": [_named("__address__", ["__address__"], r"(.+):\d+", "$1:9000")],
    "metricRelabelings": [
        {"action": "keep", "sourceLabels": ["__name__"], "regex": "envoy_cluster_upstream_.+"},
        _named("namespace", CLUSTER, "(.+)/(.+)", "$1"),
        _named("revision", CLUSTER, "(.+)/(.+)", "$2"),
        _named("service", ["revision"], REVISION, "$1"),
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
