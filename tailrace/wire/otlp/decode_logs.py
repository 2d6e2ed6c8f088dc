"""Requests of logs to events.

The time of an event is that of its record, else when it was observed, else now. A body that is a map is the event's body, any other stands
under one key. What a record says beside its body stands in the event's metadata under another key, `otlp`; resource and scope
are the group of the event.
"""

from __future__ import annotations

from binascii import unhexlify
from dataclasses import dataclass
from struct import error as StructError
from typing import Any

from tailrace.model import Body, Decoded, Group, Groups, Metadata
from tailrace.wire.otlp.errors import MOST_GROUPS, MOST_ITEMS, OtlpError, TooMany
from tailrace.wire.otlp.reading import (
    SIZED,
    Pairs,
    attributes_at,
    cut_off,
    fields,
    fixed32_at,
    fixed64_at,
    skip,
    text_of,
    value_at,
    varint_at,
)
from tailrace.wire.otlp.values import document, integer, plain_attributes, plain_value

BODY_KEY, METADATA_KEY = "log", "otlp"


@dataclass(slots=True, frozen=True)
class LogKeys:
    """Where things go. `body` empty: a body that is a map is the event's own, any other stands under `log`."""

    body: str = ""
    metadata: str = METADATA_KEY


def decode_logs(data: bytes, keys: LogKeys, now_ns: int) -> Decoded:
    """The events of an `ExportLogsServiceRequest` as protobuf; `OtlpError` if it is none."""
    decoder = Decoder(data, keys, now_ns)
    try:
        decoder.request()
    except (IndexError, StructError):
        raise cut_off() from None
    groups = decoder.groups
    return Decoded(decoder.times, decoder.metadata, decoder.bodies, groups or None)


class Decoder:
    """Walks one request."""

    def __init__(self, data: bytes, keys: LogKeys, now_ns: int) -> None:
        self.data = data
        self.keys = keys
        self.now_ns = now_ns
        self.pairs = PAIRS
        self.times: list[int] = []
        self.metadata: list[Metadata] = []
        self.bodies: list[Body] = []
        self.groups: Groups = []
        self.group_count = 0

    def request(self) -> None:
        resource_id = 0
        for tag, _, at, end in fields(self.data, 0, len(self.data)):
            if tag == 0x0A:
                self.count_group()
                self.resource_logs(at, end, resource_id)
                resource_id += 1

    def count_group(self) -> None:
        self.group_count += 1
        if self.group_count > MOST_GROUPS:
            raise TooMany(f"more than {MOST_GROUPS} resources and scopes")

    def resource_logs(self, at: int, end: int, resource_id: int) -> None:
        """`ResourceLogs`: the resource may stand behind its scopes, so they are looked for first."""
        resource: Body = {}
        scopes: list[tuple[int, int]] = []
        schema_url = ""
        is_known = False
        for tag, _, start, stop in fields(self.data, at, end):
            if tag == 0x0A:
                resource |= self.resource(start, stop)
                is_known = True
            elif tag == 0x12:
                self.count_group()
                scopes.append((start, stop))
            elif tag == 0x1A:
                schema_url = text_of(self.data[start:stop])
        if schema_url or is_known:
            resource["schema_url"] = schema_url
        for scope_id, (start, stop) in enumerate(scopes):
            self.scope_logs(start, stop, resource, schema(resource_id, scope_id))

    def resource(self, at: int, end: int) -> Body:
        made: Body = {}
        if attributes := attributes_at(self.data, at, end, 0x0A):
            made["attributes"] = attributes
        for tag, number, _, _ in fields(self.data, at, end):
            if tag == 0x10 and number & MASK_32:
                made["dropped_attributes_count"] = number & MASK_32
        return made

    def scope_logs(self, at: int, end: int, resource: Body, metadata: Metadata) -> None:
        """`ScopeLogs`: its records, all of one group."""
        data = self.data
        scope: Body = {}
        schema_url = ""
        before = len(self.bodies)
        while at < end:
            tag, at = varint_at(data, at)
            stop = skip(data, at, tag, end)
            if tag & 7 == SIZED:
                at = varint_at(data, at)[1]
            if tag == 0x12:
                at = self.records(at, stop, end)
                continue
            if tag == 0x0A:
                scope |= self.scope(at, stop)
            elif tag == 0x1A:
                schema_url = text_of(data[at:stop])
            at = stop
        if at > end:
            raise cut_off()
        count = len(self.bodies) - before
        if count:
            of_scope = {"schema_url": schema_url, **scope} if schema_url else scope
            group = Group(metadata, {"resource": resource, "scope": of_scope})
            self.groups += [group] * count

    def records(self, at: int, stop: int, end: int) -> int:
        """The record that stands from `at` to `stop`, and all that follow at once; where they end."""
        data, bodies = self.data, self.bodies
        while True:
            if len(bodies) >= MOST_ITEMS:
                raise TooMany(f"more than {MOST_ITEMS} records")
            self.record(at, stop)
            if stop >= end or data[stop] != 0x12:
                return stop
            size = data[stop + 1]
            at = stop + 2
            if size > 127:
                size, at = varint_at(data, stop + 1)
            stop = at + size
            if stop > end:
                raise cut_off()

    def scope(self, at: int, end: int) -> Body:
        name = version = ""
        dropped = 0
        for tag, number, start, stop in fields(self.data, at, end):
            if tag == 0x0A:
                name = text_of(self.data[start:stop])
            elif tag == 0x12:
                version = text_of(self.data[start:stop])
            elif tag == 0x20:
                dropped = number & MASK_32
        made = {"name": name, "version": version}
        made = {key: text for key, text in made.items() if text}
        attributes = attributes_at(self.data, at, end, 0x1A)
        more = {"attributes": attributes, "dropped_attributes_count": dropped}
        return {**made, **{key: value for key, value in more.items() if value}}

    def record(self, at: int, end: int) -> None:
        """`LogRecord`: the fields in the order in which they come, the most frequent ones without a call."""
        data, pairs = self.data, self.pairs
        time_ns = observed_ns = severity = dropped = flags = 0
        text = event_name = ""
        trace_id = span_id = b""
        value: Any = None
        attributes: dict[str, Any] = {}
        while at < end:
            tag = data[at]
            if tag == 0x32:
                size = data[at + 1]
                at += 2
                if size > 127:
                    size, at = varint_at(data, at - 1)
                stop = at + size
                if stop > end:
                    raise cut_off()
                key, found = pairs[data[at:stop]]
                attributes[key] = found
            elif tag & 7 == SIZED and tag < 128:
                size = data[at + 1]
                at += 2
                if size > 127:
                    size, at = varint_at(data, at - 1)
                stop = at + size
                if stop > end:
                    raise cut_off()
                if tag == 0x2A:
                    value = value_at(data, at, stop)
                elif tag == 0x4A:
                    trace_id = data[at:stop]
                elif tag == 0x52:
                    span_id = data[at:stop]
                elif tag == 0x1A:
                    text = data[at:stop].decode("utf-8", "surrogateescape")
                elif tag == 0x62:
                    event_name = data[at:stop].decode("utf-8", "surrogateescape")
                elif tag == SIZED:
                    skip(data, at, tag, end)
            elif tag == 0x09:
                (time_ns,) = fixed64_at(data, at + 1)
                stop = at + 9
            elif tag == 0x59:
                (observed_ns,) = fixed64_at(data, at + 1)
                stop = at + 9
            elif tag == 0x10 and data[at + 1] < 128:
                severity = data[at + 1]
                stop = at + 2
            else:
                tag, at = varint_at(data, at)
                stop = skip(data, at, tag, end)
                if tag == 0x10:
                    number = varint_at(data, at)[0] & MASK_32
                    severity = number - (1 << 32) if number >> 31 else number
                elif tag == 0x38:
                    dropped = varint_at(data, at)[0] & MASK_32
                elif tag == 0x45:
                    (flags,) = fixed32_at(data, at)
            at = stop
        if at > end:
            raise cut_off()
        told: Metadata = {}
        if observed_ns:
            told["observed_timestamp"] = observed_ns
        if time_ns:
            told["timestamp"] = time_ns
        if severity:
            told["severity_number"] = severity
        if text:
            told["severity_text"] = text
        if attributes:
            told["attributes"] = attributes
        if dropped:
            told["dropped_attributes_count"] = dropped
        if trace_id:
            told["trace_id"] = trace_id
        if span_id:
            told["span_id"] = span_id
        told["trace_flags"] = flags & 0xFF
        if event_name:
            told["event_name"] = event_name
        keys = self.keys
        self.times.append(time_ns or observed_ns or self.now_ns)
        self.metadata.append({keys.metadata: told})
        if keys.body:
            self.bodies.append({keys.body: value})
        else:
            self.bodies.append(value if type(value) is dict else {BODY_KEY: value})


MASK_32 = 0xFFFF_FFFF
PAIRS = Pairs()


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
    given = document(data)
    made = Decoded([], [], [], [])
    request = named_fields(given, OTHER_FIELDS)
    resources = array(request, "resourceLogs", required=True)
    scopes = [entry.get("scopeLogs") for entry in resources if type(entry) is dict]
    if sum(len(each) for each in scopes if type(each) is list) + len(resources) > MOST_GROUPS:
        raise TooMany(f"more than {MOST_GROUPS} resources and scopes")
    for resource_id, entry in enumerate(resources):
        try:
            take_resource(entry, resource_id, keys, now_ns, made)
        except OtlpError as error:
            raise error.under(f"resourceLogs[{resource_id}]") from None
    return made if made.groups else made._replace(groups=None)


def take_resource(given: Any, resource_id: int, keys: LogKeys, now_ns: int, made: Decoded) -> None:
    resource_logs = named_fields(given, OTHER_FIELDS)
    of_resource: Body = {}
    if type(resource_logs.get("resource")) is dict:
        resource = named_fields(resource_logs["resource"], OTHER_FIELDS)
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
            scope_logs = named_fields(entry, OTHER_FIELDS)
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


def take_records(records: list[Any], keys: LogKeys, now_ns: int, made: Decoded) -> None:
    times, metadata, bodies = made.times, made.metadata, made.bodies
    assert metadata is not None
    for index, entry in enumerate(records):
        try:
            record = named_fields(entry, RECORD_FIELDS)
            times.append(time_of(record, now_ns))
            metadata.append({keys.metadata: details_of_json(record)})
            bodies.append(body_of(record, keys.body))
        except OtlpError as error:
            raise error.under(f".logRecords[{index}]") from None


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
