"""The exporters of the OpenTelemetry SDK as clients, over HTTP and gRPC."""

import asyncio

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (
    OTLPMetricExporter as GrpcMetrics,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import (
    OTLPMetricExporter as HttpMetrics,
)
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tailrace.model.traces import StatusCode
from tests.inputs.opentelemetry.test_input import running

RESOURCE = Resource.create({"service.name": "shop"})


def received(export):
    """The chunks that came while `export(port)` ran in a thread."""

    async def scenario():
        async with running() as plugin:
            await asyncio.to_thread(export, plugin.server.ports[0])
            return plugin.chunks

    return asyncio.run(scenario())


def http_spans(port):
    return HttpSpans(f"http://127.0.0.1:{port}/v1/traces", compression=Compression.Gzip)


def grpc_spans(port):
    return GrpcSpans(f"http://127.0.0.1:{port}", insecure=True)


@pytest.mark.parametrize("exporter", [http_spans, grpc_spans])
def test_spans(exporter):
    def export(port):
        provider = TracerProvider(resource=RESOURCE)
        provider.add_span_processor(SimpleSpanProcessor(exporter(port)))
        with provider.get_tracer("lib", "1").start_as_current_span("work") as span:
            span.set_attribute("n", [1, 2])
            span.add_event("e", {"k": "v"})
        provider.shutdown()

    (chunk,) = received(export)
    (span,) = chunk.payload.spans()
    assert (span.name, span.attributes, span.status_code) == (
        "work",
        {"n": [1, 2]},
        StatusCode.UNSET,
    )
    assert [(event.name, event.attributes) for event in span.events] == [("e", {"k": "v"})]
    assert 0 < span.start_ns <= span.end_ns
    resource = chunk.payload.resource_spans[0]
    assert resource.attributes["service.name"] == "shop"
    assert resource.scope_spans[0].scope.name == "lib"


def http_metrics(port):
    return HttpMetrics(f"http://127.0.0.1:{port}/v1/metrics")


def grpc_metrics(port):
    return GrpcMetrics(f"http://127.0.0.1:{port}", insecure=True)


@pytest.mark.parametrize("exporter", [http_metrics, grpc_metrics])
def test_metrics(exporter):
    def export(port):
        reader = PeriodicExportingMetricReader(exporter(port), export_interval_millis=60_000)
        provider = MeterProvider([reader], resource=RESOURCE)
        meter = provider.get_meter("lib")
        meter.create_counter("hits").add(3, {"path": "/a"})
        meter.create_histogram("took").record(7)
        provider.shutdown()

    (chunk,) = received(export)
    counter, histogram = chunk.payload.metrics
    assert (counter.name, counter.label_keys) == ("hits", ("path",))
    assert counter.samples[0].value == 3
    assert (histogram.name, histogram.samples[0].value.count) == ("took", 1)


def test_logs():
    def export(port):
        provider = LoggerProvider(resource=RESOURCE)
        exporter = GrpcLogs(f"http://127.0.0.1:{port}", insecure=True)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        provider.get_logger("lib").emit(
            LogRecord(timestamp=5, severity_text="WARN", body={"a": 1}, attributes={"k": "v"})
        )
        provider.shutdown()

    (chunk,) = received(export)
    assert (chunk.times, chunk.bodies) == ([5], [{"a": 1}])
    assert chunk.metadata[0]["otlp"]["severity_text"] == "WARN"
    assert chunk.metadata[0]["otlp"]["attributes"] == {"k": "v"}
    assert chunk.groups[0].body["resource"]["attributes"]["service.name"] == "shop"
