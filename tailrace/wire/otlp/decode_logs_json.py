"""Requests of logs in JSON to events, as `decode_logs` does it for protobuf.

Compat: what JSON does not say is not in the metadata (of protobuf `timestamp` and `trace_flags` always are), and a body that is no `AnyValue` is
taken as the map that it is (Fluent Bit 5.1.1).
"""

from __future__ import annotations

from binascii import unhexlify
from typing import Any

from tailrace.model import Body, Decoded, Group, Groups, Metadata
from tailrace.wire.otlp.decode_logs import BODY_KEY, LogKeys, schema
from tailrace.wire.otlp.errors import MOST_GROUPS, MOST_ITEMS, OtlpError, TooMany
from tailrace.wire.otlp.values import document, integer, plain_attributes, plain_value

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


def named_fields(given: Any, known: frozenset[str]) -> dict[str, Any]:
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
    decoder = Decoder(keys, now_ns)
    decoder.request(document(data))
    return Decoded(decoder.times, decoder.metadata, decoder.bodies, decoder.groups or None)


class Decoder:
    """Walks one request."""

    def __init__(self, keys: LogKeys, now_ns: int) -> None:
        self.keys = keys
        self.now_ns = now_ns
        self.times: list[int] = []
        self.metadata: list[Metadata] = []
        self.bodies: list[Body] = []
        self.groups: Groups = []
        self.group_count = 0

    def request(self, given: Any) -> None:
        resources = array(named_fields(given, OTHER_FIELDS), "resourceLogs", required=True)
        for resource_id, entry in enumerate(resources):
            try:
                self.resource_logs(named_fields(entry, OTHER_FIELDS), resource_id)
            except OtlpError as error:
                raise error.under(f"resourceLogs[{resource_id}]") from None

    def resource_logs(self, given: dict[str, Any], resource_id: int) -> None:
        resource = resource_of(given)
        scopes = array(given, "scopeLogs", required=True)
        self.group_count += 1 + len(scopes)
        if self.group_count > MOST_GROUPS:
            raise TooMany(f"more than {MOST_GROUPS} resources and scopes")
        for scope_id, entry in enumerate(scopes):
            try:
                self.scope_logs(
                    named_fields(entry, OTHER_FIELDS), resource, schema(resource_id, scope_id)
                )
            except OtlpError as error:
                raise error.under(f".scopeLogs[{scope_id}]") from None

    def scope_logs(self, given: dict[str, Any], resource: Body, metadata: Metadata) -> None:
        scope = scope_of(given)
        records = array(given, "logRecords")
        if len(self.times) + len(records) > MOST_ITEMS:
            raise TooMany(f"more than {MOST_ITEMS} records")
        self.records(records)
        body: Body = {"resource": resource}
        if scope is not None:
            body["scope"] = scope
        self.groups += [Group(metadata, body)] * len(records)

    def records(self, records: list[Any]) -> None:
        keys, now_ns = self.keys, self.now_ns
        for index, entry in enumerate(records):
            try:
                record = named_fields(entry, RECORD_FIELDS)
                self.times.append(time_of(record, now_ns))
                self.metadata.append({keys.metadata: details_of(record)})
                self.bodies.append(body_of(record, keys.body))
            except OtlpError as error:
                raise error.under(f".logRecords[{index}]") from None


def resource_of(resource_logs: dict[str, Any]) -> Body:
    """What is known of a resource."""
    made: Body = {}
    if type(resource_logs.get("resource")) is dict:
        resource = named_fields(resource_logs["resource"], OTHER_FIELDS)
        if "attributes" in resource:
            try:
                made["attributes"] = attributes(resource)
            except OtlpError as error:
                raise error.under(".resource") from None
        if "droppedAttributesCount" in resource:
            made["dropped_attributes_count"] = resource["droppedAttributesCount"]
    if type(resource_logs.get("schemaUrl")) is str:
        made["schema_url"] = resource_logs["schemaUrl"]
    return made


def scope_of(scope_logs: dict[str, Any]) -> Body | None:
    """What is known of a scope; None if nothing is said of it."""
    given, schema_url = scope_logs.get("scope"), scope_logs.get("schemaUrl")
    has_url = type(schema_url) is str
    if type(given) is not dict and not has_url:
        return None
    made: Body = {}
    if type(given) is dict:
        scope = named_fields(given, OTHER_FIELDS)
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


def time_of(record: dict[str, Any], now_ns: int) -> int:
    """When the record happened, or was observed, or now, in nanoseconds."""
    given = record.get("timeUnixNano")
    if type(given) is str and given.isdecimal() and 0 < len(given) < 20 and (at := int(given)):
        return at
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
    # Compat: a map that is no `AnyValue` is the body itself, even if a key is named (Fluent Bit 5.1.1).
    if type(value) is dict and not (body_key and [*map(str.lower, given)] == ["kvlistvalue"]):
        return value
    return {body_key or BODY_KEY: value}


def details_of(record: dict[str, Any]) -> Metadata:
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
    flags = get("flags")
    if flags is None:
        flags = get("traceFlags")  # the name that Fluent Bit looks for
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
