"""Requests of logs in protobuf to events.

The time of an event is that of its record, else when it was observed, else now. A body that is a map is the event's body, any other stands
under one key. What a record says beside its body stands in the event's metadata under another key, `otlp`; resource and scope
are the group of the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import error as StructError
from typing import Any

from tailrace.model import Body, Decoded, Group, Groups, Metadata
from tailrace.wire.otlp.errors import MOST_GROUPS, MOST_ITEMS, TooMany
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
        """`LogRecord`: the fields in the order in which they come. The frequent ones are read in line: a call each would double the time."""
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
