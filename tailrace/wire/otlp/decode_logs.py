"""Requests of logs to events.

The time of an event is that of its record, else when it was observed, else now. A body that is a map is the event's body, any other stands
under one key. What a record says beside its body stands in the event's metadata under another key, `otlp`; resource and scope
are the group of the event.
"""

from __future__ import annotations

from binascii import unhexlify
from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.model import Body, Decoded, Group, Groups, Metadata
from tailrace.wire.otlp.errors import MOST_ITEMS, OtlpError, TooMany, messages
from tailrace.wire.otlp.values import (
    integer,
    plain_attributes,
    plain_value,
    read_attributes,
    read_value,
)

BODY_KEY, METADATA_KEY = "log", "otlp"


@dataclass(slots=True, frozen=True)
class LogKeys:
    """Where things go. `body` empty: a body that is a map is the event's own, any other stands under `log`."""

    body: str = ""
    metadata: str = METADATA_KEY


def decode_logs(data: bytes, keys: LogKeys, now_ns: int) -> Decoded:
    """The events of an `ExportLogsServiceRequest` as protobuf; `OtlpError` if it is none."""
    request = messages("collector.logs.v1.logs_service").ExportLogsServiceRequest()
    try:
        request.ParseFromString(data)
    except Exception as error:  # the library's DecodeError has no home that is imported already
        raise OtlpError(f"no protobuf of logs: {error}") from None
    times: list[int] = []
    metadata: list[Metadata] = []
    bodies: list[Body] = []
    groups: Groups = []
    body_key, meta_key = keys.body, keys.metadata
    for resource_id, resource_logs in enumerate(request.resource_logs):
        for scope_id, scope_logs in enumerate(resource_logs.scope_logs):
            records = scope_logs.log_records
            if not records:
                continue
            if len(bodies) + len(records) > MOST_ITEMS:
                raise TooMany(f"more than {MOST_ITEMS} records")
            group = group_of(resource_logs, scope_logs, resource_id, scope_id)
            groups += [group] * len(records)
            for record in records:
                time_ns, observed_ns = record.time_unix_nano, record.observed_time_unix_nano
                times.append(time_ns or observed_ns or now_ns)
                metadata.append({meta_key: details_of(record, time_ns, observed_ns)})
                value = read_value(record.body)
                if body_key:
                    bodies.append({body_key: value})
                elif type(value) is dict:
                    bodies.append(value)
                else:
                    bodies.append({BODY_KEY: value})
    return Decoded(times, metadata, bodies, groups or None)


def details_of(record: Any, time_ns: int, observed_ns: int) -> Metadata:
    """What a record says beside its body."""
    made: Metadata = {}
    if observed_ns:
        made["observed_timestamp"] = observed_ns
    if time_ns:
        made["timestamp"] = time_ns
    if record.severity_number:
        made["severity_number"] = record.severity_number
    if record.severity_text:
        made["severity_text"] = record.severity_text
    if record.attributes:
        made["attributes"] = read_attributes(record.attributes)
    if record.dropped_attributes_count:
        made["dropped_attributes_count"] = record.dropped_attributes_count
    if record.trace_id:
        made["trace_id"] = record.trace_id
    if record.span_id:
        made["span_id"] = record.span_id
    made["trace_flags"] = record.flags & 0xFF
    if record.event_name:
        made["event_name"] = record.event_name
    return made


def group_of(resource_logs: Any, scope_logs: Any, resource_id: int, scope_id: int) -> Group:
    resource, scope = resource_logs.resource, scope_logs.scope
    of_resource: Body = {}
    if resource.attributes:
        of_resource["attributes"] = read_attributes(resource.attributes)
    if resource.dropped_attributes_count:
        of_resource["dropped_attributes_count"] = resource.dropped_attributes_count
    if resource_logs.schema_url or resource_logs.HasField("resource"):
        of_resource["schema_url"] = resource_logs.schema_url
    of_scope: Body = {}
    if scope_logs.schema_url:
        of_scope["schema_url"] = scope_logs.schema_url
    if scope.name:
        of_scope["name"] = scope.name
    if scope.version:
        of_scope["version"] = scope.version
    if scope.attributes:
        of_scope["attributes"] = read_attributes(scope.attributes)
    if scope.dropped_attributes_count:
        of_scope["dropped_attributes_count"] = scope.dropped_attributes_count
    return Group(schema(resource_id, scope_id), {"resource": of_resource, "scope": of_scope})


def schema(resource_id: int, scope_id: int) -> Metadata:
    return {"schema": "otlp", "resource_id": resource_id, "scope_id": scope_id}


# JSON


RECORD_FIELDS = frozenset(
    [
        "timeUnixNano",
        "observedTimeUnixNano",
        "severityNumber",
        "severityText",
        "attributes",
        "droppedAttributesCount",
        "traceId",
        "spanId",
        "flags",
        "traceFlags",
        "body",
        "eventName",
    ]
)
OTHER_FIELDS = frozenset(
    [
        "resourceLogs",
        "scopeLogs",
        "logRecords",
        "resource",
        "scope",
        "schemaUrl",
        "name",
        "version",
        "attributes",
        "droppedAttributesCount",
    ]
)
BY_LETTERS: dict[str, str] = {name.lower(): name for name in RECORD_FIELDS | OTHER_FIELDS}


def fields(given: Any, known: frozenset[str]) -> dict[str, Any]:
    """An object with its names as they should be written; `OtlpError` if it is none."""
    if type(given) is not dict:
        raise OtlpError("no object")
    if given.keys() <= known:
        return given
    named: dict[str, Any] = {}
    key: str
    for key, value in given.items():
        named.setdefault(BY_LETTERS.get(key.lower(), key), value)
    return named


def array(given: dict[str, Any], name: str, required: bool = False) -> list[Any]:
    if name not in given and not required:
        return []
    if type(found := given.get(name)) is not list:
        raise OtlpError("no array" if name in given else "it is missing").under(f".{name}")
    return found


def attributes(given: dict[str, Any]) -> dict[str, Any]:
    try:
        return plain_attributes(given["attributes"])
    except OtlpError as error:
        raise error.under(".attributes") from None


def decode_logs_json(data: bytes, keys: LogKeys, now_ns: int) -> Decoded:
    """The events of an `ExportLogsServiceRequest` as JSON; `OtlpError` if it is none."""
    try:
        given = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise OtlpError(f"no JSON: {error}") from None
    made = Decoded([], [], [], [])
    request = fields(given, OTHER_FIELDS)
    for resource_id, entry in enumerate(array(request, "resourceLogs", required=True)):
        try:
            take_resource(entry, resource_id, keys, now_ns, made)
        except OtlpError as error:
            raise error.under(f"resourceLogs[{resource_id}]") from None
    return made if made.groups else made._replace(groups=None)


def take_resource(given: Any, resource_id: int, keys: LogKeys, now_ns: int, made: Decoded) -> None:
    resource_logs = fields(given, OTHER_FIELDS)
    of_resource: Body = {}
    if type(resource_logs.get("resource")) is dict:
        resource = fields(resource_logs["resource"], OTHER_FIELDS)
        if "attributes" in resource:
            try:
                of_resource["attributes"] = attributes(resource)
            except OtlpError as error:
                raise error.under(".resource") from None
        if "droppedAttributesCount" in resource:
            of_resource["dropped_attributes_count"] = resource["droppedAttributesCount"]
    if type(resource_logs.get("schemaUrl")) is str:
        of_resource["schema_url"] = resource_logs["schemaUrl"]
    for scope_id, entry in enumerate(array(resource_logs, "scopeLogs", required=True)):
        try:
            scope_logs = fields(entry, OTHER_FIELDS)
            body: Body = {"resource": of_resource}
            if (of_scope := scope_of(scope_logs)) is not None:
                body["scope"] = of_scope
            records = array(scope_logs, "logRecords")
            if len(made.times) + len(records) > MOST_ITEMS:
                raise TooMany(f"more than {MOST_ITEMS} records")
            take_records(records, keys, now_ns, made)
        except OtlpError as error:
            raise error.under(f".scopeLogs[{scope_id}]") from None
        group = Group(schema(resource_id, scope_id), body)
        assert made.groups is not None
        made.groups.extend([group] * len(records))


def scope_of(scope_logs: dict[str, Any]) -> Body | None:
    """What is known of a scope; None if nothing is said of it."""
    given, schema_url = scope_logs.get("scope"), scope_logs.get("schemaUrl")
    has_url = type(schema_url) is str
    if type(given) is not dict and not has_url:
        return None
    made: Body = {}
    if type(given) is dict:
        scope = fields(given, OTHER_FIELDS)
        for name in ("name", "version"):
            if type(scope.get(name)) is str:
                made[name] = scope[name]
        if "attributes" in scope:
            try:
                made["attributes"] = attributes(scope)
            except OtlpError as error:
                raise error.under(".scope") from None
        if type(count := scope.get("droppedAttributesCount")) is int and count:
            made["dropped_attributes_count"] = count
    if has_url:
        made["schema_url"] = schema_url
    return made


def take_records(records: list[Any], keys: LogKeys, now_ns: int, made: Decoded) -> None:
    times, metadata, bodies = made.times, made.metadata, made.bodies
    assert metadata is not None
    for index, entry in enumerate(records):
        try:
            record = fields(entry, RECORD_FIELDS)
            times.append(time_of(record, now_ns))
            metadata.append({keys.metadata: details_of_json(record)})
            bodies.append(body_of(record, keys.body))
        except OtlpError as error:
            raise error.under(f".logRecords[{index}]") from None


def time_of(record: dict[str, Any], now_ns: int) -> int:
    """When the record happened, or was observed, or now, in nanoseconds."""
    for name in ("timeUnixNano", "observedTimeUnixNano"):
        given = record.get(name, 0)
        if given and (time_ns := integer(given, f".{name}", least=0)):
            return time_ns
        if given is None or type(given) not in (int, str):
            raise OtlpError("no whole number of 64 bits").under(f".{name}")
    return now_ns


def body_of(record: dict[str, Any], body_key: str) -> Body:
    given = record.get("body")
    if type(given) is not dict:
        if "body" in record:
            raise OtlpError("no object").under(".body")
        return {}
    try:
        value = plain_value(given)
    except OtlpError as error:
        raise error.under(".body") from None
    if type(value) is dict and not (body_key and next(iter(given)).lower() == "kvlistvalue"):
        return value
    return {body_key or BODY_KEY: value}


def details_of_json(record: dict[str, Any]) -> Metadata:
    """What a record says beside its body."""
    made: Metadata = {}
    get = record.get
    if (observed := get("observedTimeUnixNano")) is not None:
        made["observed_timestamp"] = integer(observed, ".observedTimeUnixNano", least=0)
    if "severityNumber" in record:
        made["severity_number"] = record["severityNumber"]
    if type(text := get("severityText")) is str:
        made["severity_text"] = text
    if "attributes" in record:
        made["attributes"] = attributes(record)
    if type(count := get("droppedAttributesCount")) is int:
        made["dropped_attributes_count"] = count
    if (trace_id := get("traceId", "")) != "":
        made["trace_id"] = identifier(trace_id, 16, ".traceId")
    if (span_id := get("spanId", "")) != "":
        made["span_id"] = identifier(span_id, 8, ".spanId")
    flags = get("flags", get("traceFlags"))
    if flags is not None:
        made["trace_flags"] = integer(flags, ".flags", least=0) & 0xFF
    if type(name := get("eventName")) is str:
        made["event_name"] = name
    return made


def identifier(given: Any, size: int, name: str) -> bytes:
    """The bytes of a hexadecimal identifier."""
    if type(given) is str and len(given) == 2 * size and given.isascii():
        try:
            return unhexlify(given)
        except ValueError:
            pass
    raise OtlpError(f"no {2 * size} hexadecimal digits").under(name)
