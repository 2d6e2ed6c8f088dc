"""Logs as OTLP protobuf, read back by the library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tailrace.model import Chunk
from tailrace.model.accessor import Accessor
from tailrace.testing import EPOCH_NS
from tailrace.wire.otlp.encode_logs import LogEncoder, LogKeys
from tailrace.wire.otlp.log_requests import Limits, log_requests
from tailrace.wire.otlp.protobuf import message
from tests.wire.otlp.test_protobuf import plain

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def chunk_with(*pairs):
    """Each pair: a body and its metadata."""
    bodies, metadata = [body for body, _ in pairs], [meta for _, meta in pairs]
    return Chunk("t", [EPOCH_NS] * len(pairs), bodies, metadata)


def requests_of(chunk, keys=None, groups=None, limits=None):
    encoded = LogEncoder(keys).encode(chunk)
    made = log_requests(encoded.records, groups, limits or Limits())
    return [ExportLogsServiceRequest.FromString(each.content) for each in made]


def records_of(chunk, keys=None):
    [request] = requests_of(chunk, keys)
    [resource] = request.resource_logs
    [scope] = resource.scope_logs
    return list(scope.log_records)


def one_record(body, metadata=None, keys=None):
    [record] = records_of(chunk_with((body, metadata or {})), keys)
    return record


def attributes(record):
    return {each.key: plain(each.value) for each in record.attributes}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"log": "line", "a": 1}, "line"),
        ({"message": "text", "log": None}, None),
        ({"message": "text"}, "text"),
        ({"a": {"b": [1, 2.5]}}, {"a": {"b": [1, 2.5]}}),
        ({}, {}),
    ],
)
def test_the_body_is_the_first_key_that_is_there_or_all(body, expected):
    record = one_record(body)
    assert plain(record.body) == expected
    assert record.time_unix_nano == EPOCH_NS
    assert attributes(record) == {}


def test_an_event_and_the_same_with_metadata_have_the_same_body():
    body = {"log": "x", "SeverityText": "WARN"}
    plainly, slowly = one_record({"log": "x"}), one_record(body, {"k": 1})
    assert plain(plainly.body) == plain(slowly.body) == "x"


def test_the_rest_of_the_event_becomes_attributes_if_asked_for():
    keys = LogKeys(body=[Accessor("$a['b']")], with_rest=True)
    body = {"a": {"b": "text", "c": 1}, "d": 2}
    record = one_record(body, keys=keys)
    assert plain(record.body) == "text"
    assert attributes(record) == {"a": {"c": 1}, "d": 2}
    assert body == {"a": {"b": "text", "c": 1}, "d": 2}
    assert attributes(one_record({"d": 2}, keys=keys)) == {}


def test_attributes_are_the_metadata_then_those_of_otlp():
    record = one_record({"log": "x"}, {"k": "v", "otlp": {"attributes": {"n": 3}}})
    assert [each.key for each in record.attributes] == ["k", "n"]


def test_what_came_as_otlp_is_passed_on():
    otlp = {
        "observed_timestamp": 5,
        "timestamp": 7,
        "severity_number": 9,
        "severity_text": "INFO",
        "trace_id": bytes.fromhex(TRACE),
        "span_id": bytes.fromhex(SPAN),
        "trace_flags": 1,
        "dropped_attributes_count": 2,
        "event_name": "click",
    }
    record = one_record({"log": "x"}, {"otlp": otlp})
    assert (record.observed_time_unix_nano, record.time_unix_nano) == (5, 7)
    assert (record.severity_number, record.severity_text) == (9, "INFO")
    assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE, SPAN)
    assert (record.flags, record.dropped_attributes_count, record.event_name) == (1, 2, "click")


FIELDS = {
    "timestamp": st.integers(-1, 2**63) | st.text(max_size=2),
    "observed_timestamp": st.integers(-1, 2**63) | st.none(),
    "severity_number": st.integers(-1, 30) | st.booleans(),
    "severity_text": st.text(max_size=3) | st.none(),
    "attributes": st.dictionaries(st.text(max_size=2), st.integers(), max_size=2) | st.just([]),
    "dropped_attributes_count": st.integers(-1, 2**33),
    "trace_flags": st.integers(-1, 2**33) | st.just("x"),
    "trace_id": st.sampled_from([b"t" * 16, TRACE, b"", "x", None]),
    "span_id": st.sampled_from([b"s" * 8, SPAN, b"", "x", None]),
    "event_name": st.text(max_size=3) | st.just(1),
}


@given(
    st.fixed_dictionaries({}, optional=FIELDS),
    st.sampled_from([{"log": "x"}, {"message": {"a": 1}}, {"b": None}, {}]),
    st.integers(0, 2**63),
)
def test_what_came_as_otlp_is_written_the_same_by_the_fast_way(otlp, body, time):
    encoder, metadata = LogEncoder(), {"otlp": otlp}
    encoded = encoder.encode(Chunk("t", [time], [body], [metadata]))
    bad_ids, encoder._bad_ids = encoded.bad_ids, 0
    assert encoded.records == [message(b"\x12", encoder._record(time, metadata, body))]
    assert bad_ids == encoder._bad_ids


@given(
    st.sampled_from(
        [{"log": "x"}, {"log": "x" * 200}, {"message": 5}, {"b": [1]}, {}, {"log": "\udcff"}]
    ),
    st.integers(0, 2**63),
)
def test_an_event_without_metadata_is_written_the_same_by_the_fast_way(body, time):
    encoder = LogEncoder()
    expected = [message(b"\x12", encoder._record(time, {}, body))]
    assert encoder.encode(Chunk("t", [time], [body])).records == expected
    if type(body.get("log")) is str:
        lines = Chunk.of_lines("t", [time], "log", [body["log"]], 1)
        assert encoder.encode(lines).records == expected


@pytest.mark.parametrize(
    "bodies",
    [
        [{"a": number, "b": {"c": "x" * number}} for number in range(10)],
        [{"a": "x" * 5000}] * 5,
        [{"a": "b\udcff"}] * 5,
        [{}] * 5,
        [{"a": 1}] * 4 + [{"b": 1}],
        [{"log": "a"}] * 5,
        [{"log": "a"}, {"log": None}, {"log": ["b\udcff"]}, {"log": {"a": 1}}],
        [{"message": "b\udcff", "log": 1}] * 5,
        [{"a": 1, "SeverityText": "WARN"}] * 5,
    ],
)
@pytest.mark.parametrize("first", [-5, 0, EPOCH_NS])
def test_events_that_are_alike_are_written_as_each_by_itself(bodies, first):
    times = [first + number for number in range(len(bodies))]
    encoder = LogEncoder()
    pairs = zip(times, bodies, strict=True)
    expected = [message(b"\x12", encoder._record(time, {}, body)) for time, body in pairs]
    assert encoder.encode(Chunk("t", times, bodies)).records == expected


@pytest.mark.parametrize(
    "chunk",
    [
        chunk_with(*[({"log": str(number)}, {"k": number}) for number in range(7)]),
        Chunk("t", list(range(7)), [{"a": number} for number in range(7)]),
        Chunk.of_lines("t", list(range(7)), "log", [str(number) for number in range(7)], 7),
    ],
)
def test_a_chunk_can_be_encoded_in_parts(chunk):
    encoder = LogEncoder()
    parts = [encoder.encode(chunk, start, start + 3).records for start in (0, 3, 6)]
    assert [record for part in parts for record in part] == encoder.encode(chunk).records


def test_parts_come_from_the_metadata_or_the_event():
    metadata = {"SeverityNumber": 13, "TraceFlags": 1, "Attributes": {"a": 1}, "Timestamp": 4}
    record = one_record({"SeverityText": "WARN", "TraceId": TRACE, "SpanId": SPAN}, metadata)
    assert (record.severity_number, record.severity_text, record.flags) == (13, "WARN", 1)
    assert (record.trace_id.hex(), record.span_id.hex(), record.time_unix_nano) == (TRACE, SPAN, 4)
    assert attributes(record)["a"] == 1


@pytest.mark.parametrize("number", [0, 25, -1, "9", True, 9.0])
def test_a_severity_that_is_none_is_left_out(number):
    assert one_record({"SeverityNumber": number}).severity_number == 0


@pytest.mark.parametrize("bad", ["short", "z" * 32, "0a " * 10 + "ab", b"\1", 1, None])
def test_a_trace_id_that_is_none_is_left_out_and_counted(bad):
    chunk = chunk_with(({"TraceId": bad, "SpanId": SPAN}, {}))
    encoded = LogEncoder().encode(chunk)
    assert encoded.bad_ids == 1
    [record] = records_of(chunk)
    assert (record.trace_id, record.span_id.hex()) == (b"", SPAN)


def test_lines_are_encoded_without_being_opened():
    chunk = Chunk.of_block("t", [EPOCH_NS, EPOCH_NS + 1], "log", b"one\ntw\xff")
    records = records_of(chunk)
    assert [plain(each.body) for each in records] == ["one", b"tw\xff"]
    assert [each.time_unix_nano for each in records] == [EPOCH_NS, EPOCH_NS + 1]
    assert not chunk.decoded


def test_lines_under_another_key_are_the_map_that_they_stand_for():
    chunk = Chunk.of_block("t", [EPOCH_NS], "line", b"one")
    assert plain(records_of(chunk)[0].body) == {"line": "one"}


def test_an_event_that_is_nested_too_deeply_is_none_and_the_others_are_there():
    deep = {}
    for _ in range(5000):
        deep = {"a": deep}
    encoded = LogEncoder().encode(chunk_with(({"log": "a"}, {}), (deep, {}), ({"log": "b"}, {})))
    assert [record is None for record in encoded.records] == [False, True, False]
    [request] = log_requests(encoded.records, None, Limits())
    assert request.events == [0, 2]
