"""What Prometheus is told to scrape for a monitor, as the operator writes it.

By generatePodMonitorConfig and generateServiceMonitorConfig of its pkg/prometheus/promcfg.go (v0.93), less
discovery itself: targets are read from a file with the labels that discovery would give.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deploy.objects.monitoring.labels import sanitised

Json = dict[str, Any]


def jobs(monitor: Mapping[str, Any], *, files: str, interval: str) -> list[Json]:
    """One scrape config per endpoint of a monitor; `files` is the pattern of the target files."""
    spec = monitor["spec"]
    endpoints = spec.get("podMetricsEndpoints") or spec["endpoints"]
    return [
        {
            "job_name": f"{monitor['kind']}/{monitor['metadata']['name']}/{number}",
            "file_sd_configs": [{"files": [files], "refresh_interval": "1s"}],
            "honor_labels": endpoint.get("honorLabels", False),
            "metrics_path": endpoint.get("path", "/metrics"),
            "scrape_interval": interval,
            "relabel_configs": [*_relabelings(monitor, endpoint)],
            "metric_relabel_configs": [*map(_snake, endpoint.get("metricRelabelings", ()))],
        }
        for number, endpoint in enumerate(endpoints)
    ]


def _relabelings(monitor: Mapping[str, Any], endpoint: Mapping[str, Any]) -> Iterator[Json]:
    spec, name = monitor["spec"], monitor["metadata"]["name"]
    of_pods = monitor["kind"] == "PodMonitor"
    kind = "pod" if of_pods else "service"
    yield from _selected(kind, spec["selector"])
    if "port" in endpoint:
        port = "pod_container_port_name" if of_pods else "endpoint_port_name"
        yield _keep([f"__meta_kubernetes_{port}"], endpoint["port"])
    if "portNumber" in endpoint:
        yield _keep(["__meta_kubernetes_pod_container_port_number"], str(endpoint["portNumber"]))
    wanted = {"namespace": "namespace", "container": "pod_container_name", "pod": "pod_name"}
    wanted |= {} if of_pods else {"service": "service_name"}
    for target, source in wanted.items():
        yield {"source_labels": [f"__meta_kubernetes_{source}"], "target_label": target}
    yield from _copied("service", spec.get("targetLabels", ()))
    yield from _copied("pod", spec.get("podTargetLabels", ()))
    yield {"target_label": "job", "replacement": f"prod/{name}"}
    if "port" in endpoint:
        yield {"target_label": "endpoint", "replacement": endpoint["port"]}
    yield from map(_snake, endpoint.get("relabelings", ()))


def _selected(kind: str, selector: Mapping[str, Any]) -> Iterator[Json]:
    meta = f"__meta_kubernetes_{kind}_label"
    for key, value in selector.get("matchLabels", {}).items():
        name = sanitised(key)
        yield _keep([f"{meta}_{name}", f"{meta}present_{name}"], f"({value});true")
    for one in selector.get("matchExpressions", ()):
        kept = {"Exists": "keep", "DoesNotExist": "drop"}[one["operator"]]
        yield _keep([f"{meta}present_{sanitised(one['key'])}"], "true") | {"action": kept}


def _keep(sources: list[str], pattern: str) -> Json:
    return {"action": "keep", "source_labels": sources, "regex": pattern}


def _copied(kind: str, labels: Iterable[str]) -> Iterator[Json]:
    for label in labels:
        name = sanitised(label)
        source = f"__meta_kubernetes_{kind}_label_{name}"
        yield {
            "source_labels": [source],
            "target_label": name,
            "regex": "(.+)",
            "replacement": "${1}",
        }


def _snake(relabeling: Mapping[str, Any]) -> Json:
    return {
        re.sub("[A-Z]", lambda at: f"_{at[0].lower()}", key): value
        for key, value in relabeling.items()
    }
