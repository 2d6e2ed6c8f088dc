"""Traces as OTLP's `ExportTraceServiceRequest` in JSON."""

from __future__ import annotations

from tailrace.model import Body
from tailrace.model.traces import Link, ResourceSpans, Scope, ScopeSpans, Span, SpanEvent, Traces
from tailrace.wire.otlp.encode_json import as_text, hex_of, with_attributes, with_given

STATUS_NAMES = {1: "OK", 2: "ERROR"}
"""Compat: Fluent Bit writes these and `UNSET`, where the specification has numbers."""


def traces_json(traces: Traces, pretty: bool = False) -> bytes:
    """All spans as one request."""
    resources = [resource_spans(each) for each in traces.resource_spans]
    return as_text({"resourceSpans": resources}, pretty)


def resource_spans(spans: ResourceSpans) -> Body:
    """Spans of one resource."""
    resource = with_attributes({}, spans.attributes, spans.dropped_attributes)
    made: Body = {"resource": resource, "scopeSpans": [scope_spans(s) for s in spans.scope_spans]}
    return with_given(made, schemaUrl=spans.schema_url)


def scope_spans(spans: ScopeSpans) -> Body:
    scope = {} if spans.scope is None else scope_of(spans.scope)
    made: Body = {"scope": scope, "spans": [span_of(span) for span in spans.spans]}
    return with_given(made, schemaUrl=spans.schema_url)


def scope_of(scope: Scope) -> Body:
    made = with_given({}, name=scope.name, version=scope.version)
    return with_attributes(made, scope.attributes, scope.dropped_attributes)


def span_of(span: Span) -> Body:
    """One span; what is 0, empty or not set is left out."""
    made = with_given({}, traceId=hex_of(span.trace_id), spanId=hex_of(span.span_id))
    made["name"] = span.name
    with_given(made, parentSpanId=hex_of(span.parent_span_id), traceState=span.trace_state)
    if span.flags > 0:
        made["flags"] = span.flags
    made["kind"] = int(span.kind)
    if span.start_ns > 0:
        made["startTimeUnixNano"] = str(span.start_ns)
    if span.end_ns > 0:
        made["endTimeUnixNano"] = str(span.end_ns)
    with_attributes(made, span.attributes, span.dropped_attributes)
    if span.events:
        made["events"] = [event_of(event) for event in span.events]
    if span.dropped_events > 0:
        made["droppedEventsCount"] = span.dropped_events
    if span.links:
        made["links"] = [link_of(link) for link in span.links]
    if span.dropped_links > 0:
        made["droppedLinksCount"] = span.dropped_links
    if span.status_code or span.status_message is not None:
        status: Body = {"code": STATUS_NAMES.get(span.status_code, "UNSET")}
        made["status"] = with_given(status, message=span.status_message)
    return made


def event_of(event: SpanEvent) -> Body:
    made: Body = {"name": event.name}
    if event.time_ns > 0:
        made["timeUnixNano"] = str(event.time_ns)
    return with_attributes(made, event.attributes, event.dropped_attributes)


def link_of(link: Link) -> Body:
    made = with_given(
        {},
        traceId=hex_of(link.trace_id),
        spanId=hex_of(link.span_id),
        traceState=link.trace_state,
    )
    with_attributes(made, link.attributes, link.dropped_attributes)
    if link.flags > 0:
        made["flags"] = link.flags
    return made
