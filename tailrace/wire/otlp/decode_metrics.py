"""Requests of metrics to metric sets, one for each scope.

Attributes of a data point are its labels, as text; the description of a metric that has none is `-`, as in CMetrics. Resource and scope stand in a set's
`external` metadata, where CMetrics has them. OTLP counts each bucket of a histogram by itself; the model's counts are cumulative.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import orjson

from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    Labels,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    Summary,
    Value,
)
from tailrace.wire.otlp.errors import MOST_ITEMS, OtlpError, TooMany, count_groups, messages
from tailrace.wire.otlp.json_messages import ATTRIBUTE, fill
from tailrace.wire.otlp.values import document, read_attributes, read_value

NO_VALUE = 1
"""The flag of a data point that only says that there is no value any more."""

KINDS = {
    "sum": MetricKind.COUNTER,
    "gauge": MetricKind.GAUGE,
    "summary": MetricKind.SUMMARY,
    "histogram": MetricKind.HISTOGRAM,
    "exponential_histogram": MetricKind.EXP_HISTOGRAM,
}


@dataclass(slots=True)
class DecodedMetrics:
    """The sets of a request; `rejected` counts data points that could not be taken, `why` says what was wrong first, with an attribute or a point."""

    sets: list[MetricSet] = field(default_factory=list)
    points: int = 0
    rejected: int = 0
    why: str = ""

    def refuse(self, error: OtlpError, item: str = "") -> None:
        if item != ATTRIBUTE:
            self.rejected += 1
        self.why = self.why or str(error)


def decode_metrics(data: bytes) -> DecodedMetrics:
    """What an `ExportMetricsServiceRequest` as protobuf holds; `OtlpError` if it is none."""
    request = messages("collector.metrics.v1.metrics_service").ExportMetricsServiceRequest()
    try:
        request.ParseFromString(data)
    except Exception as error:  # the library's DecodeError has no home that is imported already
        raise OtlpError(f"no protobuf of metrics: {error}") from None
    return sets_of(request, DecodedMetrics())


def decode_metrics_json(data: bytes) -> DecodedMetrics:
    """What an `ExportMetricsServiceRequest` as JSON holds; `OtlpError` if it is none."""
    request = messages("collector.metrics.v1.metrics_service").ExportMetricsServiceRequest()
    given = document(data)
    decoded = DecodedMetrics()
    fill(request, given, decoded.refuse)
    return sets_of(request, decoded)


def sets_of(request: Any, decoded: DecodedMetrics) -> DecodedMetrics:
    count_groups(request.resource_metrics, "scope_metrics")
    for resource_id, resource_metrics in enumerate(request.resource_metrics):
        for scope_id, scope_metrics in enumerate(resource_metrics.scope_metrics):
            made = MetricSet(internal={"producer": "opentelemetry"})
            made.external = origin(resource_metrics, scope_metrics)
            for index, message in enumerate(scope_metrics.metrics):
                try:
                    made.metrics += metrics_of(message, decoded)
                    keep_metadata(made.external, message)
                except OtlpError as error:
                    error.under(f".metrics[{index}]").under(f".scopeMetrics[{scope_id}]")
                    raise error.under(f"resourceMetrics[{resource_id}]") from None
            decoded.sets.append(made)
    return decoded


def origin(resource_metrics: Any, scope_metrics: Any) -> dict[str, Any]:
    """Scope and resource in the form of CMetrics."""
    scope, resource = scope_metrics.scope, resource_metrics.resource
    of_scope: dict[str, Any] = {}
    if scope.name:
        of_scope["name"] = scope.name
    if scope.version:
        of_scope["version"] = scope.version
    if scope.dropped_attributes_count:
        of_scope["dropped_attributes_count"] = scope.dropped_attributes_count
    of_resource: dict[str, Any] = {}
    if resource.dropped_attributes_count:
        of_resource["dropped_attributes_count"] = resource.dropped_attributes_count
    made: dict[str, Any] = {
        "scope": {"metadata": of_scope, "attributes": read_attributes(scope.attributes)},
        "resource": {"metadata": of_resource, "attributes": read_attributes(resource.attributes)},
    }
    for name, message in (("scope_metrics", scope_metrics), ("resource_metrics", resource_metrics)):
        if message.schema_url:
            made[name] = {"metadata": {"schema_url": message.schema_url}}
    return made


def keep_metadata(external: dict[str, Any], message: Any) -> None:
    """Put the metadata of a metric where CMetrics has it."""
    if message.metadata and (name := message.WhichOneof("data")):
        place = external
        for key in ("otlp", "metrics", KINDS[name].name.lower(), message.name):
            place = place.setdefault(key, {})
        place["metadata"] = read_attributes(message.metadata)


def metrics_of(message: Any, decoded: DecodedMetrics) -> list[Metric]:
    """One metric; several if its data points differ in their buckets or quantiles."""
    if not message.name:
        raise OtlpError("it is missing").under(".name")
    name = message.WhichOneof("data")
    if name is None:
        raise OtlpError("neither gauge, sum, histogram, exponentialHistogram nor summary")
    data, kind = getattr(message, name), KINDS[name]
    decoded.points += len(data.data_points)
    if decoded.points > MOST_ITEMS:
        raise TooMany(f"more than {MOST_ITEMS} data points")
    builder = Builder(message, kind, data)
    for index, point in enumerate(data.data_points):
        if point.flags & NO_VALUE:
            continue
        try:
            builder.add(point)
        except OtlpError as error:
            decoded.refuse(error.under(f"{message.name}.dataPoints[{index}]"))
    return builder.metrics()


Shape = tuple[float, ...]
"""Bounds of buckets, or quantiles."""

MOST_KEYS = 100
"""Once the labels of a metric have so many keys, points with others make another metric of the same name: a sample has room for
each key, so that points which all have keys of their own would take memory by the square."""


@dataclass(slots=True)
class Part:
    """Samples that are one metric but for their shapes; `keys` are those of their labels, with the place of each."""

    keys: dict[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    """The keys as the last point had them, if it had all, in their order."""
    by_shape: dict[Shape, list[Sample]] = field(default_factory=dict)


class Builder:
    """Makes a metric of its data points; several if they differ in shape."""

    def __init__(self, message: Any, kind: MetricKind, data: Any) -> None:
        self.kind = kind
        self.description = message.description or "-"
        self.name, self.unit = message.name, message.unit
        temporality = getattr(data, "aggregation_temporality", 0)
        self.aggregation = Aggregation(temporality if temporality in (1, 2) else 0)
        self.allow_reset = kind is MetricKind.COUNTER and not data.is_monotonic
        self.parts = [Part()]

    def add(self, point: Any) -> None:
        shape, value = READERS[self.kind](point)
        sample = Sample(
            self.labels(point.attributes),
            value,
            point.time_unix_nano,
            point.start_time_unix_nano or None,
            told(point, self.kind),
        )
        self.parts[-1].by_shape.setdefault(shape, []).append(sample)

    def labels(self, attributes: Any) -> Labels:
        """The values of the labels by the keys that were seen until now."""
        if not attributes:
            return ()
        named: dict[str, str | None] = {}
        for pair in attributes:
            value = pair.value
            named[pair.key] = value.string_value or label(value)
        part = self.parts[-1]
        names = tuple(named)
        if names == part.names:  # most points have the labels of the one before
            return tuple(named.values())
        if "" in named:
            raise OtlpError("an attribute without a key")
        keys = part.keys
        if keys and len(keys) + len(named) > MOST_KEYS and not named.keys() <= keys.keys():
            part = Part()
            self.parts.append(part)
            keys = part.keys
        for key in named:
            keys.setdefault(key, len(keys))
        part.names = names if names == tuple(keys) else ()
        return tuple([named.get(key) for key in keys])

    def metrics(self) -> list[Metric]:
        return [
            self.metric(tuple(part.keys), shape, samples)
            for part in self.parts
            for shape, samples in part.by_shape.items() or [((), [])]
        ]

    def metric(self, keys: tuple[str, ...], shape: Shape, samples: list[Sample]) -> Metric:
        for sample in samples:
            missing = len(keys) - len(sample.labels)
            if sample.labels and missing:
                sample.labels += (None,) * missing
        made = Metric(self.kind, self.name, self.description, keys, unit=self.unit)
        made.aggregation, made.allow_reset = self.aggregation, self.allow_reset
        made.samples = samples
        if self.kind is MetricKind.HISTOGRAM:
            made.buckets = shape
        elif self.kind is MetricKind.SUMMARY:
            made.quantiles = shape
        return made


def label(message: Any) -> str | None:
    """An attribute's value as text; None if it is not set."""
    value = read_value(message)
    if value is None or type(value) is str:
        return value
    if type(value) is bool:
        return "1" if value else "0"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return f"{value:.17g}"
    if type(value) is bytes:
        return value.decode("utf-8", "surrogateescape")
    return orjson.dumps(value, default=bytes.hex).decode()


def told(point: Any, kind: MetricKind) -> dict[str, Any] | None:
    """What is said of a data point beside its value; None if nothing is."""
    made: dict[str, Any] = {}
    if point.flags:
        made["flags"] = point.flags
    if kind is MetricKind.SUMMARY:
        return made or None
    if kind in (MetricKind.HISTOGRAM, MetricKind.EXP_HISTOGRAM):
        if kind is MetricKind.HISTOGRAM and not point.HasField("sum"):
            made["has_sum"] = False
        if point.HasField("min"):
            made["min"] = point.min
        if point.HasField("max"):
            made["max"] = point.max
    if point.exemplars:
        made["exemplars"] = [exemplar(each) for each in point.exemplars]
    return made or None


def exemplar(message: Any) -> dict[str, Any]:
    """One measurement that a data point stands for, with the span that it was made in."""
    made: dict[str, Any] = {"time_unix_nano": message.time_unix_nano}
    if message.span_id:
        made["span_id"] = message.span_id
    if message.trace_id:
        made["trace_id"] = message.trace_id
    if (kind := message.WhichOneof("value")) is not None:
        made[kind] = getattr(message, kind)
    if message.filtered_attributes:
        made["filtered_attributes"] = read_attributes(message.filtered_attributes)
    return made


Shaped = tuple[Shape, Value]


def read_number(point: Any) -> Shaped:
    kind = point.WhichOneof("value")
    if kind is None:
        raise OtlpError("neither asDouble nor asInt")
    return (), getattr(point, kind)


def read_histogram(point: Any) -> Shaped:
    bounds, counts = tuple(point.explicit_bounds), list(point.bucket_counts)
    if len(counts) > len(bounds) + 1:
        raise OtlpError(f"{len(counts)} buckets for {len(bounds)} bounds")
    if not all(lower < upper for lower, upper in pairwise(bounds)):
        raise OtlpError("the bounds do not ascend")
    if not counts:
        bounds, counts = (), [point.count]
    counts += [0] * (len(bounds) + 1 - len(counts))
    return bounds, Histogram(list(accumulate(counts)), point.sum, point.count)


def read_exponential(point: Any) -> Shaped:
    return (), ExpHistogram(
        scale=point.scale,
        zero_count=point.zero_count,
        zero_threshold=point.zero_threshold,
        positive_offset=point.positive.offset,
        positive=list(point.positive.bucket_counts),
        negative_offset=point.negative.offset,
        negative=list(point.negative.bucket_counts),
        count=point.count,
        sum=point.sum if point.HasField("sum") else None,
    )


def read_summary(point: Any) -> Shaped:
    pairs = point.quantile_values
    quantiles = tuple([pair.quantile for pair in pairs])
    values = [pair.value for pair in pairs]
    return quantiles, Summary(values, point.sum, point.count, has_quantiles=bool(pairs))


READERS = {
    MetricKind.COUNTER: read_number,
    MetricKind.GAUGE: read_number,
    MetricKind.HISTOGRAM: read_histogram,
    MetricKind.EXP_HISTOGRAM: read_exponential,
    MetricKind.SUMMARY: read_summary,
}
