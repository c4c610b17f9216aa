"""Knative's queue-proxy, in its three eras (knative/serving pkg/queue/request_metric.go, its history).

From 1.19 on the revision is a resource attribute, so it is a label of the series only where a PodMonitor
copies the pod's label (`podTargetLabels: [serving.knative.dev/revision, serving.knative.dev/service]`).
Buckets end at 5, 10, 25, 50, 75, 100, 250, 500 and 750 ms, 1, 2.5, 5, 7.5 and 10 s.
"""

from tidegate.policy.presets.preset import Preset, Requests, histogram

_HTTP = histogram("http_server_request_duration_seconds", "http_client_request_duration_seconds")


def _otel(name: str, versions: str, base: str, depth: str) -> Preset:
    requests = Requests(
        histogram=base,
        revision="serving_knative_dev_revision",
        service="serving_knative_dev_service",
        service_of="$name-predictor",
        code="http_response_status_code",
        unit_ms=1000.0,
    )
    known = histogram(base) | _HTTP | {depth, "target_info"}
    which = 'namespace="$namespace",serving_knative_dev_revision="$revision"'
    return Preset(
        name=name,
        versions=versions,
        metrics=known,
        requests=requests,
        queries=_queries(base, which, "http_response_status_code", 1000, depth),
    )


def _queries(base: str, which: str, code: str, per_s: int, depth: str) -> dict[str, str]:
    """The error ratio's `or` is there because no 5xx series exists before the first 5xx."""
    total = f"sum(rate({base}_count{{{which}}}[$window]))"
    failed = f'sum(rate({base}_count{{{which},{code}=~"5.."}}[$window]))'
    buckets = f"sum by (le) (rate({base}_bucket{{{which}}}[$window]))"
    return {
        "request_rate": total,
        "error_ratio": f"({failed} or 0 * {total}) / {total}",
        "p50_ms": f"{per_s} * histogram_quantile(0.5, {buckets})",
        "p95_ms": f"{per_s} * histogram_quantile(0.95, {buckets})",
        "p99_ms": f"{per_s} * histogram_quantile(0.99, {buckets})",
        "queue_depth": f"sum({depth}{{{which}}})",
    }


SERVING = _otel(
    "knative",
    "Knative 1.19.8, 1.20.1 and newer",
    "kn_serving_invocation_duration_seconds",
    "kn_serving_queue_depth",
)
APP = _otel(
    "knative-1.19",
    "Knative 1.19.0 to 1.19.7 and 1.20.0",
    "kn_queueproxy_app_duration_seconds",
    "kn_queueproxy_depth",
)
REVISION = Preset(
    name="knative-1.18",
    versions="Knative up to 1.18",
    metrics=histogram("revision_request_latencies", "revision_app_request_latencies")
    | {"revision_request_count", "revision_app_request_count", "revision_queue_depth"},
    requests=Requests(
        histogram="revision_app_request_latencies",
        namespace="namespace_name",
        revision="revision_name",
        service="service_name",
        service_of="$name-predictor",
        code="response_code",
    ),
    queries=_queries(
        "revision_app_request_latencies",
        'namespace_name="$namespace",revision_name="$revision"',
        "response_code",
        1,
        "revision_queue_depth",
    ),
)
PRESETS = (SERVING, APP, REVISION)
