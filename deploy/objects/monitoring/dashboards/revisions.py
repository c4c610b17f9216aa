"""KServe's requests by revision: what Knative's queue-proxies count, and what every source is recorded as."""

from deploy.objects.monitoring.dashboards.panel import Dashboard, Variable, panel, quantile, rate

BASE = "kn_serving_invocation_duration_seconds"
WHO = 'namespace=~"$namespace",serving_knative_dev_revision=~"$revision"'
BY = "serving_knative_dev_revision"
RECORDED = 'namespace=~"$namespace",revision=~"$revision"'


def _latency(q: float) -> str:
    return quantile(q, f"{BASE}_bucket{{{WHO}}}", by=BY)


KNATIVE = (
    panel("Requests", "reqps", rate(f"{BASE}_count{{{WHO}}}", by=BY), f"{{{{{BY}}}}}"),
    panel(
        "Requests by status code",
        "reqps",
        rate(f"{BASE}_count{{{WHO}}}", by=f"{BY}, http_response_status_code"),
        f"{{{{{BY}}}}} {{{{http_response_status_code}}}}",
    ),
    panel(
        "Share of requests",
        "percentunit",
        f"{rate(f'{BASE}_count{{{WHO}}}', by='namespace, ' + BY)} / on (namespace) group_left () "
        + rate(f"{BASE}_count{{{WHO}}}", by="namespace"),
        f"{{{{{BY}}}}}",
    ),
    panel("p50", "s", _latency(0.5), f"{{{{{BY}}}}}"),
    panel("p95", "s", _latency(0.95), f"{{{{{BY}}}}}"),
    panel(
        "p99",
        "s",
        _latency(0.99),
        f"{{{{{BY}}}}}",
        description="Knative's buckets are wide: 100, 250, 500 ms. A p99 between two of them is a guess.",
    ),
)
ANY = (
    panel(
        "Requests, any source",
        "reqps",
        f"tidegate:revision_requests:rate5m{{{RECORDED}}}",
        "{{revision}} ({{source}})",
    ),
    panel(
        "Errors, any source",
        "percentunit",
        f"tidegate:revision_errors:ratio_rate5m{{{RECORDED}}}",
        "{{revision}} ({{source}})",
    ),
    panel(
        "p99, any source",
        "s",
        f"tidegate:revision_latency_seconds:p99_5m{{{RECORDED}}}",
        "{{revision}} ({{source}})",
    ),
)
DASHBOARD = Dashboard(
    uid="tidegate-revisions",
    title="tidegate / KServe requests by revision",
    description="Traffic, errors and latency of each revision, side by side.",
    variables=(
        Variable(name="namespace", metric="tidegate:revision_requests:rate5m", label="namespace"),
        Variable(name="revision", metric="tidegate:revision_requests:rate5m", label="revision"),
    ),
    rows=(
        ("Knative 1.19.8 and newer", KNATIVE),
        ("All modes and versions, by recording rules", ANY),
    ),
    annotated=True,
)
