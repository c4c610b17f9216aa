"""Triton: where the time of a request goes, its queue, and its GPU."""

from deploy.objects.monitoring.dashboards.panel import (
    Dashboard,
    Panel,
    Query,
    Variable,
    panel,
    rate,
    ratio,
)

WHO = 'namespace=~"$namespace",model=~"$model"'
POD = 'namespace=~"$namespace"'
BY = "model, serving_knative_dev_revision"
LEGEND = "{{model}} {{serving_knative_dev_revision}}"
SUCCESS = f"nv_inference_request_success{{{WHO}}}"


def _mean(part: str) -> str:
    """Milliseconds of one request; Triton counts microseconds of all."""
    return ratio(f"nv_inference_{part}_duration_us{{{WHO}}}", SUCCESS, by=BY, times=" / 1000")


PARTS = {
    "Input (preprocess)": "compute_input",
    "Infer (predict)": "compute_infer",
    "Output (postprocess)": "compute_output",
    "Queue": "queue",
    "Total": "request",
}
LATENCY = tuple(panel(title, "ms", _mean(part), LEGEND) for title, part in PARTS.items())
WORK = (
    panel("Requests", "reqps", rate(SUCCESS, by=BY), LEGEND),
    panel(
        "Failures",
        "reqps",
        rate(f"nv_inference_request_failure{{{WHO}}}", by=f"{BY}, reason"),
        f"{LEGEND} {{{{reason}}}}",
    ),
    panel(
        "Mean batch",
        "short",
        ratio(f"nv_inference_count{{{WHO}}}", f"nv_inference_exec_count{{{WHO}}}", by=BY),
        LEGEND,
    ),
    panel(
        "Pending requests",
        "short",
        f"sum by ({BY}) (nv_inference_pending_request_count{{{WHO}}})",
        LEGEND,
    ),
    panel(
        "Share of time in the queue",
        "percentunit",
        f"tidegate:triton_queue:share_rate5m{{{WHO}}}",
        "{{model}} {{pod}}",
    ),
)
USED, TOTAL = f"nv_gpu_memory_used_bytes{{{POD}}}", f"nv_gpu_memory_total_bytes{{{POD}}}"
GPU = (
    panel("GPU memory", "percentunit", f"{USED} / {TOTAL}", "{{pod}} {{gpu_uuid}}", look="gauge"),
    panel("GPU utilisation", "percentunit", f"nv_gpu_utilization{{{POD}}}", "{{pod}} {{gpu_uuid}}"),
    Panel(
        title="GPU power",
        unit="watt",
        queries=(
            Query(promql=f"nv_gpu_power_usage{{{POD}}}", legend="{{pod}} {{gpu_uuid}}"),
            Query(promql=f"nv_gpu_power_limit{{{POD}}}", legend="limit {{gpu_uuid}}"),
        ),
    ),
    panel(
        "Energy of one request",
        "joule",
        f"sum by (pod) (rate(nv_energy_consumption{{{POD}}}[$__rate_interval])) / "
        f"(sum by (pod) (rate(nv_inference_request_success{{{POD}}}[$__rate_interval])) > 0)",
        "{{pod}}",
    ),
)
DASHBOARD = Dashboard(
    uid="tidegate-triton",
    title="tidegate / Triton latency",
    description="Mean milliseconds of a request in each of its parts; before 26.01 Triton has no histogram.",
    variables=(
        Variable(name="namespace", metric="nv_inference_request_success", label="namespace"),
        Variable(name="model", metric="nv_inference_request_success", label="model"),
    ),
    rows=(("Latency", LATENCY), ("Work", WORK), ("GPU", GPU)),
    annotated=True,
)
