"""Requests of traces in protobuf, read directly: half the time that walking a library's objects takes (bench/otlp_traces.py).

What protobuf leaves out is empty: texts and attributes of scopes and links are never None, unlike those of JSON
(`decode_traces`, whose reader of messages is the oracle of this one's tests). Text that is no UTF-8 is kept.

Source: Protocol Buffers, "Encoding"; opentelemetry-proto `trace.proto`.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from tailrace.model.traces import (
    Attributes,
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    Traces,
)
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
    varint_at,
)

MASK_32 = 0xFFFF_FFFF
PAIRS = Pairs()
TRACE_ID, SPAN_ID = b"\x0a\x10", b"\x12\x08"
head_at = Struct("2s16s2s8s").unpack_from


def read_traces(data: bytes) -> Traces:
    """The spans of an `ExportTraceServiceRequest`; `OtlpError` if it is none."""
    try:
        return Reader(data).request()
    except (IndexError, StructError):
        raise cut_off() from None


class Reader:
    """Walks one request."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pairs = PAIRS
        self.spans = 0
        self.parts = 0
        """Events and links."""
        self.groups = 0

    def request(self) -> Traces:
        data = self.data
        return Traces(
            [
                self.resource_spans(at, end)
                for tag, _, at, end in fields(data, 0, len(data))
                if tag == 0x0A
            ]
        )

    def count_group(self) -> None:
        self.groups += 1
        if self.groups > MOST_GROUPS:
            raise TooMany(f"more than {MOST_GROUPS} resources and scopes")

    def count_part(self) -> None:
        self.parts += 1
        if self.parts > MOST_ITEMS:
            raise TooMany(f"more than {MOST_ITEMS} events and links")

    def resource_spans(self, at: int, end: int) -> ResourceSpans:
        self.count_group()
        data = self.data
        made = ResourceSpans(schema_url="")
        for tag, _, start, stop in fields(data, at, end):
            if tag == 0x0A:
                made.attributes |= attributes_at(data, start, stop, 0x0A)
                for inner, number, _, _ in fields(data, start, stop):
                    if inner == 0x10:
                        made.dropped_attributes = number & MASK_32
            elif tag == 0x12:
                made.scope_spans.append(self.scope_spans(start, stop))
            elif tag == 0x1A:
                made.schema_url = text_of(data[start:stop])
        return made

    def scope_spans(self, at: int, end: int) -> ScopeSpans:
        self.count_group()
        data = self.data
        made = ScopeSpans(schema_url="")
        spans, read = made.spans, self.span
        room = MOST_ITEMS - self.spans
        while at < end:
            if data[at] == 0x12:  # without a call, as most fields are spans
                size = data[at + 1]
                at += 2
                if size > 127:
                    size, at = varint_at(data, at - 1)
                stop = at + size
                if stop > end:
                    raise cut_off()
                if len(spans) == room:
                    raise TooMany(f"more than {MOST_ITEMS} spans")
                spans.append(read(at, stop))
            else:
                tag, at = varint_at(data, at)
                stop = skip(data, at, tag, end)
                if tag == 0x0A:
                    start = varint_at(data, at)[1]
                    made.scope = self.scope(start, stop, made.scope or Scope("", "", {}))
                elif tag == 0x1A:
                    made.schema_url = text_of(data[varint_at(data, at)[1] : stop])
            at = stop
        self.spans += len(spans)
        return made

    def scope(self, at: int, end: int, made: Scope) -> Scope:
        data = self.data
        made.attributes = {**(made.attributes or {}), **attributes_at(data, at, end, 0x1A)}
        for tag, number, start, stop in fields(data, at, end):
            if tag == 0x0A:
                made.name = text_of(data[start:stop])
            elif tag == 0x12:
                made.version = text_of(data[start:stop])
            elif tag == 0x20:
                made.dropped_attributes = number & MASK_32
        return made

    def span(self, at: int, end: int) -> Span:
        """`Span`: the fields in the order in which they come, the most frequent ones without a call."""
        data, pairs = self.data, self.pairs
        attributes: Attributes = {}
        made = Span("", kind=0, attributes=attributes)
        if at + 28 <= end:  # as most begin: whole identifiers of trace and span
            first, trace_id, second, span_id = head_at(data, at)
            if first == TRACE_ID and second == SPAN_ID:
                made.trace_id, made.span_id = trace_id, span_id
                at += 28
        while at < end:
            tag = data[at]
            if tag & 7 == SIZED and tag < 128:
                size = data[at + 1]
                at += 2
                if size > 127:
                    size, at = varint_at(data, at - 1)
                stop = at + size
                if stop > end:
                    raise cut_off()
                if tag == 0x4A:
                    key, value = pairs[data[at:stop]]
                    attributes[key] = value
                elif tag == 0x0A:
                    made.trace_id = data[at:stop] or None
                elif tag == 0x12:
                    made.span_id = data[at:stop] or None
                elif tag == 0x22:
                    made.parent_span_id = data[at:stop] or None
                elif tag == 0x2A:
                    made.name = data[at:stop].decode("utf-8", "surrogateescape")
                elif tag == 0x7A:
                    if size == 2 and data[at] == 0x18 and data[at + 1] < 128:
                        made.status_code = data[at + 1]
                        made.status_message = made.status_message or ""
                    else:
                        self.status(at, stop, made)
                elif tag == 0x5A:
                    self.count_part()
                    made.events.append(self.event(at, stop))
                elif tag == 0x6A:
                    self.count_part()
                    made.links.append(self.link(at, stop))
                elif tag == 0x1A:
                    made.trace_state = text_of(data[at:stop]) or None
                elif tag == SIZED:
                    skip(data, at, tag, end)
            elif tag == 0x30 and data[at + 1] < 128:
                made.kind = data[at + 1]
                stop = at + 2
            elif tag == 0x39:
                (made.start_ns,) = fixed64_at(data, at + 1)
                stop = at + 9
            elif tag == 0x41:
                (made.end_ns,) = fixed64_at(data, at + 1)
                stop = at + 9
            else:
                tag, at = varint_at(data, at)
                stop = skip(data, at, tag, end)
                if tag == 0x30:
                    made.kind = signed(varint_at(data, at)[0])
                elif tag == 0x50:
                    made.dropped_attributes = varint_at(data, at)[0] & MASK_32
                elif tag == 0x60:
                    made.dropped_events = varint_at(data, at)[0] & MASK_32
                elif tag == 0x70:
                    made.dropped_links = varint_at(data, at)[0] & MASK_32
                elif tag == 0x85:
                    (made.flags,) = fixed32_at(data, at)
            at = stop
        if at > end:
            raise cut_off()
        return made

    def status(self, at: int, end: int, span: Span) -> None:
        if span.status_message is None:
            span.status_message = ""
        for tag, number, start, stop in fields(self.data, at, end):
            if tag == 0x18:
                span.status_code = signed(number)
            elif tag == 0x12:
                span.status_message = text_of(self.data[start:stop])

    def event(self, at: int, end: int) -> SpanEvent:
        data = self.data
        made = SpanEvent("")
        for tag, number, start, stop in fields(data, at, end):
            if tag == 0x1A:
                key, value = self.pairs[data[start:stop]]
                made.attributes[key] = value
            elif tag == 0x12:
                made.name = text_of(data[start:stop])
            elif tag == 0x09:
                made.time_ns = number
            elif tag == 0x20:
                made.dropped_attributes = number & MASK_32
        return made

    def link(self, at: int, end: int) -> Link:
        data = self.data
        attributes: Attributes = {}
        made = Link(attributes=attributes)
        for tag, number, start, stop in fields(data, at, end):
            if tag == 0x22:
                key, value = self.pairs[data[start:stop]]
                attributes[key] = value
            elif tag == 0x0A:
                made.trace_id = data[start:stop] or None
            elif tag == 0x12:
                made.span_id = data[start:stop] or None
            elif tag == 0x1A:
                made.trace_state = text_of(data[start:stop]) or None
            elif tag == 0x28:
                made.dropped_attributes = number & MASK_32
            elif tag == 0x35:
                made.flags = number
        return made


def signed(number: int) -> int:
    """A number of 32 bits with a sign, as enumerations are."""
    number &= MASK_32
    return number - (1 << 32) if number >> 31 else number
