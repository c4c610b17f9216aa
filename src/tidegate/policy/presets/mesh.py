"""What a mesh counts: Istio's standard metrics, and a plain Envoy's own."""

from tidegate.policy.presets.preset import Preset, Requests, histogram

_ISTIO = 'destination_service_namespace="$namespace",destination_service_name="$revision"'
_ISTIO_COUNT = f"sum(rate(istio_request_duration_milliseconds_count{{{_ISTIO}}}[$window]))"
_ISTIO_FAILED = _ISTIO_COUNT.replace("}[", ',response_code=~"5.."}[')

# https://istio.io/latest/docs/reference/config/metrics/ ; a Deployment goes by its Service's name.
# Buckets end at 0.5, 1, 5, 10, 25, 50, 100, 250, 500 ms, 1, 2.5, 5, 10, 30 s, and so on to 1 h.
ISTIO = Preset(
    name="istio",
    versions="Istio 1.5 and newer (telemetry v2)",
    metrics=histogram(
        "istio_request_duration_milliseconds", "istio_request_bytes", "istio_response_bytes"
    )
    | {
        "istio_requests_total",
        "istio_request_messages_total",
        "istio_response_messages_total",
        "istio_tcp_sent_bytes_total",
        "istio_tcp_received_bytes_total",
        "istio_tcp_connections_opened_total",
        "istio_tcp_connections_closed_total",
    },
    requests=Requests(
        histogram="istio_request_duration_milliseconds",
        namespace="destination_service_namespace",
        revision="destination_service_name",
        service="destination_service_name",
        service_of="$name-predictor(-.+)?",
        code="response_code",
        reporter="reporter",
    ),
    queries={
        "request_rate": _ISTIO_COUNT,
        "error_ratio": f"({_ISTIO_FAILED} or 0 * {_ISTIO_COUNT}) / {_ISTIO_COUNT}",
        "p99_ms": "histogram_quantile(0.99, sum by (le) (rate("
        f"istio_request_duration_milliseconds_bucket{{{_ISTIO}}}[$window])))",
    },
)

# https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats
# The histogram has no status code. A cluster's name is its control plane's business: the label must be
# relabelled to `revision` and `namespace` by whoever scrapes it. `service` is the InferenceService.
_ENVOY = 'namespace="$namespace",revision="$revision"'
_ENVOY_COUNT = f"sum(rate(envoy_cluster_upstream_rq_time_count{{{_ENVOY}}}[$window]))"
_ENVOY_FAILED = (
    f'sum(rate(envoy_cluster_upstream_rq_xx{{{_ENVOY},envoy_response_code_class="5"}}[$window]))'
)
ENVOY = Preset(
    name="envoy",
    versions="Envoy 1.20 and newer, with revision, service and namespace as labels of the scrape",
    metrics=histogram("envoy_cluster_upstream_rq_time")
    | {
        "envoy_cluster_upstream_rq_total",
        "envoy_cluster_upstream_rq_xx",
        "envoy_cluster_upstream_rq_completed",
        "envoy_cluster_upstream_rq_timeout",
        "envoy_cluster_upstream_rq_retry",
        "envoy_cluster_upstream_rq_pending_overflow",
        "envoy_cluster_upstream_rq_active",
        "envoy_cluster_upstream_cx_connect_fail",
    },
    requests=Requests(
        histogram="envoy_cluster_upstream_rq_time",
        failures="envoy_cluster_upstream_rq_xx",
        failing='envoy_response_code_class="5"',
        revision="revision",
        service="service",
        service_of="$name",
    ),
    queries={
        "request_rate": _ENVOY_COUNT,
        "error_ratio": f"({_ENVOY_FAILED} or 0 * {_ENVOY_COUNT}) / {_ENVOY_COUNT}",
        "p99_ms": "histogram_quantile(0.99, sum by (le) (rate("
        f"envoy_cluster_upstream_rq_time_bucket{{{_ENVOY}}}[$window])))",
    },
)
PRESETS = (ISTIO, ENVOY)
