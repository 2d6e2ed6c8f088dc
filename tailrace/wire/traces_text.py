"""Traces in the text form of Fluent Bit's stdout, for people to read.

    |-------------------- RESOURCE SPAN --------------------|
      resource:
         - attributes:
                - service.name: 'shop'
      ...
      [scope_span]
        [spans]
             [span #0 'GET /cart']

Format of `ctr_encode_text.c`. Texts stand in quotes as they are, and whole: Fluent Bit cuts lines of more than 1022 bytes.
"""

from __future__ import annotations

from typing import Any

from tailrace.model.traces import (
    Attributes,
    Link,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    SpanEvent,
    SpanKind,
    Traces,
)

NO_TRACE_ID = "000000F1BI700000000000F1BI700000"
NO_SPAN_ID = "000000F1BI700000"
KINDS = {int(kind): kind.name.lower() for kind in SpanKind}
STEP = 4


def encode(traces: Traces) -> str:
    """All resources with their spans."""
    parts: list[str] = []
    for resource in traces.resource_spans:
        _add_resource(parts, resource)
    return "".join(parts)


def _add_resource(parts: list[str], resource: ResourceSpans) -> None:
    parts.append(
        "|-------------------- RESOURCE SPAN --------------------|\n"
        "  resource:\n"
        f"     - attributes:{attributes_text(resource.attributes, 8)}"
        f"     - dropped_attributes_count: {resource.dropped_attributes}\n"
        f"     - schema_url: {_given(resource.schema_url)}\n"
    )
    for spans in resource.scope_spans:
        _add_scope(parts, spans)


def _add_scope(parts: list[str], spans: ScopeSpans) -> None:
    parts.append("  [scope_span]\n")
    if spans.scope is not None:
        parts.append(_scope_text(spans.scope))
    parts.append(f"    schema_url: {_given(spans.schema_url)}\n    [spans]\n")
    for number, span in enumerate(spans.spans):
        _add_span(parts, number, span)


def _scope_text(scope: Scope) -> str:
    attributes = scope.attributes
    shown = " undefined\n" if attributes is None else attributes_text(attributes, 8)
    return (
        "    instrumentation scope:\n"
        f"        - name                    : {_c_text(scope.name)}\n"
        f"        - version                 : {_c_text(scope.version)}\n"
        f"        - dropped_attributes_count: {scope.dropped_attributes}\n"
        f"        - attributes:{shown}"
    )


def _add_span(parts: list[str], number: int, span: Span) -> None:
    pad = " " * 13
    parts.append(
        f"         [span #{number} '{span.name}']\n"
        f"{pad}- trace_id                : {_hex(span.trace_id, NO_TRACE_ID)}\n"
        f"{pad}- span_id                 : {_hex(span.span_id, NO_SPAN_ID)}\n"
        f"{pad}- parent_span_id          : {_hex(span.parent_span_id, 'undefined')}\n"
        f"{pad}- kind                    : {int(span.kind)} ({KINDS.get(span.kind, 'unspecified')})\n"
        f"{pad}- start_time              : {span.start_ns}\n"
        f"{pad}- end_time                : {span.end_ns}\n"
        f"{pad}- dropped_attributes_count: {span.dropped_attributes}\n"
        f"{pad}- dropped_events_count    : {span.dropped_events}\n"
        f"{pad}- dropped_links_count     : {span.dropped_links}\n"
        f"{pad}- trace_state             : {_c_text(span.trace_state)}\n"
    )
    if span.schema_url is not None:
        parts.append(f"{pad}- schema_url              : {span.schema_url}\n")
    parts.append(f"{pad}- status:\n{pad}    - code    : {int(span.status_code)}\n")
    if span.status_message is not None:
        parts.append(f"{pad}    - message : '{span.status_message}'\n")
    attributes = f" {attributes_text(span.attributes, 13)}" if span.attributes else " none\n"
    parts.append(f"{pad}- attributes:{attributes}{pad}- events: ")
    if not span.events:
        parts.append("none\n")
    parts += map(_event_text, span.events)
    parts.append(f"{pad}- [links]\n")
    parts += map(_link_text, span.links)


def _event_text(event: SpanEvent) -> str:
    pad = " " * 21
    attributes = attributes_text(event.attributes, 21) if event.attributes else " none\n"
    return (
        f"\n{' ' * 17}- name: {event.name}\n"
        f"{pad}- timestamp               : {event.time_ns}\n"
        f"{pad}- dropped_attributes_count: {event.dropped_attributes}\n"
        f"{pad}- attributes:{attributes}"
    )


def _link_text(link: Link) -> str:
    pad = " " * 21
    attributes = "none\n" if link.attributes is None else attributes_text(link.attributes, 21)
    return (
        f"{' ' * 17}- link:\n"
        f"{pad}- trace_id             : {_hex(link.trace_id, NO_TRACE_ID)}\n"
        f"{pad}- span_id              : {_hex(link.span_id, NO_SPAN_ID)}\n"
        f"{pad}- trace_state          : {_c_text(link.trace_state)}\n"
        f"{pad}- dropped_events_count : {link.dropped_attributes}\n"
        f"{pad}- attributes           : {attributes}"
    )


def attributes_text(attributes: Attributes, level: int) -> str:
    """A line for each attribute, `level` and four spaces from the left; begins with the line feed before the first."""
    pad = " " * (level + STEP)
    lines = [
        f"{pad}- {key}: {_value_text(value, level + STEP)}\n" for key, value in attributes.items()
    ]
    return "\n" + "".join(lines)


def _value_text(value: Any, level: int) -> str:
    """Compat: maps within lists, bytes and null show nothing (`format_array`, `format_attributes`)."""
    kind = type(value)
    if kind is dict:
        return attributes_text(value, level)
    if kind is list:
        pad = " " * (level + STEP)
        items = ",\n".join(
            [
                pad + ("" if type(each) is dict else _value_text(each, level + STEP))
                for each in value
            ]
        )
        return f"[\n{items}\n{' ' * level}]"
    if kind is str:
        return f"'{value}'"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    return f"{value:.17g}" if kind is float else ""


def _hex(identifier: bytes | None, otherwise: str) -> str:
    return identifier.hex() if identifier else otherwise


def _given(text: str | None) -> str:
    return '""' if text is None else text


def _c_text(text: str | None) -> str:
    return "(null)" if text is None else text
