"""Give logs and metrics of other sources the place that OpenTelemetry keeps resource and scope in.

Example:
    name: opentelemetry_envelope

    {"message": "one"}  ->  {"message": "one"}

The records do not change; they come to stand in a group whose resource and scope are empty. A content_modifier behind it can then set resource and scope (its contexts `otel_resource_attributes` and so on), and an
opentelemetry output sends them. Events that came from OpenTelemetry keep what they have.
"""

from __future__ import annotations

from typing import Any

from tailrace.model import LOGS, METRICS, Chunk, Group
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin

PRODUCER = "fluent-bit"
PLACES = {
    "scope": ("metadata", "attributes"),
    "scope_metrics": ("metadata",),
    "resource": ("metadata", "attributes"),
    "resource_metrics": ("metadata",),
}
"""Where a metric set's external metadata has scope and resource, in CMetrics' form."""


class OpentelemetryEnvelopeOptions(ProcessorOptions):
    pass


@processor_plugin("opentelemetry_envelope")
class OpentelemetryEnvelope(Processor[OpentelemetryEnvelopeOptions]):
    handles = LOGS | METRICS

    def process(self, chunk: Chunk) -> Chunk:
        if chunk.kind is METRICS:
            wrap_metrics(chunk.payload)
        elif chunk.groups is None:
            chunk.groups = [empty_group()] * chunk.count
        elif None in chunk.groups:
            group = empty_group()
            chunk.groups = [known or group for known in chunk.groups]
        return chunk


def empty_group() -> Group:
    metadata = {"schema": "otlp", "resource_id": 0, "scope_id": 0}
    return Group(metadata, {"resource": {}, "scope": {}})


def wrap_metrics(metrics: Any) -> None:
    """Make the places that are not there yet."""
    metrics.internal.setdefault("producer", PRODUCER)
    for place, parts in PLACES.items():
        held = metrics.external.setdefault(place, {})
        for part in parts:
            held.setdefault(part, {})
