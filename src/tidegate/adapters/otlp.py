"""Gauges and one trace to an OpenTelemetry collector, OTLP over HTTP, through OpenTelemetry's own SDK.

Each call is an exporter of its own: steps are processes of seconds, and what was told must be out before one
ends. Endpoint, headers and certificates are those of OpenTelemetry's own variables.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span as OpenSpan
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context

from tidegate import __version__
from tidegate.config import VARIABLES
from tidegate.core.telemetry import HELP, Sample
from tidegate.core.trace import Span
from tidegate.errors import UnavailableError

NS_PER_S = 1_000_000_000
ENDPOINT = VARIABLES["otlp_endpoint"]


def send(samples: Iterable[Sample], *, about: Mapping[str, str], timeout_s: float) -> None:
    """All gauges in one request. Raises UnavailableError."""
    told = tuple(samples)
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(timeout=timeout_s), export_interval_millis=math.inf
    )
    provider = MeterProvider([reader], resource=_resource(about), shutdown_on_exit=False)
    meter = provider.get_meter("tidegate", __version__)
    for name in dict.fromkeys(one.name for one in told):
        meter.create_observable_gauge(name, [_observed(told, name)], description=HELP[name])
    try:
        taken = provider.force_flush(timeout_s * 1000)
    finally:
        provider.shutdown(timeout_s * 1000)
    if not taken:
        raise UnavailableError(f"the collector did not take the metrics; check {ENDPOINT}")


def _observed(samples: Sequence[Sample], name: str) -> Any:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(one.value, dict(one.labels)) for one in samples if one.name == name]

    return observe


def trace(spans: Sequence[Span], *, about: Mapping[str, str], timeout_s: float) -> None:
    """One trace in one request: the whole first, then its parts. Raises UnavailableError."""
    finished = InMemorySpanExporter()
    provider = TracerProvider(resource=_resource(about), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(finished))
    tracer = provider.get_tracer("tidegate", __version__)
    whole, *parts = spans
    root = _started(tracer, whole, None)
    for part in parts:
        _started(tracer, part, set_span_in_context(root)).end(int(part.ended_s * NS_PER_S))
    root.end(int(whole.ended_s * NS_PER_S))
    exporter = OTLPSpanExporter(timeout=timeout_s)
    taken = exporter.export(finished.get_finished_spans())
    exporter.shutdown()  # type: ignore[no-untyped-call]
    if taken is not SpanExportResult.SUCCESS:
        raise UnavailableError(f"the collector did not take the trace; check {ENDPOINT}")


def _started(tracer: Tracer, span: Span, context: Context | None) -> OpenSpan:
    began = int(span.began_s * NS_PER_S)
    made = tracer.start_span(span.name, context, start_time=began, attributes=dict(span.attributes))
    if span.failed:
        made.set_status(Status(StatusCode.ERROR, span.failed))
    return made


def _resource(about: Mapping[str, str]) -> Resource:
    named = {"service.name": "tidegate", "service.version": __version__}
    return Resource(named | {f"tidegate.{key}": value for key, value in about.items()})
