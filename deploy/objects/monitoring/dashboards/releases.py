"""The timeline of a service's releases, from tidegate's own metrics and what counts its revisions."""

from deploy.objects.monitoring.dashboards.panel import Dashboard, Panel, Query, Variable, panel

WHO = 'namespace=~"$namespace",inferenceservice=~"$inferenceservice"'
SHARE = f"(max by (namespace, revision) (tidegate_release_traffic_percent{{{WHO}}}) >= bool 0)"


def _revisions(recorded: str) -> str:
    """A recorded figure of the two revisions of a release; of several sources the largest."""
    return f"max by (namespace, revision) ({recorded}) * on (namespace, revision) {SHARE}"


STATE = (
    panel(
        "Phase",
        "short",
        f"tidegate_release_phase{{{WHO}}} == 1",
        "{{inferenceservice}}: {{phase}}",
        look="timeline",
        wide=True,
        description="Where each release is. ENDED: nothing is left to do or undo.",
    ),
    panel(
        "Share of production",
        "percent",
        f"tidegate_release_traffic_percent{{{WHO}}}",
        "{{role}} {{revision}}",
        wide=True,
        description="As last confirmed by the cluster; nothing while a return is under way.",
    ),
    panel(
        "Gate",
        "short",
        f"tidegate_release_gate_verdict{{{WHO}}} == 1",
        "{{inferenceservice}}: {{word}}",
        look="stat",
    ),
    panel(
        "Result",
        "short",
        f"tidegate_release_result{{{WHO}}} == 1",
        "{{inferenceservice}}: {{result}}",
        look="stat",
    ),
    panel(
        "Alarms",
        "short",
        f"max by (namespace, inferenceservice) (tidegate_release_alarm{{{WHO}}})",
        "{{inferenceservice}}",
        look="stat",
        description="1: a roll-back failed and somebody has to act.",
    ),
)
STEPS = (
    panel(
        "Verdicts of the steps",
        "short",
        f"tidegate_release_step_verdict{{{WHO}}} == 1",
        "{{percent}} %: {{word}}",
        look="table",
    ),
    panel("p99 of the steps", "s", f"tidegate_release_step_p99_seconds{{{WHO}}}", "{{percent}} %"),
    panel(
        "Requests of the steps",
        "short",
        f"tidegate_release_step_requests{{{WHO}}}",
        "{{percent}} %",
    ),
    Panel(
        title="Load test p99",
        unit="s",
        queries=(Query(promql=f"tidegate_release_load_p99_seconds{{{WHO}}}", legend="{{arm}}"),),
        look="stat",
    ),
    panel("Duration", "s", f"tidegate_release_duration_seconds{{{WHO}}}", "{{inferenceservice}}"),
    panel(
        "Until its deadline",
        "s",
        f"tidegate_release_deadline_timestamp_seconds{{{WHO}}} - time()",
        "{{inferenceservice}}",
        description="Below 0 while the phase is not ENDED: its run is dead.",
    ),
)
REVISIONS = (
    panel(
        "Requests by revision",
        "reqps",
        _revisions("tidegate:revision_requests:rate5m"),
        "{{revision}}",
    ),
    panel(
        "Errors by revision",
        "percentunit",
        _revisions("tidegate:revision_errors:ratio_rate5m"),
        "{{revision}}",
    ),
    panel(
        "p99 by revision",
        "s",
        _revisions("tidegate:revision_latency_seconds:p99_5m"),
        "{{revision}}",
    ),
)
DASHBOARD = Dashboard(
    uid="tidegate-releases",
    title="tidegate / Releases",
    description="Phase, traffic and verdicts of each release, and its revisions meanwhile.",
    variables=(
        Variable(name="namespace", metric="tidegate_release_info", label="namespace"),
        Variable(name="inferenceservice", metric="tidegate_release_info", label="inferenceservice"),
    ),
    rows=(("Release", STATE), ("Steps", STEPS), ("Revisions", REVISIONS)),
    annotated=True,
)
