"""Messages of the Forward protocol made of chunks."""

import base64
import gzip
import hashlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tailrace.model import Chunk, Group
from tailrace.model.accessor import Template
from tailrace.model.metrics import Metric, MetricKind, MetricSet, Sample, metrics_chunk
from tailrace.model.traces import ResourceSpans, ScopeSpans, Span, Traces, traces_chunk
from tailrace.testing import EPOCH_NS, chunk_of
from tailrace.wire import cmetrics, ctraces
from tailrace.wire.forward.writing import (
    Manner,
    Message,
    array_head,
    binary_head,
    encode,
    stripped_events,
)
from tailrace.wire.msgpack import encode_events
from tailrace.wire.packed import decode_packed

SECONDS = EPOCH_NS // 1_000_000_000
TIME = msgpack.ExtType(0, SECONDS.to_bytes(4) + bytes(4))


def unpacked(data):
    source = msgpack.Unpacker(None, strict_map_key=False, unicode_errors="surrogateescape")
    source.feed(data)
    return list(source)


def written(chunk, manner):
    """The messages, unpacked."""
    messages = encode(chunk, manner, EPOCH_NS)
    return [value for message in messages for value in unpacked(b"".join(message.parts))]


def token(data):
    return base64.b64encode(hashlib.sha512(data).digest()[:16]).decode()


ONE = [[TIME, {}], {"a": 1}]


@pytest.mark.parametrize(
    ("manner", "message"),
    [
        (Manner(), ["t", [ONE]]),
        (Manner(keep_metadata=False), ["t", [[TIME, {"a": 1}]]]),
        (Manner(keep_metadata=None), ["t", [[TIME, {"a": 1}]]]),
        (Manner(time_as_integer=True), ["t", [[SECONDS, {"a": 1}]]]),
        (Manner(with_options=True), ["t", [ONE], {"size": 1, "fluent_signal": 0}]),
        (Manner(tag=Template("new.$TAG")), ["new.t", [ONE]]),
        (
            Manner(with_options=True, extra=(("region", "eu"),)),
            ["t", [ONE], {"size": 1, "fluent_signal": 0, "region": "eu"}],
        ),
        (Manner(tag=Template("$a.x")), ["1.x", TIME, {"a": 1}, {"fluent_signal": 0}]),
        (
            Manner(tag=Template("$a"), time_as_integer=True),
            ["1", SECONDS, {"a": 1}, {"fluent_signal": 0}],
        ),
    ],
)
def test_one_event_is_written_in_each_manner(manner, message):
    assert written(chunk_of([{"a": 1}], "t"), manner) == [message]


def test_metadata_is_kept_where_it_can_be():
    chunk = chunk_of([{"a": 1}], "t", metadata=[{"m": 2}])
    kept = [["t", [[[TIME, {"m": 2}], {"a": 1}]]]]
    assert written(chunk, Manner()) == kept
    assert written(chunk, Manner(keep_metadata=None)) == kept
    assert written(chunk, Manner(keep_metadata=False)) == [["t", [[TIME, {"a": 1}]]]]
    by_event = Manner(tag=Template("$a"))
    options = {"fluent_signal": 0, "metadata": {"m": 2}}
    assert written(chunk, by_event) == [["1", TIME, {"a": 1}, options]]
    acked = written(chunk, Manner(tag=Template("$a"), wants_ack=True))
    assert list(acked[0][3]) == ["chunk", "fluent_signal", "metadata"]


def test_an_ack_token_is_of_the_events():
    chunk = chunk_of([{"a": 1}, {"a": 2}], "t")
    manner = Manner(with_options=True, wants_ack=True)
    (message,) = encode(chunk, manner, 0)
    expected = token(encode_events(chunk.times, None, chunk.bodies))
    options = unpacked(b"".join(message.parts))[0][2]
    assert message.token == expected
    assert list(options.items()) == [("chunk", expected), ("size", 2), ("fluent_signal", 0)]


def test_each_message_has_a_token_of_its_own():
    chunk = chunk_of([{"a": 1}, {"a": 2}], "t")
    manner = Manner(tag=Template("$a"), with_options=True, wants_ack=True)
    messages = encode(chunk, manner, 0)
    expected = [
        token(encode_events(chunk.times[at : at + 1], None, chunk.bodies[at : at + 1]))
        for at in range(2)
    ]
    assert [message.token for message in messages] == expected
    assert [unpacked(m.parts[0])[0][3]["chunk"] for m in messages] == expected


def test_gzip_packs_the_entries():
    manner = Manner(with_options=True, compress=True, keep_metadata=False)
    ((tag, packed, options),) = written(chunk_of([{"a": 1}, {"a": 2}], "t"), manner)
    assert (tag, list(options)) == ("t", ["size", "compressed", "fluent_signal"])
    assert [event[1] for event in unpacked(gzip.decompress(packed))] == [{"a": 1}, {"a": 2}]


def never(data):
    raise AssertionError("it was decoded")


def test_what_is_packed_goes_out_undecoded():
    packed = encode_events([EPOCH_NS], None, [{"a": 1}])
    chunk = Chunk.of_packed("t", packed, 1, never)
    (message,) = encode(chunk, Manner(with_options=True, wants_ack=True), 0)
    assert message.parts[1] is packed


def test_entries_without_metadata_go_out_undecoded_if_they_came_so():
    packed = msgpack.packb([TIME, {"a": 1}])
    chunk = Chunk.of_packed("t", packed, 1, decode_packed)
    (message,) = encode(chunk, Manner(keep_metadata=False), 0)
    assert message.parts[1] is packed


@pytest.mark.parametrize("keep", [False, None])
def test_empty_metadata_is_taken_out_of_packed_events_undecoded(keep):
    bodies = [{"a": "\x92\x92"}, {}, {"b": [b"\x92\x92\xd7\x00", {"c": None}]}]
    times = [EPOCH_NS + 1, 0, 4_294_967_293_999_999_999]
    chunk = Chunk.of_packed("t", encode_events(times, None, bodies), 3, never)
    bare = encode(Chunk("t", times, bodies), Manner(keep_metadata=keep), 0)
    assert encode(chunk, Manner(keep_metadata=keep), 0) == [
        Message((bare[0].parts[0], bare[0].parts[1], b""), "")
    ]


@pytest.mark.parametrize(
    "packed",
    [
        encode_events([EPOCH_NS], [{"m": 1}], [{"a": 1}]),
        msgpack.packb([[SECONDS, {}], {"a": 1}]),
        encode_events([EPOCH_NS], None, [{"a": 1}])[:-1],
        encode_events([EPOCH_NS], None, [{"a": 1}], [Group({}, {})]),
        b"",
    ],
)
def test_other_packed_events_are_not_stripped(packed):
    assert not stripped_events(packed)


def test_packed_events_of_both_forms_all_lose_their_metadata():
    packed = msgpack.packb([TIME, {"a": 1}]) + encode_events([EPOCH_NS], [{"m": 1}], [{"a": 2}])
    chunk = Chunk.of_packed("t", packed, 2, decode_packed)
    ((_, entries),) = written(chunk, Manner(keep_metadata=False))
    assert entries == [[TIME, {"a": 1}], [TIME, {"a": 2}]]


def test_marks_of_groups_count_as_entries():
    group = Group({"schema": "otlp"}, {"resource": {}})
    chunk = Chunk("t", [EPOCH_NS] * 3, [{"a": 1}, {"a": 2}, {"a": 3}], groups=[group, group, None])
    ((_, entries, options),) = written(chunk, Manner(with_options=True))
    assert [entry[1] for entry in entries] == [{"resource": {}}, {"a": 1}, {"a": 2}, {}, {"a": 3}]
    assert options["size"] == 5
    assert len(written(chunk, Manner(keep_metadata=None))[0][1]) == 5
    assert len(written(chunk, Manner(keep_metadata=False))[0][1]) == 3
    chunk.seal(encode_events, decode_packed)
    assert len(written(chunk, Manner())[0][1]) == 5


def test_traces_are_a_binary_with_their_signal():
    traces = Traces([ResourceSpans(scope_spans=[ScopeSpans(spans=[Span("a")])])])
    payload = ctraces.encode(traces)
    assert written(traces_chunk("s", traces), Manner()) == [["s", payload, {"fluent_signal": 2}]]


def metrics():
    sample = Sample((), 1.0, EPOCH_NS)
    return metrics_chunk("m", MetricSet([Metric(MetricKind.GAUGE, "up", samples=[sample])]))


def test_metrics_are_a_binary_with_their_signal():
    chunk = metrics()
    payload = cmetrics.encode(chunk.payload)
    assert written(chunk, Manner()) == [["m", payload, {"fluent_signal": 1}]]
    manner = Manner(wants_ack=True, compress=True, tag=Template("x"))
    ((tag, packed, options),) = written(chunk, manner)
    assert (tag, gzip.decompress(packed)) == ("x", payload)
    assert options == {"chunk": token(payload), "compressed": "gzip", "fluent_signal": 1}


def test_metrics_for_fluentd_are_an_event():
    chunk = metrics()
    (inner,) = unpacked(cmetrics.encode(chunk.payload))
    ((tag, entries, options),) = written(chunk, Manner(fluentd_compat=True))
    assert (tag, entries, options) == ("m", [[TIME, [inner]]], {"fluent_signal": 1})


@pytest.mark.parametrize("count", [0, 1, 15, 16, 255, 256, 65535, 65536, 1 << 20])
def test_heads_are_the_librarys(count):
    packer = msgpack.Packer()
    assert array_head(count) == packer.pack_array_header(count)
    packed = msgpack.packb(bytes(count))
    assert binary_head(count) == packed[: len(packed) - count]


VALUES = st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text()
EVENTS = st.lists(
    st.tuples(
        st.integers(-(10**18), 6 * 10**18),
        st.dictionaries(st.text(), VALUES, max_size=2),
        st.dictionaries(st.text(), VALUES, max_size=3),
    ),
    min_size=1,
    max_size=20,
)


@given(EVENTS, st.sampled_from([True, False, None]), st.booleans(), st.booleans())
def test_all_events_are_in_the_message(events, keep, whole_seconds, with_options):
    times, metadata, bodies = map(list, zip(*events, strict=True))
    manner = Manner(keep_metadata=keep, time_as_integer=whole_seconds, with_options=with_options)
    ((_, entries, *options),) = written(Chunk("t", times, bodies, metadata), manner)
    assert [entry[1] for entry in entries] == bodies
    assert options == ([{"size": len(bodies), "fluent_signal": 0}] if with_options else [])
    if whole_seconds:
        assert [entry[0] for entry in entries] == [time // 10**9 for time in times]
    elif keep is not False:
        assert [entry[0][1] for entry in entries] == metadata
