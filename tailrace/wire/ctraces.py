"""Traces in the MessagePack form in which Fluent Bit stores and forwards them (CTraces, `ctr_encode_msgpack.c`).

    {"resourceSpans": [{"resource": {"attributes": {}, "dropped_attributes_count": 0}, "schema_url": null,
                        "scope_spans": [{"scope": {...}, "spans": [{...}], "schema_url": null}]}]}

Identifiers are lower-case hexadecimal text, what is not set is nil. The form has no place for the flags of spans and links; where
no Fluent Bit reads it, they can be put in.
Several sets may follow one another. What is read is not trusted: anything else is a `TracesError`.
"""

from __future__ import annotations

from typing import Any

import msgpack

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
from tailrace.wire.sets import as_int, as_list, as_map, as_text, read_sets

MOST_SPANS = 1_000_000
LEAVES = (str, bool, int, float, bytes)


class TracesError(ValueError):
    """Bytes that are no traces; says what is wrong and where."""


# Writing


def encode(traces: Traces, with_flags: bool = False) -> bytes:
    """One set. `with_flags`: with those of spans and links, which no Fluent Bit could read."""
    packed: bytes = msgpack.packb(
        {"resourceSpans": [_resource_map(each, with_flags) for each in traces.resource_spans]},
        unicode_errors="surrogateescape",
        default=_plain,
    )
    return packed


def _plain(value: Any) -> Any:
    """What MessagePack has no form for, as an integer of more than 64 bits."""
    return float(value) if isinstance(value, int) else str(value)


def _resource_map(resource: ResourceSpans, with_flags: bool) -> dict[str, Any]:
    return {
        "resource": {
            "attributes": resource.attributes,
            "dropped_attributes_count": resource.dropped_attributes,
        },
        "schema_url": resource.schema_url,
        "scope_spans": [_scope_map(each, with_flags) for each in resource.scope_spans],
    }


def _scope_map(spans: ScopeSpans, with_flags: bool) -> dict[str, Any]:
    scope = spans.scope
    return {
        "scope": None
        if scope is None
        else {
            "name": scope.name,
            "version": scope.version,
            "attributes": scope.attributes,
            "dropped_attributes_count": scope.dropped_attributes,
        },
        "spans": [_flagged_map(span) if with_flags else _span_map(span) for span in spans.spans],
        "schema_url": spans.schema_url,
    }


def _flagged_map(span: Span) -> dict[str, Any]:
    """A span with its flags and those of its links, where they are not 0."""
    made = _span_map(span)
    if span.flags:
        made["flags"] = span.flags
    for link, link_map in zip(span.links, made["links"], strict=True):
        if link.flags:
            link_map["flags"] = link.flags
    return made


def _span_map(span: Span) -> dict[str, Any]:
    return {
        "trace_id": _hex(span.trace_id),
        "span_id": _hex(span.span_id),
        "parent_span_id": _hex(span.parent_span_id),
        "trace_state": span.trace_state,
        "name": span.name,
        "kind": int(span.kind),
        "start_time_unix_nano": span.start_ns,
        "end_time_unix_nano": span.end_ns,
        "attributes": span.attributes,
        "dropped_attributes_count": span.dropped_attributes,
        "dropped_events_count": span.dropped_events,
        "dropped_links_count": span.dropped_links,
        "events": [
            {
                "time_unix_nano": event.time_ns,
                "name": event.name,
                "attributes": event.attributes,
                "dropped_attributes_count": event.dropped_attributes,
            }
            for event in span.events
        ],
        "links": [
            {
                "trace_id": _hex(link.trace_id),
                "span_id": _hex(link.span_id),
                "trace_state": link.trace_state,
                "attributes": link.attributes,
                "dropped_attributes_count": link.dropped_attributes,
            }
            for link in span.links
        ],
        "schema_url": span.schema_url,
        "status": {"code": int(span.status_code), "message": span.status_message},
    }


def _hex(identifier: bytes | None) -> str | None:
    return identifier.hex() if identifier else None


# Reading


def decode(data: bytes) -> list[Traces]:
    """All sets that the bytes hold."""
    return read_sets(data, "traces", _read_set, TracesError)


def _read_set(value: Any) -> Traces:
    traces = Traces(
        [_read_resource(each) for each in _list_in(as_map(value, "traces"), "resourceSpans")]
    )
    if traces.span_count > MOST_SPANS:
        raise ValueError(f"more than {MOST_SPANS} spans")
    return traces


def _read_resource(value: Any) -> ResourceSpans:
    top = as_map(value, "resource spans")
    resource = as_map(top.get("resource", {}), "resource")
    return ResourceSpans(
        _attributes_in(resource) or {},
        _count_in(resource, "dropped_attributes_count"),
        [_read_scope(each) for each in _list_in(top, "scope_spans")],
        _text_in(top, "schema_url"),
    )


def _read_scope(value: Any) -> ScopeSpans:
    top = as_map(value, "scope spans")
    scope = top.get("scope")
    return ScopeSpans(
        None
        if scope is None
        else Scope(
            _text_in(as_map(scope, "scope"), "name"),
            _text_in(scope, "version"),
            _attributes_in(scope),
            _count_in(scope, "dropped_attributes_count"),
        ),
        [_read_span(as_map(each, "span")) for each in _list_in(top, "spans")],
        _text_in(top, "schema_url"),
    )


def _read_span(top: dict[str, Any]) -> Span:
    status = as_map(top.get("status", {}), "status")
    return Span(
        _text_in(top, "name") or "",
        _identifier_in(top, "trace_id"),
        _identifier_in(top, "span_id"),
        _identifier_in(top, "parent_span_id"),
        _count_in(top, "kind"),
        _count_in(top, "start_time_unix_nano"),
        _count_in(top, "end_time_unix_nano"),
        _attributes_in(top) or {},
        [_read_event(as_map(each, "event")) for each in _list_in(top, "events")],
        [_read_link(as_map(each, "link")) for each in _list_in(top, "links")],
        _count_in(status, "code"),
        _text_in(status, "message"),
        _text_in(top, "trace_state"),
        _count_in(top, "flags"),
        _text_in(top, "schema_url"),
        _count_in(top, "dropped_attributes_count"),
        _count_in(top, "dropped_events_count"),
        _count_in(top, "dropped_links_count"),
    )


def _read_event(top: dict[str, Any]) -> SpanEvent:
    return SpanEvent(
        _text_in(top, "name") or "",
        _count_in(top, "time_unix_nano"),
        _attributes_in(top) or {},
        _count_in(top, "dropped_attributes_count"),
    )


def _read_link(top: dict[str, Any]) -> Link:
    return Link(
        _identifier_in(top, "trace_id"),
        _identifier_in(top, "span_id"),
        _text_in(top, "trace_state"),
        _attributes_in(top),
        _count_in(top, "dropped_attributes_count"),
        _count_in(top, "flags"),
    )


def _attributes_in(top: dict[str, Any]) -> Attributes | None:
    attributes = top.get("attributes")
    if attributes is not None:
        check_value(as_map(attributes, "attributes"))
    return attributes


def check_value(value: Any) -> None:
    """Refuse what no attribute can be: extensions, and keys that are no text."""
    kind = type(value)
    if kind is dict:
        for key, each in value.items():
            if type(key) is not str:
                raise ValueError(f"{key!r} is no name of an attribute")
            check_value(each)
    elif kind is list:
        for each in value:
            check_value(each)
    elif value is not None and kind not in LEAVES:
        raise ValueError(f"{value!r} is no value of an attribute")


def _identifier_in(top: dict[str, Any], key: str) -> bytes | None:
    text = _text_in(top, key)
    return bytes.fromhex(text) or None if text is not None else None


def _text_in(top: dict[str, Any], key: str) -> str | None:
    value = top.get(key)
    return None if value is None else as_text(value, key)


def _count_in(top: dict[str, Any], key: str) -> int:
    return as_int(top.get(key, 0), key)


def _list_in(top: dict[str, Any], key: str) -> list[Any]:
    return as_list(top.get(key, []), key)
