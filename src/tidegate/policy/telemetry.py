"""What a release tells of itself while it runs; where it is told is in the environment."""

from typing import Literal

from pydantic import Field

from tidegate.policy.section import Section


class Telemetry(Section):
    """Metrics and notes about the release. None of it can change, delay or fail a release."""

    metrics: Literal["none", "textfile", "pushgateway", "otlp"] = Field(
        default="none",
        description="textfile: a .prom file in TIDEGATE_TEXTFILE_DIR, for node-exporter's collector; "
        "pushgateway: TIDEGATE_PUSHGATEWAY_URL; otlp: metrics, and at the end a trace of the release, to "
        "OTEL_EXPORTER_OTLP_ENDPOINT over HTTP",
    )
    annotations: Literal["none", "grafana"] = Field(
        default="none",
        description="grafana: a note at every act on traffic and at the end, to TIDEGATE_GRAFANA_URL",
    )
