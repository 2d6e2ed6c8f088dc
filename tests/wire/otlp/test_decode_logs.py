"""Requests of logs, as protobuf and as JSON."""

import contextlib
import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import ScopeLogs

from tailrace.wire.otlp import decode_logs as decode_logs_module
from tailrace.wire.otlp import decode_logs_json as decode_logs_json_module
from tailrace.wire.otlp.decode_logs import LogKeys, decode_logs
from tailrace.wire.otlp.decode_logs_json import decode_logs_json
from tailrace.wire.otlp.errors import OtlpError, TooMany

NOW = 99
TRACE, SPAN = "0102030405060708090a0b0c0d0e0f10", "1112131415161718"


def request(*records, **more):
    scope_logs = {"scope": {"name": "lib"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": {}, "scopeLogs": [scope_logs], **more}]}


def of_json(*records, keys=None, **more):
    return decode_logs_json(orjson.dumps(request(*records, **more)), keys or LogKeys(), NOW)


def of_protobuf(fill, keys=None):
    message = ExportLogsServiceRequest()
    fill(message.resource_logs.add().scope_logs.add().log_records.add())
    return decode_logs(message.SerializeToString(), keys or LogKeys(), NOW)


@pytest.mark.parametrize(
    ("record", "time_ns"),
    [
        ({"timeUnixNano": "5", "observedTimeUnixNano": "6"}, 5),
        ({"timeUnixNano": 5}, 5),
        ({"observedTimeUnixNano": "6"}, 6),
        ({"timeUnixNano": "0", "observedTimeUnixNano": "6"}, 6),
        ({"timeUnixNano": ""}, NOW),
        ({}, NOW),
    ],
)
def test_the_time_is_that_of_the_record_or_of_its_observation_or_now(record, time_ns):
    assert of_json(record).times == [time_ns]


@pytest.mark.parametrize("time", ["12x", -1, 1.5, None, [], "99999999999999999999999"])
def test_a_time_that_is_none_is_refused(time):
    with pytest.raises(OtlpError) as caught:
        of_json({}, {"timeUnixNano": time})
    assert str(caught.value).startswith("resourceLogs[0].scopeLogs[0].logRecords[1].timeUnixNano:")


@pytest.mark.parametrize(
    ("body", "key", "made"),
    [
        ({"stringValue": "x"}, "", {"log": "x"}),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": 1}}]}}, "", {"a": 1}),
        ({"stringValue": "x"}, "m", {"m": "x"}),
        ({"kvlistValue": {"values": []}}, "m", {"m": {}}),
        ({"arrayValue": {}}, "", {"log": []}),
        ({"plain": 1, "map": {"x": 2}}, "", {"plain": 1, "map": {"x": 2}}),
        ({"plain": 1}, "m", {"plain": 1}),
        ({}, "", {}),
        ({}, "m", {}),
    ],
)
def test_bodies_of_json(body, key, made):
    assert of_json({"body": body}, keys=LogKeys(key)).bodies == [made]


def test_what_a_record_in_json_says_beside_its_body_is_metadata():
    record = {
        "observedTimeUnixNano": "6",
        "severityNumber": 9,
        "severityText": "INFO",
        "attributes": [{"key": "a", "value": {"stringValue": "x"}}],
        "droppedAttributesCount": 2,
        "traceId": TRACE,
        "spanId": SPAN,
        "flags": 1,
        "eventName": "e",
    }
    assert of_json(record, keys=LogKeys(metadata="meta")).metadata == [
        {
            "meta": {
                "observed_timestamp": 6,
                "severity_number": 9,
                "severity_text": "INFO",
                "attributes": {"a": "x"},
                "dropped_attributes_count": 2,
                "trace_id": bytes.fromhex(TRACE),
                "span_id": bytes.fromhex(SPAN),
                "trace_flags": 1,
                "event_name": "e",
            }
        }
    ]


@pytest.mark.parametrize(
    "record",
    [
        {"traceId": "01"},
        {"traceId": "zz" * 16},
        {"traceId": 7},
        {"spanId": TRACE},
        {"attributes": {}},
        {"body": "x"},
        {"body": {"stringValue": 1}},
        "x",
    ],
)
def test_what_is_wrong_in_a_record_refuses_the_request(record):
    with pytest.raises(OtlpError):
        of_json(record)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"resourceLogs":{}}',
        b'{"resourceLogs":[1]}',
        b'{"resourceLogs":[{}]}',
        b'{"resourceLogs":[{"scopeLogs":[7]}]}',
        b"[" * 100000,
    ],
)
def test_what_is_no_request_in_json_is_refused(data):
    with pytest.raises(OtlpError):
        decode_logs_json(data, LogKeys(), NOW)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (b"\xff", "\udcff"),
        (b"\x01", "\x01"),
        (b"\\ud800x", "\ufffdx"),
        (b"a\\u0000b", "a\0b"),
    ],
)
def test_what_is_not_quite_json_is_read_as_elsewhere(text, made):
    whole = orjson.dumps(request({"body": {"stringValue": "TEXT"}})).replace(b"TEXT", text)
    assert decode_logs_json(whole, LogKeys(), NOW).bodies == [{"log": made}]


@pytest.mark.parametrize("more", [b"x", b" {}", b"}"])
def test_a_request_is_one_document(more):
    with pytest.raises(OtlpError):
        decode_logs_json(orjson.dumps(request({})) + more, LogKeys(), NOW)


@pytest.mark.parametrize("data", [b'{"resourceLogs":[]}', b'{"RESOURCELOGS":[{"scopeLogs":[]}]}'])
def test_a_request_may_be_empty(data):
    assert decode_logs_json(data, LogKeys(), NOW).groups is None


def test_resource_and_scope_are_one_group_for_all_their_records():
    events = of_json({}, {}, schemaUrl="u")
    first, second = events.groups
    assert first is second
    assert first.metadata == {"schema": "otlp", "resource_id": 0, "scope_id": 0}
    assert first.body == {"resource": {"schema_url": "u"}, "scope": {"name": "lib"}}


def test_groups_of_protobuf():
    message = ExportLogsServiceRequest()
    resource_logs = message.resource_logs.add(schema_url="u")
    resource_logs.resource.attributes.add(key="k").value.string_value = "v"
    resource_logs.resource.dropped_attributes_count = 3
    resource_logs.scope_logs.add()
    scope_logs = resource_logs.scope_logs.add(schema_url="s")
    scope_logs.scope.name, scope_logs.scope.version = "lib", "1"
    scope_logs.scope.attributes.add(key="a").value.bool_value = True
    scope_logs.scope.dropped_attributes_count = 4
    scope_logs.log_records.add()
    (group,) = decode_logs(message.SerializeToString(), LogKeys(), NOW).groups
    assert group.metadata == {"schema": "otlp", "resource_id": 0, "scope_id": 1}
    of_resource = {"attributes": {"k": "v"}, "dropped_attributes_count": 3, "schema_url": "u"}
    of_scope = {"schema_url": "s", "name": "lib", "version": "1", "attributes": {"a": True}}
    assert group.body == {
        "resource": of_resource,
        "scope": {**of_scope, "dropped_attributes_count": 4},
    }


def test_a_record_of_protobuf():
    def fill(record):
        record.observed_time_unix_nano = 6
        record.severity_number = 17
        record.flags = 0x101
        record.attributes.add(key="big").value.int_value = 1 << 40
        record.body.array_value.SetInParent()

    events = of_protobuf(fill)
    assert events.times == [6]
    assert events.bodies == [{"log": []}]
    assert events.metadata == [
        {
            "otlp": {
                "observed_timestamp": 6,
                "severity_number": 17,
                "attributes": {"big": 1 << 40},
                "trace_flags": 1,
            }
        }
    ]


@pytest.mark.parametrize(("keys", "made"), [(LogKeys(), {"a": 1}), (LogKeys("m"), {"m": {"a": 1}})])
def test_a_map_is_the_body_itself_unless_a_key_is_named(keys, made):
    def fill(record):
        record.body.kvlist_value.values.add(key="a").value.int_value = 1

    assert of_protobuf(fill, keys).bodies == [made]


def test_records_have_a_limit(monkeypatch):
    for module in (decode_logs_module, decode_logs_json_module):
        monkeypatch.setattr(module, "MOST_ITEMS", 2)
    with pytest.raises(TooMany):
        of_json({}, {}, {})
    message = ExportLogsServiceRequest()
    scope_logs = message.resource_logs.add().scope_logs.add()
    for _ in range(3):
        scope_logs.log_records.add()
    with pytest.raises(TooMany):
        decode_logs(message.SerializeToString(), LogKeys(), NOW)


@given(data=st.binary(max_size=60))
def test_any_bytes_give_events_or_an_error(data):
    try:
        events = decode_logs(data, LogKeys(), NOW)
    except OtlpError:
        return
    assert len(events.times) == len(events.bodies) == len(events.metadata)


names = st.sampled_from(
    [
        "resourceLogs",
        "scopeLogs",
        "logRecords",
        "resource",
        "scope",
        "attributes",
        "key",
        "value",
        "body",
        "stringValue",
        "traceId",
        "timeUnixNano",
        "severityNumber",
        "flags",
        "schemaUrl",
        "kvlistValue",
        "values",
    ]
)
odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 1 << 65)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(given=odd, keys=st.sampled_from([LogKeys(), LogKeys("m", "meta")]))
def test_any_json_gives_events_or_an_error_with_a_place(given, keys):
    body = {"body": given, "attributes": [{"key": "k", "value": given}]}
    wrapped = [{"resourceLogs": given}, request(given), request(body), request({"body": given})]
    for each in wrapped:
        take(json.dumps(each).encode(), keys)


def take(data, keys):
    with contextlib.suppress(OtlpError):
        events = decode_logs_json(data, keys, NOW)
        assert len(events.times) == len(events.bodies) == len(events.groups or events.times)


def test_resources_and_scopes_have_a_limit(monkeypatch):
    for module in (decode_logs_module, decode_logs_json_module):
        monkeypatch.setattr(module, "MOST_GROUPS", 2)
    scopes = {"resourceLogs": [{"scopeLogs": [{}, {}]}]}
    with pytest.raises(TooMany):
        decode_logs_json(orjson.dumps(scopes), LogKeys(), NOW)
    message = ExportLogsServiceRequest()
    message.resource_logs.add().scope_logs.extend([ScopeLogs(), ScopeLogs()])
    with pytest.raises(TooMany):
        decode_logs(message.SerializeToString(), LogKeys(), NOW)
