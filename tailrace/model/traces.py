"""Traces: spans by scope and resource, as OpenTelemetry and CTraces have them.

A chunk of traces (`kind` TRACES) carries one `Traces` as its payload and counts as many events as it has spans.
Times are nanoseconds since the epoch, identifiers are bytes. Where None and an empty value are both there, None says
that the sender left it out: Fluent Bit prints and stores the two differently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from tailrace.model.chunk import TRACES, Chunk

Attributes = dict[str, Any]
"""Text keys; values are None, bool, int (64 bit), float, str, bytes, list or dict."""

BYTES_PER_SPAN = 512


class SpanKind(IntEnum):
    """How a span stands to its parents and children; OpenTelemetry's numbers."""

    UNSPECIFIED = 0
    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


class StatusCode(IntEnum):
    """How the work of a span ended; OpenTelemetry's numbers."""

    UNSET = 0
    OK = 1
    ERROR = 2


@dataclass(slots=True)
class SpanEvent:
    """Something that happened at one time during a span."""

    name: str
    time_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    dropped_attributes: int = 0


@dataclass(slots=True)
class Link:
    """A reference from a span to one that is not its parent, maybe of another trace."""

    trace_id: bytes | None = None
    span_id: bytes | None = None
    trace_state: str | None = None
    attributes: Attributes | None = None
    dropped_attributes: int = 0
    flags: int = 0


@dataclass(slots=True)
class Span:
    """One piece of work. An identifier is None where the sender gave none (16 bytes a trace, 8 a span)."""

    name: str
    trace_id: bytes | None = None
    span_id: bytes | None = None
    parent_span_id: bytes | None = None
    """None: a root span."""
    kind: int = SpanKind.INTERNAL
    """A `SpanKind`; other numbers pass."""
    start_ns: int = 0
    end_ns: int = 0
    attributes: Attributes = field(default_factory=dict)
    events: list[SpanEvent] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    status_code: int = StatusCode.UNSET
    """A `StatusCode`; other numbers pass."""
    status_message: str | None = None
    trace_state: str | None = None
    """The W3C tracestate header, as it came."""
    flags: int = 0
    schema_url: str | None = None
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0


@dataclass(slots=True)
class Scope:
    """The library that made spans."""

    name: str | None = None
    version: str | None = None
    attributes: Attributes | None = None
    dropped_attributes: int = 0


@dataclass(slots=True)
class ScopeSpans:
    """Spans of one scope."""

    scope: Scope | None = None
    spans: list[Span] = field(default_factory=list)
    schema_url: str | None = None


@dataclass(slots=True)
class ResourceSpans:
    """Spans of one resource (a process, a service) by scope; `attributes` are those of the resource."""

    attributes: Attributes = field(default_factory=dict)
    dropped_attributes: int = 0
    scope_spans: list[ScopeSpans] = field(default_factory=list)
    schema_url: str | None = None


@dataclass(slots=True)
class Traces:
    """Spans that came together, in the order in which they came."""

    resource_spans: list[ResourceSpans] = field(default_factory=list)

    def spans(self) -> Iterator[Span]:
        """All spans, in order."""
        for resource in self.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans

    @property
    def span_count(self) -> int:
        """How many spans there are."""
        return sum(
            len(scope.spans) for resource in self.resource_spans for scope in resource.scope_spans
        )


def traces_chunk(tag: str, traces: Traces, nbytes: int = 0) -> Chunk:
    """A chunk of traces; without spans it still counts as one event. `nbytes`: its raw size where that is known."""
    count = max(1, traces.span_count)
    return Chunk.of_payload(tag, TRACES, traces, count, nbytes or BYTES_PER_SPAN * count)


def joined_traces(several: Iterable[Traces]) -> Traces:
    """All resource spans under one roof, in order; shares them with the parts."""
    return Traces([resource for traces in several for resource in traces.resource_spans])
