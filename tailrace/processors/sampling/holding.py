"""Traces whose spans are held until it is decided whether they are kept.

A trace is the spans of one trace identifier, in whatever chunks they come. Its receipts are those of the chunks, held
until the decision: spans that are dropped by it end their shares, and kept ones hand them to the chunk that takes them on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tailrace.model import Chunk, Receipt
from tailrace.model.traces import (
    Attributes,
    ResourceSpans,
    Scope,
    ScopeSpans,
    Span,
    Traces,
    traces_chunk,
)


@dataclass(slots=True, eq=False)
class HeldTrace:
    """The spans of one trace, each with the resource and scope it came under."""

    tag: str
    born: float
    """When its first span came, by the monotonic clock."""
    spans: list[tuple[ResourceSpans, ScopeSpans, Span]] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    nbytes: int = 0

    def with_resources(self) -> list[tuple[Attributes, Span]]:
        return [(resource.attributes, span) for resource, _, span in self.spans]

    def add_receipt(self, receipt: Receipt) -> None:
        """Hold a share of a chunk's receipt, once."""
        if not (self.receipts and self.receipts[-1] is receipt):
            receipt.hold()
            self.receipts.append(receipt)

    def release(self) -> None:
        """Its end: nothing of it waits here any more."""
        for receipt in self.receipts:
            receipt.release()
        self.receipts.clear()


class HeldTraces:
    """All held traces by their identifiers, oldest first."""

    def __init__(self) -> None:
        self._traces: dict[object, HeldTrace] = {}
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self._traces)

    def add(self, chunk: Chunk, now: float, receipt: Receipt | None) -> None:
        """Take all spans out of a chunk of traces. Spans without a trace identifier are a trace each."""
        traces: Traces = chunk.payload
        share = max(1, chunk.nbytes // max(1, chunk.count))
        known, tag = self._traces, chunk.tag
        for resource in traces.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    key = span.trace_id or object()
                    held = known.get(key)
                    if held is None:
                        held = known[key] = HeldTrace(tag, now)
                    held.spans.append((resource, scope, span))
                    held.nbytes += share
                    if receipt is not None:
                        held.add_receipt(receipt)
                self.nbytes += share * len(scope.spans)
                scope.spans = []  # what is dropped later must not live on here
            resource.scope_spans = []

    @property
    def oldest(self) -> HeldTrace | None:
        return next(iter(self._traces.values()), None)

    def take_born_before(self, moment: float, most: int) -> list[HeldTrace]:
        """Take out traces whose first span came up to then, oldest first, `most` of them."""
        taken: list[HeldTrace] = []
        while len(taken) < most and (held := self.oldest) is not None and held.born <= moment:
            taken.append(self.take_oldest())
        return taken

    def take_oldest(self) -> HeldTrace:
        """Take out the oldest trace; there must be one."""
        held = self._traces.pop(next(iter(self._traces)))
        self.nbytes -= held.nbytes
        return held


def chunks_of(kept: Iterable[HeldTrace], one_by_one: bool) -> list[Chunk]:
    """The spans of kept traces by tag, each trace under resources of its own; `one_by_one`: each span.

    The chunks' receipts hold those of their traces, whose own shares end.
    """
    by_tag: dict[str, list[HeldTrace]] = {}
    for held in kept:
        by_tag.setdefault(held.tag, []).append(held)
    return [chunk_of(tag, traces, one_by_one) for tag, traces in by_tag.items()]


def chunk_of(tag: str, kept: list[HeldTrace], one_by_one: bool) -> Chunk:
    resources = [each for held in kept for each in gathered(held, one_by_one)]
    chunk = traces_chunk(tag, Traces(resources), sum(held.nbytes for held in kept))
    receipts = {id(receipt): receipt for held in kept for receipt in held.receipts}
    if receipts:
        joint = Receipt()
        for receipt in receipts.values():
            receipt.hold()
            joint.follow(receipt)
            joint.urgent = joint.urgent or receipt.urgent
        chunk.receipt = joint
    for held in kept:
        held.release()
    return chunk


def gathered(held: HeldTrace, one_by_one: bool) -> list[ResourceSpans]:
    """The spans of one trace under copies of their resources and scopes; what came together stays together."""
    resources: dict[int, ResourceSpans] = {}
    scopes: dict[int, ScopeSpans] = {}
    made: list[ResourceSpans] = []
    for came_resource, came_scope, span in held.spans:
        scope = scopes.get(id(came_scope))
        if scope is None or one_by_one:
            resource = resources.get(id(came_resource))
            if resource is None or one_by_one:
                resource = ResourceSpans(
                    dict(came_resource.attributes),
                    came_resource.dropped_attributes,
                    [],
                    came_resource.schema_url,
                )
                resources[id(came_resource)] = resource
                made.append(resource)
            scope = ScopeSpans(copy_of(came_scope.scope), [], came_scope.schema_url or None)
            scopes[id(came_scope)] = scope
            resource.scope_spans.append(scope)
        scope.spans.append(span)
    return made


def copy_of(scope: Scope | None) -> Scope | None:
    """Compat: an empty map of attributes becomes none at all, as an empty schema_url does (Fluent Bit loses any)."""
    if scope is None:
        return None
    attributes = dict(scope.attributes) if scope.attributes else None
    return Scope(scope.name, scope.version, attributes, scope.dropped_attributes)
