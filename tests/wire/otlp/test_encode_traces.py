"""Traces as OTLP protobuf, read back by the library."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tailrace.model.traces import (
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    SpanKind,
    StatusCode,
    Traces,
)
from tailrace.wire.otlp.encode_traces import encode_traces
from tests.wire.otlp.test_protobuf import plain

TRACE, SPAN, PARENT = b"t" * 16, b"s" * 8, b"p" * 8


def read(traces):
    return list(ExportTraceServiceRequest.FromString(encode_traces(traces)).resource_spans)


def pairs(message):
    return {each.key: plain(each.value) for each in message.attributes}


def test_a_span_keeps_all_of_it():
    span = Span(
        "GET /cart",
        TRACE,
        SPAN,
        PARENT,
        SpanKind.SERVER,
        1,
        2,
        {"http.status": 200},
        [SpanEvent("miss", 3, {"k": "v"}, 4)],
        [Link(TRACE, PARENT, "l=1", {"a": None}, 5, 1)],
        StatusCode.ERROR,
        "broken",
        "k=v",
        257,
        None,
        6,
        7,
        8,
    )
    resource = ResourceSpans(
        {"service.name": "shop"},
        9,
        [ScopeSpans(Scope("lib", "1", {"s": [1.5]}, 10), [span], "https://s")],
        "https://r",
    )
    [made] = read(Traces([resource]))
    assert (pairs(made.resource), made.resource.dropped_attributes_count, made.schema_url) == (
        {"service.name": "shop"},
        9,
        "https://r",
    )
    [scope] = made.scope_spans
    assert (scope.scope.name, scope.scope.version, pairs(scope.scope)) == ("lib", "1", {"s": [1.5]})
    assert (scope.scope.dropped_attributes_count, scope.schema_url) == (10, "https://s")
    [found] = scope.spans
    assert (found.name, found.trace_id, found.span_id) == ("GET /cart", TRACE, SPAN)
    assert (found.parent_span_id, found.kind, found.trace_state, found.flags) == (
        PARENT,
        2,
        "k=v",
        257,
    )
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (1, 2)
    assert (found.status.code, found.status.message) == (2, "broken")
    assert pairs(found) == {"http.status": 200}
    assert (
        found.dropped_attributes_count,
        found.dropped_events_count,
        found.dropped_links_count,
    ) == (6, 7, 8)
    [event] = found.events
    assert (event.name, event.time_unix_nano, pairs(event)) == ("miss", 3, {"k": "v"})
    assert event.dropped_attributes_count == 4
    [link] = found.links
    assert (link.trace_id, link.span_id, link.trace_state) == (TRACE, PARENT, "l=1")
    assert (pairs(link), link.dropped_attributes_count, link.flags) == ({"a": None}, 5, 1)


def test_resources_and_scopes_stay_apart_and_in_order():
    def scope(*names):
        return ScopeSpans(None, [Span(name) for name in names])

    traces = Traces(
        [ResourceSpans({}, 0, [scope("a", "b"), scope()]), ResourceSpans({}, 0, [scope("c")])]
    )
    found = [
        [[span.name for span in each.spans] for each in resource.scope_spans]
        for resource in read(traces)
    ]
    assert found == [[["a", "b"], []], [["c"]]]


def test_no_traces_are_no_bytes():
    assert encode_traces(Traces()) == b""


def test_a_span_always_has_a_status_be_it_empty():
    traces = Traces([ResourceSpans(scope_spans=[ScopeSpans(None, [Span("a", kind=0)])])])
    assert b"\x2a\x01a" + b"\x7a\x00" in encode_traces(traces)
