"""TorchServe: its two latencies, in milliseconds. Its counters are microseconds since it started."""

from deploy.objects.monitoring.dashboards.panel import Dashboard, Variable, panel, rate, ratio

WHO = 'namespace=~"$namespace",model_name=~"$model"'
BY = "model_name, model_version"
REQUESTS = f"ts_inference_requests_total{{{WHO}}}"
LEGEND = "{{model_name}} {{model_version}}"
PANELS = (
    panel(
        "Inference latency",
        "ms",
        ratio(f"ts_inference_latency_microseconds{{{WHO}}}", REQUESTS, by=BY, times=" / 1000"),
        LEGEND,
    ),
    panel(
        "Queue latency",
        "ms",
        ratio(f"ts_queue_latency_microseconds{{{WHO}}}", REQUESTS, by=BY, times=" / 1000"),
        LEGEND,
    ),
    panel("Requests", "reqps", rate(REQUESTS, by=BY), LEGEND),
)
DASHBOARD = Dashboard(
    uid="tidegate-torchserve",
    title="tidegate / TorchServe latency",
    description="Mean inference and queue latency of a request.",
    variables=(
        Variable(name="namespace", metric="ts_inference_requests_total", label="namespace"),
        Variable(name="model", metric="ts_inference_requests_total", label="model_name"),
    ),
    rows=(("Latency", PANELS),),
)
