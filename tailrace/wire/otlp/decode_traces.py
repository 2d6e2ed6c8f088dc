"""Requests of traces to spans.

What protobuf can't tell apart, a text that is left out and an empty one, JSON can: there None stands for what is left out, as the
model wants it. A kind that JSON leaves out is internal (`json_messages.DEFAULTS`), as OpenTelemetry allows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
from tailrace.wire.otlp.errors import MOST_ITEMS, OtlpError, TooMany, count_groups, messages
from tailrace.wire.otlp.json_messages import fill
from tailrace.wire.otlp.read_traces import read_traces
from tailrace.wire.otlp.values import document, read_attributes


@dataclass(slots=True)
class DecodedTraces:
    """The spans of a request; `why` says what was wrong with the first attribute that had to be left out."""

    traces: Traces = field(default_factory=Traces)
    why: str = ""

    def refuse(self, error: OtlpError, item: str) -> None:
        self.why = self.why or str(error)


def decode_traces(data: bytes) -> DecodedTraces:
    """What an `ExportTraceServiceRequest` as protobuf holds; `OtlpError` if it is none."""
    return DecodedTraces(read_traces(data))


def decode_traces_json(data: bytes) -> DecodedTraces:
    """What an `ExportTraceServiceRequest` as JSON holds; `OtlpError` if it is none."""
    request = messages("collector.trace.v1.trace_service").ExportTraceServiceRequest()
    given = document(data)
    decoded = DecodedTraces()
    fill(request, given, decoded.refuse)
    decoded.traces = Reader(is_json=True).traces(request)
    return decoded


class Reader:
    """Walks the messages of one request."""

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json
        self.count = 0

    def text(self, value: str) -> str | None:
        return None if self.is_json and not value else value

    def given(self, pairs: Any) -> Attributes | None:
        return read_attributes(pairs) if pairs or not self.is_json else None

    def traces(self, request: Any) -> Traces:
        count_groups(request.resource_spans, "scope_spans")
        return Traces([self.resource(each) for each in request.resource_spans])

    def resource(self, message: Any) -> ResourceSpans:
        return ResourceSpans(
            attributes=read_attributes(message.resource.attributes),
            dropped_attributes=message.resource.dropped_attributes_count,
            scope_spans=[self.scope_spans(each) for each in message.scope_spans],
            schema_url=self.text(message.schema_url),
        )

    def scope_spans(self, message: Any) -> ScopeSpans:
        self.count += len(message.spans)
        if self.count > MOST_ITEMS:
            raise TooMany(f"more than {MOST_ITEMS} spans")
        scope = None
        if message.HasField("scope"):
            given = message.scope
            scope = Scope(
                self.text(given.name),
                self.text(given.version),
                self.given(given.attributes),
                given.dropped_attributes_count,
            )
        spans = [self.span(each) for each in message.spans]
        return ScopeSpans(scope, spans, self.text(message.schema_url))

    def span(self, message: Any) -> Span:
        made = Span(
            message.name,
            trace_id=message.trace_id or None,
            span_id=message.span_id or None,
            parent_span_id=message.parent_span_id or None,
            kind=message.kind,
            start_ns=message.start_time_unix_nano,
            end_ns=message.end_time_unix_nano,
            attributes=read_attributes(message.attributes),
            events=[event(each) for each in message.events],
            links=[self.link(each) for each in message.links],
            trace_state=message.trace_state or None,
            flags=message.flags,
            dropped_attributes=message.dropped_attributes_count,
            dropped_events=message.dropped_events_count,
            dropped_links=message.dropped_links_count,
        )
        if message.HasField("status"):
            made.status_code = message.status.code
            made.status_message = self.text(message.status.message)
        return made

    def link(self, message: Any) -> Link:
        return Link(
            trace_id=message.trace_id or None,
            span_id=message.span_id or None,
            trace_state=message.trace_state or None,
            attributes=self.given(message.attributes),
            dropped_attributes=message.dropped_attributes_count,
            flags=message.flags,
        )


def event(message: Any) -> SpanEvent:
    attributes = read_attributes(message.attributes)
    dropped = message.dropped_attributes_count
    return SpanEvent(message.name, message.time_unix_nano, attributes, dropped)
