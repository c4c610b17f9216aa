"""Triton's own metrics (server docs/user_guide/metrics.md), scraped with the pod's Knative labels.

`counter_latencies=false` leaves every counter at 0 and `summary_latencies=true` costs a third of the
throughput and cannot be added over replicas, so neither is ever relied on.
"""

from tidegate.policy.presets.preset import Preset, Requests, histogram

_DURATIONS = ("request", "queue", "compute_input", "compute_infer", "compute_output")
_COUNTERS = frozenset(
    {
        "nv_inference_request_success",
        "nv_inference_request_failure",
        "nv_inference_count",
        "nv_inference_exec_count",
        "nv_inference_pending_request_count",
        "nv_cache_num_hits_per_model",
        "nv_cache_num_misses_per_model",
        "nv_cache_hit_duration_per_model",
        "nv_cache_miss_duration_per_model",
        "nv_gpu_utilization",
        "nv_gpu_memory_total_bytes",
        "nv_gpu_memory_used_bytes",
        "nv_gpu_power_usage",
        "nv_gpu_power_limit",
        "nv_energy_consumption",
        "nv_pinned_memory_pool_total_bytes",
        "nv_pinned_memory_pool_used_bytes",
        "nv_cpu_utilization",
        "nv_cpu_memory_total_bytes",
        "nv_cpu_memory_used_bytes",
        *(f"nv_inference_{part}_duration_us" for part in _DURATIONS),
    }
)
_WHO = 'namespace="$namespace",serving_knative_dev_revision="$revision"'


def _rate(metric: str) -> str:
    return f"sum(rate({metric}{{{_WHO}}}[$window]))"


_ASKED = f"({_rate('nv_inference_request_success')} + {_rate('nv_inference_request_failure')})"
_QUERIES = {
    "request_rate": _rate("nv_inference_request_success"),
    "error_ratio": f"{_rate('nv_inference_request_failure')} / {_ASKED}",
    "mean_ms": f"{_rate('nv_inference_request_duration_us')} / "
    f"{_rate('nv_inference_request_success')} / 1000",
    "queue_share": f"{_rate('nv_inference_queue_duration_us')} / "
    f"{_rate('nv_inference_request_duration_us')}",
    "mean_batch": f"{_rate('nv_inference_count')} / {_rate('nv_inference_exec_count')}",
    "pending": f"sum(nv_inference_pending_request_count{{{_WHO}}})",
    "gpu_utilisation": f"avg(nv_gpu_utilization{{{_WHO}}})",
    "gpu_memory": f"max(nv_gpu_memory_used_bytes{{{_WHO}}} / nv_gpu_memory_total_bytes{{{_WHO}}})",
}


def _requests(base: str) -> Requests:
    return Requests(
        histogram=base,
        counters=("nv_inference_request_success", "nv_inference_request_failure"),
        failures="nv_inference_request_failure",
        revision="serving_knative_dev_revision",
        service="serving_knative_dev_service",
        service_of="$name-predictor",
    )


FIRST_RESPONSE = "nv_inference_first_response_histogram_ms"
TRITON = Preset(
    name="triton",
    versions="Triton 2.65 (26.01) and newer with histogram_latencies=true",
    metrics=_COUNTERS | histogram(FIRST_RESPONSE) | {"nv_model_load_duration_secs"},
    requests=_requests(FIRST_RESPONSE),
    queries=_QUERIES
    | {
        "p99_ms": f"histogram_quantile(0.99, sum by (le) (rate({FIRST_RESPONSE}_bucket{{{_WHO}}}[$window])))"
    },
)
COUNTERS_ONLY = Preset(
    name="triton-2.51",
    versions="Triton up to 2.64, which has no histogram of all models",
    metrics=_COUNTERS,
    requests=_requests(""),
    queries=_QUERIES,
)
PRESETS = (TRITON, COUNTERS_ONLY)
