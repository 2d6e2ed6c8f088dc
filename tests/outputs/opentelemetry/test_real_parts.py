"""The output opentelemetry against receivers that others wrote (grpcio's server), and against our own input."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import (
    LogsServiceServicer,
    add_LogsServiceServicer_to_server,
)

from tailrace.model import Chunk, Group
from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    MetricKind,
    MetricSet,
    Summary,
    metrics_chunk,
)
from tailrace.model.traces import (
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    Traces,
    traces_chunk,
)
from tailrace.plugin import Partial, Reject, Retry
from tailrace.testing import EPOCH_NS, chunk_of, make_plugin
from tests.inputs.opentelemetry.test_input import running
from tests.wire.otlp.test_protobuf import plain


class Logs(LogsServiceServicer):
    """Keeps what comes; answers by script: a status that it aborts with, or how many records it refuses."""

    def __init__(self, script):
        self.script = list(script)
        self.requests = []

    def Export(self, request, context):
        self.requests.append(request)
        step = self.script.pop(0) if self.script else 0
        if isinstance(step, grpc.StatusCode):
            context.abort(step, "not now")
        partial = ExportLogsPartialSuccess(rejected_log_records=step, error_message="too old")
        return ExportLogsServiceResponse(partial_success=partial if step else None)


def with_grpcio(section, *chunks, script=()):
    """The requests that grpcio took, and what `flush` raised for each chunk."""
    service = Logs(script)
    server = grpc.server(ThreadPoolExecutor(2))
    add_LogsServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    async def scenario():
        settings = f"host 127.0.0.1\nport {port}\ngrpc on\n{section}"
        plugin = make_plugin("output", "opentelemetry", settings)
        raised = []
        try:
            for chunk in chunks:
                try:
                    await plugin.flush(chunk)
                    raised.append(None)
                except (Retry, Reject, Partial) as failure:
                    raised.append(failure)
        finally:
            await plugin.stop()
        return raised

    try:
        return service.requests, asyncio.run(scenario())
    finally:
        server.stop(0).wait()


def bodies_of(request):
    return [
        plain(record.body)
        for resource in request.resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


@pytest.mark.parametrize("section", ["", "compress gzip"])
def test_grpcio_takes_one_request_after_another_on_a_connection(section):
    chunks = [chunk_of([{"log": text}], "t") for text in "abc"]
    requests, raised = with_grpcio(section, *chunks)
    assert raised == [None, None, None]
    assert [bodies_of(request) for request in requests] == [["a"], ["b"], ["c"]]


def test_a_large_request_fits_through_grpcios_windows():
    body = {"log": "x" * 1_000_000}
    requests, raised = with_grpcio("", chunk_of([body, body], "t"))
    assert raised == [None]
    assert [len(text) for text in bodies_of(requests[0])] == [1_000_000] * 2


def test_grpcios_statuses_and_partial_success_are_understood():
    script = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INVALID_ARGUMENT, 1, 0]
    chunks = [chunk_of([{"log": "a"}, {"log": "b"}], "t") for _ in script]
    _, (later, refused, partly, fine) = with_grpcio("", *chunks, script=script)
    assert isinstance(later, Retry)
    assert later.why.endswith("grpc-status=14 UNAVAILABLE: not now")
    assert isinstance(refused, Reject)
    assert [refusal.chunk.count for refusal in partly.rejected] == [1]
    assert fine is None


def test_a_compression_that_grpcio_does_not_know_is_left_out():
    requests, raised = with_grpcio("compress zstd", chunk_of([{"log": "a"}], "t"))
    assert raised == [None]
    assert [bodies_of(request) for request in requests] == [["a"]]


# Our own input


def passed_on(section, chunk):
    """What the input makes of what the output sends."""

    async def scenario():
        async with running() as source:
            port = source.server.ports[0]
            settings = f"host 127.0.0.1\nport {port}\n{section}"
            plugin = make_plugin("output", "opentelemetry", settings)
            try:
                await plugin.flush(chunk)
            finally:
                await plugin.stop()
            return source.chunks

    return asyncio.run(scenario())


TRANSPORTS = pytest.mark.parametrize(
    "section", ["", "compress gzip", "http2 on\ncompress zstd", "grpc on", "grpc on\ncompress gzip"]
)
ORIGIN = {
    "resource": {
        "attributes": {"service.name": "shop", "n": [1, None, {"a": b"x"}]},
        "dropped_attributes_count": 1,
        "schema_url": "https://r",
    },
    "scope": {"name": "lib", "version": "1", "schema_url": "https://s"},
}
OTLP = {
    "observed_timestamp": EPOCH_NS + 5,
    "timestamp": EPOCH_NS,
    "severity_number": 9,
    "severity_text": "INFO",
    "attributes": {"k": True, "f": 1.0},
    "dropped_attributes_count": 2,
    "trace_id": b"t" * 16,
    "span_id": b"s" * 8,
    "trace_flags": 1,
    "event_name": "click",
}


@TRANSPORTS
def test_logs_come_out_as_they_went_in(section):
    group = Group({"schema": "otlp", "resource_id": 0, "scope_id": 0}, ORIGIN)
    bodies = [{"log": "text"}, {"a": {"b": [1, 1.0, None, b"\0"]}, "c": -5}, {"log": None}]
    chunk = Chunk("t", [EPOCH_NS] * 3, bodies, [{"otlp": dict(OTLP)}] * 3, groups=[group] * 3)
    [found] = passed_on(section, chunk)
    assert (found.times, found.bodies) == (chunk.times, bodies)
    assert found.metadata == chunk.metadata
    assert found.groups == chunk.groups


def metric_set():
    metrics = MetricSet(
        external={
            "scope": {"metadata": {"name": "lib"}, "attributes": {"a": 1}},
            "resource": {"metadata": {}, "attributes": {"service.name": "shop"}},
            "resource_metrics": {"metadata": {"schema_url": "https://r"}},
            "otlp": {"metrics": {"gauge": {"m2": {"metadata": {"m": "x"}}}}},
        }
    )
    exemplar = {
        "as_double": 1.5,
        "time_unix_nano": 5,
        "trace_id": b"t" * 16,
        "span_id": b"s" * 8,
        "filtered_attributes": {"a": "b"},
    }
    for kind, value, more in (
        (MetricKind.COUNTER, 5, {"aggregation": Aggregation.CUMULATIVE}),
        (MetricKind.COUNTER, 2.5, {"aggregation": Aggregation.DELTA, "allow_reset": True}),
        (MetricKind.GAUGE, -1.5, {}),
        (
            MetricKind.HISTOGRAM,
            Histogram([1, 3, 6], 10.5, 6),
            {"buckets": (1.0, 5.0), "aggregation": Aggregation.CUMULATIVE},
        ),
        (
            MetricKind.EXP_HISTOGRAM,
            ExpHistogram(-1, 2, 0.5, -3, [1, 0, 2], 4, [5], 10, 1.5),
            {"aggregation": Aggregation.DELTA},
        ),
        (MetricKind.SUMMARY, Summary([1.0, 2.0], 9.0, 3), {"quantiles": (0.5, 0.9)}),
    ):
        name = f"m{len(metrics.metrics)}"
        metric = metrics.metric(kind, name, "what", ["k"], unit="s", **more)
        sample = metric.set(value, EPOCH_NS, ["v"])
        sample.start_ns = EPOCH_NS - 1
        if kind in (MetricKind.HISTOGRAM, MetricKind.EXP_HISTOGRAM):
            sample.told = {"exemplars": [exemplar], "min": 0.5, "max": 7.0}
        elif kind is MetricKind.COUNTER:
            sample.told = {"exemplars": [exemplar]}
    return metrics


def told(metrics):
    """All of a set but what it says of its producer."""
    return sorted(metrics.metrics, key=lambda metric: metric.name), metrics.external


@TRANSPORTS
def test_metrics_come_out_as_they_went_in(section):
    metrics = metric_set()
    [found] = passed_on(section, metrics_chunk("t", metrics))
    assert told(found.payload) == told(metrics)


@TRANSPORTS
def test_traces_come_out_as_they_went_in(section):
    span = Span(
        "GET /",
        b"t" * 16,
        b"s" * 8,
        b"p" * 8,
        2,
        5,
        6,
        {"a": [1, "x"]},
        [SpanEvent("e", 7, {"q": None}, 1)],
        [Link(b"t" * 16, b"l" * 8, "k=v", {"u": 1.0}, 2, 1)],
        2,
        "bad",
        "a=b",
        257,
        None,
        3,
        4,
        5,
    )
    scope = ScopeSpans(Scope("lib", "1", {"s": True}, 6), [span, span], "https://s")
    traces = Traces([ResourceSpans({"service.name": "shop"}, 7, [scope], "https://r")])
    [found] = passed_on(section, traces_chunk("t", traces))
    assert found.payload == traces
