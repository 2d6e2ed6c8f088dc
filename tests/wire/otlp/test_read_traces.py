"""Traces read directly from protobuf, against a reader of the library's messages."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tailrace.wire.otlp import read_traces as module
from tailrace.wire.otlp.decode_traces import Reader
from tailrace.wire.otlp.errors import OtlpError, TooMany
from tailrace.wire.otlp.read_traces import read_traces

words = st.text(max_size=5)
long_words = st.text(min_size=120, max_size=140)
numbers = st.integers(0, 2**32 - 1)
times = st.integers(0, 2**64 - 1)
ids = st.binary(max_size=16)


def of_library(data):
    return Reader(is_json=False).traces(ExportTraceServiceRequest.FromString(data))


@st.composite
def add_attributes(draw, into):
    for key in draw(st.lists(words | long_words, max_size=3)):
        pair = into.add(key=key)
        kind = draw(st.integers(0, 6))
        if kind == 0:
            pair.value.string_value = draw(words | long_words)
        elif kind == 1:
            pair.value.bool_value = draw(st.booleans())
        elif kind == 2:
            pair.value.int_value = draw(st.integers(-(2**63), 2**63 - 1))
        elif kind == 3:
            pair.value.double_value = draw(st.floats(allow_nan=False))
        elif kind == 4:
            pair.value.bytes_value = draw(st.binary(max_size=3))
        elif kind == 5:
            pair.value.array_value.values.add().string_value = draw(words)


@st.composite
def requests(draw):
    request = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource = request.resource_spans.add(schema_url=draw(words))
        draw(add_attributes(resource.resource.attributes))
        resource.resource.dropped_attributes_count = draw(numbers)
        for _ in range(draw(st.integers(0, 2))):
            scope = resource.scope_spans.add(schema_url=draw(words))
            if draw(st.booleans()):
                scope.scope.name, scope.scope.version = draw(words), draw(words)
                scope.scope.dropped_attributes_count = draw(numbers)
                draw(add_attributes(scope.scope.attributes))
            for _ in range(draw(st.integers(0, 2))):
                draw(add_span(scope.spans.add()))
    return request


@st.composite
def add_span(draw, span):
    span.name, span.trace_state = draw(words | long_words), draw(words)
    span.trace_id, span.span_id, span.parent_span_id = draw(ids), draw(ids), draw(ids)
    span.kind = draw(st.sampled_from([0, 1, 5, 9, -1, 200]))
    span.start_time_unix_nano, span.end_time_unix_nano = draw(times), draw(times)
    span.flags = draw(numbers)
    span.dropped_attributes_count = draw(numbers)
    span.dropped_events_count, span.dropped_links_count = draw(numbers), draw(numbers)
    draw(add_attributes(span.attributes))
    if draw(st.booleans()):
        span.status.code = draw(st.sampled_from([0, 1, 2, -1, 300]))
        span.status.message = draw(words)
    for _ in range(draw(st.integers(0, 2))):
        event = span.events.add(name=draw(words), time_unix_nano=draw(times))
        event.dropped_attributes_count = draw(numbers)
        draw(add_attributes(event.attributes))
    for _ in range(draw(st.integers(0, 2))):
        link = span.links.add(trace_id=draw(ids), span_id=draw(ids), trace_state=draw(words))
        link.dropped_attributes_count, link.flags = draw(numbers), draw(numbers)
        draw(add_attributes(link.attributes))


@given(requests())
def test_it_reads_what_the_library_reads(request):
    data = request.SerializeToString()
    assert read_traces(data) == of_library(data)


@given(requests(), requests())
def test_messages_that_follow_one_another_are_one(one, other):
    data = one.SerializeToString() + other.SerializeToString()
    assert read_traces(data) == of_library(data)


@given(requests(), st.data())
def test_what_is_cut_or_damaged_is_read_or_refused(request, data):
    content = bytearray(request.SerializeToString())
    if content:
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(OtlpError):
        read_traces(bytes(content[: data.draw(st.integers(0, len(content)))]))


def test_text_that_is_no_utf_8_is_kept():
    """One span whose name is a byte that is none; the library refuses the request."""
    (span,) = read_traces(b"\x0a\x07\x12\x05\x12\x03\x2a\x01\xff").spans()
    assert span.name == "\udcff"


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05", b"\x0a\x02\x12\x05", b"\x0a\x04\x12\x02\x12\x09"]
)
def test_what_is_cut_off_is_refused(data):
    with pytest.raises(OtlpError):
        read_traces(data)


def test_events_and_links_have_a_limit(monkeypatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 2)
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    for _ in range(2):
        span.events.add()
    read_traces(request.SerializeToString())
    span.links.add()
    with pytest.raises(TooMany, match="events and links"):
        read_traces(request.SerializeToString())


def test_spans_have_a_limit_over_all_scopes(monkeypatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 2)
    request = ExportTraceServiceRequest()
    for _ in range(2):
        request.resource_spans.add().scope_spans.add().spans.add()
    read_traces(request.SerializeToString())
    request.resource_spans.add().scope_spans.add().spans.add()
    with pytest.raises(TooMany, match="2 spans"):
        read_traces(request.SerializeToString())
