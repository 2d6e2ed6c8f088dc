"""Protobuf read directly, against protobuf's own library."""

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tailrace.wire.otlp.decode_logs import LogKeys, decode_logs
from tailrace.wire.otlp.errors import OtlpError
from tailrace.wire.otlp.protobuf import any_value, message
from tailrace.wire.otlp.reading import MOST_REMEMBERED, Pairs, value_at, varint_at
from tailrace.wire.otlp.values import MOST_DEPTH, read_attributes, read_value
from tests.wire.otlp.test_values import message_of, pairs_of, plain, texts

NOW = 99


def of_library(data):
    """The events of a request as the library reads it; None if it does not."""
    try:
        request = ExportLogsServiceRequest.FromString(data)
    except DecodeError:
        return None
    made = []
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                value = read_value(record.body)
                body = value if type(value) is dict else {"log": value}
                resource = read_attributes(resource_logs.resource.attributes)
                made.append((record, body, resource, scope_logs.scope.name))
    return made


def same(data):
    """Whether both read the same of a request that the library can read."""
    expected = of_library(data)
    if expected is None:
        return True
    events = decode_logs(data, LogKeys(), NOW)
    assert len(events.times) == len(expected)
    for index, (record, body, resource, scope) in enumerate(expected):
        told = events.metadata[index]["otlp"]
        assert events.times[index] == (
            record.time_unix_nano or record.observed_time_unix_nano or NOW
        )
        assert repr(events.bodies[index]) == repr(body)
        assert repr(told.get("attributes", {})) == repr(read_attributes(record.attributes))
        assert told.get("severity_number", 0) == record.severity_number
        assert told.get("severity_text", "") == record.severity_text
        assert told.get("trace_id", b"") == record.trace_id
        assert told.get("span_id", b"") == record.span_id
        assert told["trace_flags"] == record.flags & 0xFF
        assert told.get("event_name", "") == record.event_name
        assert told.get("dropped_attributes_count", 0) == record.dropped_attributes_count
        group = events.groups[index].body
        assert repr(group["resource"].get("attributes", {})) == repr(resource)
        assert group["scope"].get("name", "") == scope
    return True


@st.composite
def requests(draw):
    """A request with everything in it that a record may have."""
    request = ExportLogsServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource_logs = request.resource_logs.add(schema_url=draw(texts))
        resource_logs.resource.attributes.extend(
            pairs_of(draw(st.dictionaries(texts, plain, max_size=2)))
        )
        for _ in range(draw(st.integers(0, 2))):
            scope_logs = resource_logs.scope_logs.add()
            scope_logs.scope.name = draw(texts)
            for _ in range(draw(st.integers(0, 3))):
                scope_logs.log_records.append(
                    LogRecord(
                        time_unix_nano=draw(st.integers(0, (1 << 64) - 1)),
                        observed_time_unix_nano=draw(st.integers(0, 2)),
                        severity_number=draw(st.integers(0, 24)),
                        severity_text=draw(texts),
                        body=message_of(draw(plain)),
                        attributes=pairs_of(draw(st.dictionaries(texts, plain, max_size=3))),
                        dropped_attributes_count=draw(st.integers(0, (1 << 32) - 1)),
                        flags=draw(st.integers(0, (1 << 32) - 1)),
                        trace_id=draw(st.binary(max_size=16)),
                        event_name=draw(texts),
                    )
                )
    return request.SerializeToString()


@given(data=requests())
def test_every_request_is_read_as_the_library_reads_it(data):
    assert of_library(data) is not None
    assert same(data)


@given(data=requests(), at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(0, 20))
@example(data=b"\n\x06\x12\x04\x12\x02\x08\x05", at=999, byte=0, cut=0)
@example(data=b"\n\x05\x12\x03\x12\x01\x0b", at=999, byte=0, cut=0)
def test_a_damaged_request_is_an_error_or_what_the_library_makes_of_it(data, at, byte, cut):
    damaged = bytearray(data[: len(data) - cut])
    if at < len(damaged):
        damaged[at] = byte
    try:
        assert same(bytes(damaged))
    except OtlpError:
        assert of_library(bytes(damaged)) in (None, of_groups(damaged))


def of_groups(damaged):
    """What the library makes of groups, a kind of field that has not been written for decades and is an error here."""
    marks = {byte & 7 for byte in damaged}
    return of_library(bytes(damaged)) if marks & {3, 4} else None


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\x05\x0a",  # longer than what is there
        b"\x0a\x04\x12\x02\x12\x01",
        b"\x0a\x06\x12\x04\x12\x02\x32\x01",
        b"\x0a\x05\x12\x03\x12\x01\x09",
        b"\x0a\x05\x12\x03\x12\x01\x10",
        b"\x0a\x06\x12\x04\x12\x02\x10\xff",
        b"\x0a" + b"\xff" * 11,
        b"\x02\x00",  # number 0
        b"\x0f\x00",  # type 7
        b"\x80",
    ],
)
def test_what_is_no_message_is_refused(data):
    assert of_library(data) is None
    with pytest.raises(OtlpError):
        decode_logs(data, LogKeys(), NOW)


def test_text_that_is_no_utf_8_is_kept():
    data = b"\x0a\x0a\x12\x08\x12\x06\x2a\x04\x0a\x02\xffa"
    assert decode_logs(data, LogKeys(), NOW).bodies == [{"log": "\udcffa"}]


def test_values_in_values_have_a_limit():
    data = any_value("x")
    for _ in range(MOST_DEPTH + 1):
        data = message(b"\x2a", message(b"\x0a", data))
    with pytest.raises(OtlpError, match="values in values"):
        value_at(data, 0, len(data))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x2a\x04\x0a\x02\x18\x01" * 2, [1, 1]),
        (b"\x32\x05\x0a\x03\x0a\x01a" + b"\x32\x05\x0a\x03\x0a\x01b", {"a": None, "b": None}),
        (b"\x18\x01\x0a\x01x", "x"),
    ],
)
def test_a_value_that_comes_in_parts_is_joined_and_of_several_the_last_counts(data, value):
    assert value_at(data, 0, len(data)) == read_value(AnyValue.FromString(data)) == value


@given(number=st.integers(0, (1 << 64) - 1), rest=st.binary(max_size=2))
def test_numbers(number, rest):
    value = AnyValue(int_value=number - (1 << 64) if number >> 63 else number)
    data = value.SerializeToString()
    assert varint_at(data + rest, 1) == (number, len(data))


def test_remembered_attributes_have_a_limit_and_maps_are_never_shared():
    pairs = Pairs()
    for number in range(MOST_REMEMBERED + 1):
        (pair,) = pairs_of({"k": number})
        assert pairs[pair.SerializeToString()] == ("k", number)
    assert len(pairs) <= MOST_REMEMBERED
    (pair,) = pairs_of({"k": {"a": 1}})
    content = pair.SerializeToString()
    assert pairs[content][1] is not pairs[content][1]
