from contextlib import suppress

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model.traces import (
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    Traces,
)
from tailrace.wire import ctraces
from tailrace.wire.ctraces import TracesError, decode, encode

words = st.text(max_size=6)
maybe = st.none() | words
counts = numbers = st.integers(0, 2**32 - 1)
times = st.integers(0, 2**64 - 1)
ids = st.none() | st.binary(min_size=1, max_size=16)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | words
    | st.binary(max_size=4)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=5,
)
attributes = st.dictionaries(words, values, max_size=3)
events = st.builds(SpanEvent, words, times, attributes, counts)
links = st.builds(Link, ids, ids, maybe, st.none() | attributes, counts)
spans = st.builds(
    Span,
    words,
    ids,
    ids,
    ids,
    st.integers(0, 5),
    times,
    times,
    attributes,
    st.lists(events, max_size=2),
    st.lists(links, max_size=2),
    st.integers(0, 2),
    maybe,
    maybe,
    st.just(0),
    maybe,
    counts,
    counts,
    counts,
)
scopes = st.builds(Scope, maybe, maybe, st.none() | attributes, counts)
scope_spans = st.builds(ScopeSpans, st.none() | scopes, st.lists(spans, max_size=2), maybe)
resources = st.builds(ResourceSpans, attributes, counts, st.lists(scope_spans, max_size=2), maybe)
sets = st.builds(Traces, st.lists(resources, max_size=2))


@given(st.lists(sets, max_size=2))
def test_what_is_written_is_read_again(given_sets):
    assert decode(b"".join(map(encode, given_sets))) == given_sets


@given(sets, numbers, numbers)
def test_flags_are_kept_where_they_are_wanted(traces, of_spans, of_links):
    for span in traces.spans():
        span.flags = of_spans
        for link in span.links:
            link.flags = of_links
    assert decode(encode(traces, with_flags=True)) == [traces]
    for span in decode(encode(traces))[0].spans():
        assert (span.flags, [link.flags for link in span.links if link.flags]) == (0, [])


@given(st.binary(max_size=60))
def test_any_bytes_are_traces_or_an_error(data):
    with suppress(TracesError):
        decode(data)


@given(sets, st.data())
def test_damaged_traces_are_traces_or_an_error(traces, data):
    packed = bytearray(encode(traces))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] = data.draw(st.integers(0, 255))
    with suppress(TracesError):
        decode(bytes(packed))


def test_fluent_bit_s_own_bytes_are_read():
    """As `ctr_encode_msgpack_create` writes them, integers in their full width."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_map_header(1)
    packer.pack("resourceSpans")
    packer.pack_array_header(1)
    packer.pack(
        {
            "resource": {"attributes": {"service.name": "shop"}, "dropped_attributes_count": 0},
            "schema_url": None,
            "scope_spans": [
                {
                    "scope": None,
                    "spans": [
                        {
                            "trace_id": "0af7651916cd43dd8448eb211c80319c",
                            "span_id": "b7ad6b7169203331",
                            "parent_span_id": None,
                            "name": "GET",
                            "kind": 2,
                            "status": {"code": 1, "message": None},
                        }
                    ],
                    "schema_url": "",
                }
            ],
        }
    )
    [traces] = decode(packer.bytes())
    [span] = traces.spans()
    assert span.trace_id == bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
    assert (span.parent_span_id, span.name, span.kind, span.status_code) == (None, "GET", 2, 1)
    assert traces.resource_spans[0].attributes == {"service.name": "shop"}
    assert traces.resource_spans[0].scope_spans[0].schema_url == ""


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([], "traces is no map"),
        ({"resourceSpans": {}}, "resourceSpans is no list"),
        ({"resourceSpans": [{"scope_spans": [{"spans": [{"name": 1}]}]}]}, "name is no text"),
        ({"resourceSpans": [{"scope_spans": [{"spans": [{"trace_id": "xy"}]}]}]}, "hexadecimal"),
        ({"resourceSpans": [{"scope_spans": [{"spans": [{"kind": "a"}]}]}]}, "kind is no integer"),
        ({"resourceSpans": [{"resource": {"attributes": {5: 1}}}]}, "5 is no name"),
        (
            {"resourceSpans": [{"resource": {"attributes": {"a": [msgpack.ExtType(9, b"")]}}}]},
            "is no value of an attribute",
        ),
    ],
)
def test_what_is_wrong_is_told(wrong, told):
    with pytest.raises(TracesError, match=told):
        decode(msgpack.packb(wrong))


def test_cut_traces_are_told():
    with pytest.raises(TracesError, match="at byte 0 are cut off"):
        decode(encode(Traces([ResourceSpans({"a": "b"})]))[:-1])


def test_traces_that_are_too_large_are_refused(monkeypatch):
    monkeypatch.setattr("tailrace.wire.sets.MOST_BYTES", 3)
    with pytest.raises(TracesError, match="more than 3"):
        decode(b"\x80" * 4)


def test_more_spans_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(ctraces, "MOST_SPANS", 1)
    spans = [Span("a"), Span("b")]
    with pytest.raises(TracesError, match="more than 1 spans"):
        decode(encode(Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])])))


def test_integers_of_more_than_64_bits_become_floats():
    [traces] = decode(encode(Traces([ResourceSpans({"a": 1 << 70})])))
    assert traces.resource_spans[0].attributes == {"a": float(1 << 70)}
