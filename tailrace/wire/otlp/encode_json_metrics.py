"""Metrics as OTLP's `ExportMetricsServiceRequest` in JSON. Resources and scopes are found as for protobuf (`encode_metrics`)."""

from __future__ import annotations

from collections.abc import Sequence

from tailrace.model import Body
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
from tailrace.wire.otlp.encode_json import as_text, key_values, with_attributes, with_given
from tailrace.wire.otlp.encode_metrics import (
    ORDER,
    PLACES,
    as_list,
    as_map,
    metadata_of,
    resources_of,
    scope_number,
    url_of,
    whole,
)


def metrics_json(metrics: MetricSet, pretty: bool = False) -> bytes:
    """All metrics that have samples as one request."""
    static = list(metrics.static_labels.items())
    resources = resources_of(metrics.external)
    scopes = [scope for resource in resources for scope in resource["scopes"]]
    made: list[list[Body]] = [[] for _ in scopes]
    for metric in metrics.of_kind(*ORDER):
        if metric.samples:
            told = metadata_of(metrics.external, metric)
            content = metric_of(metric, static)
            rest = {key: value for key, value in told.items() if key not in PLACES}
            if rest:
                content["metadata"] = key_values(rest.items())
            made[scope_number(told, resources)].append(content)
    contents = iter(made)
    document = [
        with_given(
            {
                "resource": described(as_map(resource.get("resource"))),
                "scopeMetrics": [
                    with_given(
                        {"scope": described(as_map(scope.get("scope"))), "metrics": next(contents)},
                        schemaUrl=url_of(scope.get("scope_metrics")),
                    )
                    for scope in resource["scopes"]
                ],
            },
            schemaUrl=url_of(resource.get("resource_metrics")),
        )
        for resource in resources
    ]
    return as_text({"resourceMetrics": document}, pretty)


def described(given: Body) -> Body:
    """A resource or scope."""
    metadata = as_map(given.get("metadata"))
    made: Body = {}
    for name in ("name", "version"):
        if type(metadata.get(name)) is str:
            made[name] = metadata[name]
    dropped = whole(metadata.get("dropped_attributes_count"))
    return with_attributes(made, as_map(given.get("attributes")), dropped)


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
    told = sample.told or {}
    labels = [*metric.label_pairs(sample), *static]
    if labels:
        point["attributes"] = key_values(labels)
    if sample.start_ns:
        point["startTimeUnixNano"] = str(sample.start_ns)
    point["timeUnixNano"] = str(sample.time_ns)
    match sample.value:
        case Histogram() as value:
            point["count"] = str(value.count)
            if "has_sum" not in told:
                point["sum"] = value.sum
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
    return point | told_of(told)


def told_of(told: Body) -> Body:
    """What is said of a data point beside its value (`Sample.told`)."""
    made: Body = {name: told[name] for name in ("flags", "min", "max") if name in told}
    exemplars = [exemplar(as_map(each)) for each in as_list(told.get("exemplars"))]
    if exemplars:
        made["exemplars"] = exemplars
    return made


def exemplar(given: Body) -> Body:
    made: Body = {}
    if whole(given.get("time_unix_nano")):
        made["timeUnixNano"] = str(given["time_unix_nano"])
    for name, key in (("spanId", "span_id"), ("traceId", "trace_id")):
        if type(given.get(key)) is bytes:
            made[name] = given[key].hex()
    if type(given.get("as_double")) in (int, float):
        made["asDouble"] = float(given["as_double"])
    elif type(given.get("as_int")) is int:
        made["asInt"] = str(given["as_int"])
    attributes = as_map(given.get("filtered_attributes"))
    if attributes:
        made["filteredAttributes"] = key_values(attributes.items())
    return made


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
