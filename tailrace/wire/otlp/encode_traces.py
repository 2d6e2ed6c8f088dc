"""Traces as OTLP `ExportTraceServiceRequest` in protobuf."""

from __future__ import annotations

from tailrace.model.traces import Link, ResourceSpans, Scope, ScopeSpans, Span, SpanEvent, Traces
from tailrace.wire.otlp.protobuf import (
    data,
    fixed32,
    fixed64,
    key_values,
    message,
    text,
    uint,
)


def encode_traces(traces: Traces) -> bytes:
    """All spans as one request."""
    return b"".join([message(b"\x0a", resource_spans(each)) for each in traces.resource_spans])


def resource_spans(given: ResourceSpans) -> bytes:
    resource = key_values(b"\x0a", given.attributes) + uint(b"\x10", given.dropped_attributes)
    return b"".join(
        (
            message(b"\x0a", resource),
            *[message(b"\x12", scope_spans(each)) for each in given.scope_spans],
            text(b"\x1a", given.schema_url),
        )
    )


def scope_spans(given: ScopeSpans) -> bytes:
    return b"".join(
        (
            message(b"\x0a", scope_of(given.scope)) if given.scope is not None else b"",
            *[message(b"\x12", span_of(each)) for each in given.spans],
            text(b"\x1a", given.schema_url),
        )
    )


def scope_of(scope: Scope) -> bytes:
    return b"".join(
        (
            text(b"\x0a", scope.name),
            text(b"\x12", scope.version),
            key_values(b"\x1a", scope.attributes or {}),
            uint(b"\x20", scope.dropped_attributes),
        )
    )


def span_of(span: Span) -> bytes:
    """The content of one `Span`."""
    # Compat: there always is a status, be it empty (conformance: filters/sampling_tail_latency).
    status = text(b"\x12", span.status_message) + uint(b"\x18", span.status_code)
    return b"".join(
        (
            data(b"\x0a", span.trace_id),
            data(b"\x12", span.span_id),
            text(b"\x1a", span.trace_state),
            data(b"\x22", span.parent_span_id),
            text(b"\x2a", span.name),
            uint(b"\x30", span.kind),
            fixed64(b"\x39", span.start_ns),
            fixed64(b"\x41", span.end_ns),
            key_values(b"\x4a", span.attributes),
            uint(b"\x50", span.dropped_attributes),
            *[message(b"\x5a", event_of(each)) for each in span.events],
            uint(b"\x60", span.dropped_events),
            *[message(b"\x6a", link_of(each)) for each in span.links],
            uint(b"\x70", span.dropped_links),
            message(b"\x7a", status),
            fixed32(b"\x85\x01", span.flags),
        )
    )


def event_of(event: SpanEvent) -> bytes:
    return b"".join(
        (
            fixed64(b"\x09", event.time_ns),
            text(b"\x12", event.name),
            key_values(b"\x1a", event.attributes or {}),
            uint(b"\x20", event.dropped_attributes),
        )
    )


def link_of(link: Link) -> bytes:
    return b"".join(
        (
            data(b"\x0a", link.trace_id),
            data(b"\x12", link.span_id),
            text(b"\x1a", link.trace_state),
            key_values(b"\x22", link.attributes or {}),
            uint(b"\x28", link.dropped_attributes),
            fixed32(b"\x35", link.flags),
        )
    )
