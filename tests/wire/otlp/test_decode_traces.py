"""Requests of traces, as protobuf and as JSON."""

import contextlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans

from tailrace.model.traces import Link, Scope, SpanEvent, SpanKind, StatusCode
from tailrace.wire.otlp import decode_traces as module
from tailrace.wire.otlp import json_messages, read_traces
from tailrace.wire.otlp.decode_traces import decode_traces, decode_traces_json
from tailrace.wire.otlp.errors import OtlpError, TooMany

TRACE, SPAN = "0102030405060708090a0b0c0d0e0f10", "1112131415161718"


def request(*spans, **more):
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans), **more}]}]}


def of_json(*spans, **more):
    return decode_traces_json(orjson.dumps(request(*spans, **more)))


def the_span(decoded):
    (span,) = decoded.traces.spans()
    return span


def test_a_span_of_json():
    span = the_span(
        of_json(
            {
                "name": "GET",
                "traceId": TRACE,
                "spanId": SPAN,
                "parentSpanId": "",
                "kind": "SPAN_KIND_SERVER",
                "startTimeUnixNano": "1",
                "endTimeUnixNano": 2,
                "traceState": "a=1",
                "flags": 257,
                "attributes": [{"key": "k", "value": {"intValue": "200"}}],
                "events": [{"name": "e", "timeUnixNano": "3"}],
                "links": [{"traceId": TRACE, "spanId": SPAN, "traceState": "b=2", "flags": 1}],
                "status": {"code": 2, "message": "bad"},
                "droppedAttributesCount": 1,
                "droppedEventsCount": 2,
                "droppedLinksCount": 3,
            }
        )
    )
    assert (span.trace_id, span.span_id) == (bytes.fromhex(TRACE), bytes.fromhex(SPAN))
    assert span.parent_span_id is None
    assert (span.kind, span.start_ns, span.end_ns, span.flags) == (SpanKind.SERVER, 1, 2, 257)
    assert (span.attributes, span.trace_state) == ({"k": 200}, "a=1")
    assert span.events == [SpanEvent("e", 3)]
    assert span.links == [Link(bytes.fromhex(TRACE), bytes.fromhex(SPAN), "b=2", None, 0, 1)]
    assert (span.status_code, span.status_message) == (StatusCode.ERROR, "bad")
    assert (span.dropped_attributes, span.dropped_events, span.dropped_links) == (1, 2, 3)


@pytest.mark.parametrize(
    ("given", "kind"), [({}, SpanKind.INTERNAL), ({"kind": 0}, 0), ({"kind": None}, 1)]
)
def test_a_kind_that_is_left_out_is_internal(given, kind):
    assert the_span(of_json({"name": "x", **given})).kind == kind


@pytest.mark.parametrize("code", [1, "1", "OK", "ok", "STATUS_CODE_OK"])
def test_a_status_is_a_number_or_a_name(code):
    span = the_span(of_json({"name": "x", "status": {"code": code}}))
    assert span.status_code == StatusCode.OK


def test_what_json_leaves_out_is_none_and_the_kind_internal():
    decoded = of_json({"name": "x"}, scope={})
    resource = decoded.traces.resource_spans[0]
    assert resource.schema_url is None
    assert resource.scope_spans[0].scope == Scope(None, None, None)
    assert the_span(decoded).kind == SpanKind.INTERNAL


def test_protobuf_has_empty_texts():
    message = ExportTraceServiceRequest()
    scope_spans = message.resource_spans.add().scope_spans.add()
    scope_spans.scope.SetInParent()
    scope_spans.spans.add(name="x").status.SetInParent()
    decoded = decode_traces(message.SerializeToString())
    assert decoded.traces.resource_spans[0].schema_url == ""
    assert decoded.traces.resource_spans[0].scope_spans[0].scope == Scope("", "", {})
    assert the_span(decoded).kind == SpanKind.UNSPECIFIED
    assert the_span(decoded).status_message == ""


def test_a_bad_attribute_is_left_out_and_named():
    pairs = [{"key": "a", "value": {"intValue": "x"}}, {"key": "b", "value": {"stringValue": "y"}}]
    decoded = of_json({"name": "x", "attributes": pairs})
    assert the_span(decoded).attributes == {"b": "y"}
    assert "attributes[0].value.intValue" in decoded.why


@pytest.mark.parametrize(
    "span",
    [
        {},
        7,
        {"name": None},
        {"name": "x", "traceId": "01"},
        {"name": "x", "spanId": TRACE},
        {"name": "x", "traceId": "zz" * 16},
        {"name": "x", "status": {"code": "GREAT"}},
        {"name": "x", "events": [{}]},
        {"name": "x", "links": [{}]},
        {"name": "x", "kind": 1 << 40},
    ],
)
def test_what_is_wrong_in_a_span_refuses_the_request(span):
    with pytest.raises(OtlpError) as caught:
        of_json(span)
    assert str(caught.value).startswith("resourceSpans[0].scopeSpans[0].spans[0]")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"resourceSpans":1}',
        b'{"resourceSpans":[{}]}',
        b'{"resourceSpans":[{"scopeSpans":[{}]}]}',
    ],
)
def test_what_is_no_request_in_json_is_refused(data):
    with pytest.raises(OtlpError):
        decode_traces_json(data)


def test_spans_have_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 1)
    with pytest.raises(TooMany):
        of_json({"name": "a"}, {"name": "b"})


@given(data=st.binary(max_size=60))
def test_any_bytes_give_spans_or_an_error(data):
    with contextlib.suppress(OtlpError):
        assert decode_traces(data).traces.span_count >= 0


def test_scopes_and_objects_have_a_limit(monkeypatch):
    monkeypatch.setattr(read_traces, "MOST_GROUPS", 2)
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.extend([ScopeSpans(), ScopeSpans()])
    with pytest.raises(TooMany):
        decode_traces(message.SerializeToString())
    monkeypatch.setattr(json_messages, "MOST_MESSAGES", 4)
    with pytest.raises(TooMany):
        of_json({"name": "a"}, {"name": "b"})
    monkeypatch.setattr(json_messages, "MOST_GROUPS", 1)
    scopes = [{"spans": []}, {"spans": []}]
    with pytest.raises(TooMany):
        decode_traces_json(orjson.dumps({"resourceSpans": [{"scopeSpans": scopes}]}))


names = st.sampled_from(
    [
        "name",
        "traceId",
        "kind",
        "attributes",
        "key",
        "value",
        "stringValue",
        "arrayValue",
        "values",
        "events",
        "links",
        "status",
        "code",
        "startTimeUnixNano",
    ]
)
odd = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 1 << 65) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(given=odd)
def test_any_json_gives_spans_or_an_error(given):
    span = {"name": "x", "attributes": [{"key": "k", "value": given}], "status": given}
    for each in (request(given), request(span), {"resourceSpans": given}):
        with contextlib.suppress(OtlpError):
            decode_traces_json(json.dumps(each).encode())
