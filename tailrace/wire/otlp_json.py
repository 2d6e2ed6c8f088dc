"""OTLP in its JSON form: logs, metrics and traces.

Source: OpenTelemetry Protocol specification 1.x, "JSON Protobuf Encoding": 64-bit integers are texts, bytes are base64,
identifiers are hexadecimal, field names are in camelCase. An event's OpenTelemetry fields are those that its metadata
holds under `otlp` (severity, attributes, trace and span).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from tailrace.model import Body, Chunk, Metadata
from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    Summary,
)
from tailrace.wire.json import encode as encode_json

if TYPE_CHECKING:
    from tailrace.model.traces import (
        Link,
        ResourceSpans,
        Scope,
        ScopeSpans,
        Span,
        SpanEvent,
        Traces,
    )

BODY_KEYS = ("log", "message")
"""The first of these that a record has is the body of the log record; without one the whole record is."""


def encode_logs(chunk: Chunk, body_keys: Sequence[str] = BODY_KEYS, pretty: bool = False) -> bytes:
    """All events as one `ExportLogsServiceRequest`."""
    chunk.open()
    metadata = chunk.metadata or [{}] * chunk.count
    records = [
        log_record(time_ns, meta, body, body_keys)
        for time_ns, meta, body in zip(chunk.times, metadata, chunk.bodies, strict=True)
    ]
    return encode("resourceLogs", "scopeLogs", "logRecords", records, pretty)


def encode_metrics(metrics: MetricSet, pretty: bool = False) -> bytes:
    """All metrics that have samples as one `ExportMetricsServiceRequest`."""
    static = list(metrics.static_labels.items())
    made = [metric_of(metric, static) for metric in metrics.of_kind(*MetricKind) if metric.samples]
    return encode("resourceMetrics", "scopeMetrics", "metrics", made, pretty)


def encode_traces(traces: Traces, pretty: bool = False) -> bytes:
    """All spans as one `ExportTraceServiceRequest`."""
    resources = [resource_spans(each) for each in traces.resource_spans]
    return as_text({"resourceSpans": resources}, pretty)


def encode(resources: str, scopes: str, name: str, items: list[Any], pretty: bool) -> bytes:
    return as_text({resources: [{"resource": {}, scopes: [{"scope": {}, name: items}]}]}, pretty)


def as_text(document: Body, pretty: bool) -> bytes:
    text = encode_json(document)
    return orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2) if pretty else text


# Logs


def log_record(time_ns: int, metadata: Metadata, body: Body, body_keys: Sequence[str]) -> Body:
    found = metadata.get("otlp")
    otlp: dict[str, Any] = found if isinstance(found, dict) else {}
    if is_count(otlp.get("timestamp")):
        time_ns = otlp["timestamp"]
    record: Body = {}
    if time_ns > 0:
        record["timeUnixNano"] = str(time_ns)
    if is_count(otlp.get("observed_timestamp")):
        record["observedTimeUnixNano"] = str(otlp["observed_timestamp"])
    if is_count(otlp.get("severity_number")):
        record["severityNumber"] = otlp["severity_number"]
    if isinstance(otlp.get("severity_text"), str):
        record["severityText"] = otlp["severity_text"]
    if isinstance(otlp.get("attributes"), dict) and otlp["attributes"]:
        record["attributes"] = key_values(otlp["attributes"].items())
    for field, key, size in (("traceId", "trace_id", 16), ("spanId", "span_id", 8)):
        identifier = otlp.get(key)
        if isinstance(identifier, bytes) and len(identifier) == size:
            record[field] = identifier.hex()
    value = next((body[key] for key in body_keys if key in body), body)
    if value is not None:
        record["body"] = any_value(value)
    return record


def is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def key_values(items: Iterable[tuple[Any, Any]]) -> list[Body]:
    return [{"key": str(key), "value": any_value(value)} for key, value in items]


def any_value(value: Any) -> Body:
    """OTLP's `AnyValue`; null is the empty one."""
    match value:
        case None:
            return {}
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case bytes():
            return {"bytesValue": b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [any_value(each) for each in value]}}
        case dict():
            return {"kvlistValue": {"values": key_values(value.items())}}
    return {"stringValue": str(value)}


# Metrics


def metric_of(metric: Metric, static: list[tuple[str, str]]) -> Body:
    """One metric with its data points."""
    made: Body = {"name": metric.full_name}
    if metric.description:
        made["description"] = metric.description
    if metric.unit:
        made["unit"] = metric.unit
    points = [data_point(metric, sample, static) for sample in metric.ordered()]
    data: Body = {"dataPoints": points}
    temporality = int(metric.aggregation or Aggregation.CUMULATIVE)
    match metric.kind:
        case MetricKind.COUNTER:
            data |= {"aggregationTemporality": temporality, "isMonotonic": not metric.allow_reset}
            made["sum"] = data
        case MetricKind.HISTOGRAM:
            made["histogram"] = data | {"aggregationTemporality": temporality}
        case MetricKind.EXP_HISTOGRAM:
            made["exponentialHistogram"] = data | {"aggregationTemporality": temporality}
        case MetricKind.SUMMARY:
            made["summary"] = data
        case _:
            made["gauge"] = data
    return made


def data_point(metric: Metric, sample: Sample, static: list[tuple[str, str]]) -> Body:
    point: Body = {}
    labels = [*metric.label_pairs(sample), *static]
    if labels:
        point["attributes"] = key_values(labels)
    if sample.start_ns:
        point["startTimeUnixNano"] = str(sample.start_ns)
    point["timeUnixNano"] = str(sample.time_ns)
    match sample.value:
        case Histogram() as value:
            point |= {"count": str(value.count), "sum": value.sum}
            point["bucketCounts"] = [str(count) for count in each_bucket(value.counts)]
            point["explicitBounds"] = list(metric.buckets)
        case ExpHistogram() as value:
            point |= exponential(value)
        case Summary() as value:
            point |= {"count": str(value.count), "sum": value.sum}
            if value.has_quantiles:
                point["quantileValues"] = [
                    {"quantile": quantile, "value": number}
                    for quantile, number in zip(metric.quantiles, value.quantiles, strict=False)
                ]
        case number:
            if isinstance(number, int) and -(2**63) <= number < 2**63:
                point["asInt"] = str(number)
            else:
                point["asDouble"] = float(number)
    return point


def each_bucket(counts: Sequence[int]) -> list[int]:
    """The observations of each bucket, of counts that add up from bucket to bucket."""
    return [count - below for count, below in zip(counts, [0, *counts[:-1]], strict=True)]


def exponential(value: ExpHistogram) -> Body:
    point: Body = {"count": str(value.count), "scale": value.scale}
    if value.sum is not None:
        point["sum"] = value.sum
    point["zeroCount"] = str(value.zero_count)
    if value.zero_threshold:
        point["zeroThreshold"] = value.zero_threshold
    for name, offset, counts in (
        ("positive", value.positive_offset, value.positive),
        ("negative", value.negative_offset, value.negative),
    ):
        point[name] = {"offset": offset, "bucketCounts": [str(count) for count in counts]}
    return point


# Traces

STATUS_NAMES = {1: "OK", 2: "ERROR"}
"""Compat: Fluent Bit writes these and `UNSET`, where the specification has numbers."""


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


def with_attributes(made: Body, attributes: Body | None, dropped: int) -> Body:
    if attributes:
        made["attributes"] = key_values(attributes.items())
    if dropped > 0:
        made["droppedAttributesCount"] = dropped
    return made


def with_given(made: Body, **fields: str | None) -> Body:
    """`made` with those fields that are not None."""
    made.update((name, text) for name, text in fields.items() if text is not None)
    return made


def hex_of(identifier: bytes | None) -> str | None:
    return identifier.hex() if identifier else None
