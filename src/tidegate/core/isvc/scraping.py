"""Endpoints of PodMonitors and ServiceMonitors: queue-proxy and model server of a predictor. Pure.

A PodMonitor finds a port only where a container declares it (prometheus-operator pkg/prometheus/promcfg.go),
and Knative lets a container declare one: the model server's metrics are reached by the pod's annotation.
"""

from tidegate.core.isvc.typed import Json

ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_kserve_io_"
# On every pod: of a revision by Knative (knative/serving pkg/reconciler/revision/resources/meta.go),
# of a Deployment app=isvc.<Service> (kserve pkg/constants, GetRawServiceLabel).
OF_KNATIVE = ("serving.knative.dev/revision", "serving.knative.dev/service")
OF_STANDARD = ("app",)
OF_KSERVE = ("serving.kserve.io/inferenceservice", "component")


def queue_proxy(every: str) -> Json:
    """Knative's request metrics of a revision."""
    return {"port": "http-usermetric", "path": "/metrics", "interval": every}


def model_server(every: str) -> Json:
    """What the model server says of itself, at a port that no container declares."""
    return {
        "interval": every,
        "relabelings": [
            kept("__meta_kubernetes_pod_container_name", "kserve-container"),
            kept(f"{ANNOTATION}port", r"\d+"),
            *at(f"{ANNOTATION}port"),
            named("__metrics_path__", [f"{ANNOTATION}path"], "(.+)", "$1"),
        ],
    }


def kept(source: str, pattern: str) -> Json:
    """Targets whose label matches."""
    return {"action": "keep", "sourceLabels": [source], "regex": pattern}


def named(target: str, sources: list[str], pattern: str, replacement: str) -> Json:
    """One label made of others."""
    return {
        "action": "replace",
        "sourceLabels": sources,
        "regex": pattern,
        "replacement": replacement,
        "targetLabel": target,
    }


def at(port: str) -> list[Json]:
    """A pod's address at a port that no container declares."""
    pod = ["__meta_kubernetes_pod_ip", port]
    return [
        named("__address__", pod, r"([\d.]+);(\d+)", "$1:$2"),
        named("__address__", pod, r"(.*:.*);(\d+)", "[$1]:$2"),
    ]
