"""Metrics as OTLP `ExportMetricsServiceRequest` in protobuf.

Resources and scopes are those that the set carries in `external`, in CMetrics' form: one resource and scope at the top, or a
`resource_metrics_list` of resources with a `scope_metrics_list` each, and with every metric the number of its scope
(`otlp.metrics.KIND.NAME.metadata.scope_flat_index`).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Any

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
from tailrace.wire.otlp.protobuf import (
    double,
    fixed64,
    key_values,
    message,
    pack_double,
    pack_fixed64,
    sized,
    text,
    text_pairs,
    uint,
    varint,
    zigzag,
)

MASK = 0xFFFF_FFFF_FFFF_FFFF
PLACES = frozenset({"scope_flat_index", "resource_index", "scope_index"})
"""Of a metric's metadata: which scope it belongs to."""

ORDER = (
    MetricKind.COUNTER,
    MetricKind.GAUGE,
    MetricKind.UNTYPED,
    MetricKind.SUMMARY,
    MetricKind.HISTOGRAM,
    MetricKind.EXP_HISTOGRAM,
)
KIND_NAMES = {
    MetricKind.COUNTER: "counter",
    MetricKind.GAUGE: "gauge",
    MetricKind.UNTYPED: "untyped",
    MetricKind.SUMMARY: "summary",
    MetricKind.HISTOGRAM: "histogram",
    MetricKind.EXP_HISTOGRAM: "exp_histogram",
}
DATA_TAGS = {
    MetricKind.COUNTER: b"\x3a",
    MetricKind.GAUGE: b"\x2a",
    MetricKind.UNTYPED: b"\x2a",
    MetricKind.SUMMARY: b"\x5a",
    MetricKind.HISTOGRAM: b"\x4a",
    MetricKind.EXP_HISTOGRAM: b"\x52",
}

LABEL_TAGS = {MetricKind.HISTOGRAM: b"\x4a", MetricKind.EXP_HISTOGRAM: b"\x0a"}
"""Of the labels in a data point; the other kinds have 3A."""


def encode_metrics(metrics: MetricSet, labels: Sequence[tuple[str, str]] = ()) -> bytes:
    """All metrics that have samples as one request; `labels` are added to each sample, before its own."""
    given = [*metrics.static_labels.items(), *labels]
    statics = {kind: text_pairs(LABEL_TAGS.get(kind, b"\x3a"), given) for kind in MetricKind}
    resources = resources_of(metrics.external)
    scopes = [scope for resource in resources for scope in as_list(resource.get("scopes"))]
    made: list[list[bytes]] = [[] for _ in scopes]
    for metric in metrics.of_kind(*ORDER):
        if metric.samples:
            metadata = metadata_of(metrics.external, metric)
            number = scope_number(metadata, resources)
            content = metric_of(metric, statics[metric.kind])
            content += key_values(
                b"\x62", {key: value for key, value in metadata.items() if key not in PLACES}
            )
            made[number].append(message(b"\x12", content))
    contents = iter(made)
    return b"".join(
        [
            message(
                b"\x0a",
                b"".join(
                    (
                        resource_of(as_map(resource.get("resource"))),
                        *[
                            message(b"\x12", scope_metrics(scope, next(contents)))
                            for scope in as_list(resource.get("scopes"))
                        ],
                        text(b"\x1a", url_of(resource.get("resource_metrics"))),
                    )
                ),
            )
            for resource in resources
        ]
    )


def as_map(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def as_list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0


# Where metrics belong


def resources_of(external: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources, at least one, each with its `scopes`, at least one."""
    listed = [as_map(each) for each in as_list(external.get("resource_metrics_list"))]
    resources = []
    for resource in listed or [external]:
        scopes = [as_map(each) for each in as_list(resource.get("scope_metrics_list"))]
        resources.append({**resource, "scopes": scopes or [resource]})
    return resources


def metadata_of(external: dict[str, Any], metric: Metric) -> dict[str, Any]:
    """What is said of a metric beside its samples."""
    kinds = as_map(as_map(external.get("otlp")).get("metrics"))
    known = as_map(as_map(kinds.get(KIND_NAMES[metric.kind])).get(metric.full_name))
    return as_map(known.get("metadata"))


def scope_number(told: dict[str, Any], resources: Sequence[dict[str, Any]]) -> int:
    """Which of all scopes a metric belongs to, by its metadata; the first if nothing is said of it."""
    counts = [len(resource["scopes"]) for resource in resources]
    number = told.get("scope_flat_index")
    if type(number) is not int:
        resource, scope = told.get("resource_index"), told.get("scope_index")
        if type(resource) is not int or type(scope) is not int:
            return 0
        if not (0 <= resource < len(counts) and 0 <= scope < counts[resource]):
            return 0
        number = sum(counts[:resource]) + scope
    return number if 0 <= number < sum(counts) else 0


def resource_of(resource: dict[str, Any]) -> bytes:
    """The field of a resource; nothing if nothing is known of it."""
    attributes, metadata = as_map(resource.get("attributes")), as_map(resource.get("metadata"))
    if not attributes and not metadata:
        return b""
    content = key_values(b"\x0a", attributes)
    return message(
        b"\x0a", content + uint(b"\x10", whole(metadata.get("dropped_attributes_count")))
    )


def scope_metrics(scope: dict[str, Any], metrics: Sequence[bytes]) -> bytes:
    return b"".join(
        (
            scope_of(as_map(scope.get("scope"))),
            *metrics,
            text(b"\x1a", url_of(scope.get("scope_metrics"))),
        )
    )


def scope_of(scope: dict[str, Any]) -> bytes:
    attributes, metadata = as_map(scope.get("attributes")), as_map(scope.get("metadata"))
    if not attributes and not metadata:
        return b""
    name, version = metadata.get("name"), metadata.get("version")
    return message(
        b"\x0a",
        b"".join(
            (
                text(b"\x0a", name if type(name) is str else None),
                text(b"\x12", version if type(version) is str else None),
                key_values(b"\x1a", attributes),
                uint(b"\x20", whole(metadata.get("dropped_attributes_count"))),
            )
        ),
    )


def url_of(part: Any) -> str | None:
    url = as_map(as_map(part).get("metadata")).get("schema_url")
    return url if type(url) is str else None


# Metrics


def metric_of(metric: Metric, static: bytes) -> bytes:
    """The content of one `Metric`; `static` are the encoded labels of all samples."""
    points = b"".join(
        [message(b"\x0a", data_point(metric, sample, static)) for sample in metric.ordered()]
    )
    match metric.kind:
        case MetricKind.COUNTER:
            points += uint(b"\x10", temporality(metric)) + uint(b"\x18", not metric.allow_reset)
        case MetricKind.HISTOGRAM | MetricKind.EXP_HISTOGRAM:
            points += uint(b"\x10", temporality(metric))
    return b"".join(
        (
            text(b"\x0a", metric.full_name),
            text(b"\x12", metric.description),
            text(b"\x1a", metric.unit),
            DATA_TAGS[metric.kind],
            sized(points),
        )
    )


def temporality(metric: Metric) -> int:
    return int(metric.aggregation or Aggregation.CUMULATIVE)


def data_point(metric: Metric, sample: Sample, static: bytes) -> bytes:
    """The content of a data point of any kind."""
    times = fixed64(b"\x11", sample.start_ns or 0) + fixed64(b"\x19", sample.time_ns)
    if sample.told:
        times += told(metric.kind, sample.told)
    pairs = metric.label_pairs(sample)
    match sample.value:
        case Histogram() as value:
            content = histogram(
                value, metric.buckets, not sample.told or "has_sum" not in sample.told
            )
            return times + content + static + text_pairs(b"\x4a", pairs)
        case Summary() as value:
            return times + summary(value, metric.quantiles) + static + text_pairs(b"\x3a", pairs)
        case ExpHistogram() as value:
            return static + text_pairs(b"\x0a", pairs) + times + exponential(value)
        case number:
            return times + numeric(number) + static + text_pairs(b"\x3a", pairs)


def numeric(number: int | float) -> bytes:
    """A number; an integer of more than 64 bits with its sign goes as a double."""
    if type(number) is int and -(2**63) <= number < 2**63:
        return b"\x31" + pack_fixed64(number & MASK)
    return b"\x21" + pack_double(number)


TOLD_TAGS: dict[MetricKind, tuple[bytes, bytes, bytes, bytes]] = {
    MetricKind.HISTOGRAM: (b"\x50", b"\x42", b"\x59", b"\x61"),
    MetricKind.EXP_HISTOGRAM: (b"\x50", b"\x5a", b"\x61", b"\x69"),
}
"""Of flags, exemplars, min and max in a data point; the other kinds have but the first two."""
NUMBER_TAGS = (b"\x40", b"\x2a", b"", b"")


def told(kind: MetricKind, given: dict[str, Any]) -> bytes:
    """The fields of what is said of a data point beside its value (`Sample.told`)."""
    flags, exemplars, least, most = TOLD_TAGS.get(kind, NUMBER_TAGS)
    parts = [uint(flags, whole(given.get("flags")))]
    if kind is not MetricKind.SUMMARY:
        parts += [
            message(exemplars, exemplar(as_map(each))) for each in as_list(given.get("exemplars"))
        ]
    if kind in TOLD_TAGS:
        for tag, name in ((least, "min"), (most, "max")):
            if type(number := given.get(name)) in (int, float):
                parts.append(tag + pack_double(number))
    return b"".join(parts)


def exemplar(given: dict[str, Any]) -> bytes:
    """The content of an `Exemplar`."""
    parts = [fixed64(b"\x11", whole(given.get("time_unix_nano")))]
    as_double, as_int = given.get("as_double"), given.get("as_int")
    if type(as_double) in (int, float):
        parts.append(b"\x19" + pack_double(as_double))
    elif type(as_int) is int:
        parts.append(b"\x31" + pack_fixed64(as_int & MASK))
    for tag, name in ((b"\x22", "span_id"), (b"\x2a", "trace_id")):
        if type(identifier := given.get(name)) is bytes:
            parts.append(message(tag, identifier))
    parts.append(key_values(b"\x3a", as_map(given.get("filtered_attributes"))))
    return b"".join(parts)


def histogram(value: Histogram, bounds: Sequence[float], has_sum: bool) -> bytes:
    counts = [max(0, n - low) for n, low in zip(value.counts, [0, *value.counts[:-1]], strict=True)]
    return b"".join(
        (
            fixed64(b"\x21", value.count),
            b"\x29" + pack_double(value.sum) if has_sum else b"",
            packed(b"\x32", "Q", counts),
            packed(b"\x3a", "d", bounds),
        )
    )


def packed(tag: bytes, kind: str, numbers: Sequence[float]) -> bytes:
    return message(tag, pack(f"<{len(numbers)}{kind}", *numbers)) if numbers else b""


def summary(value: Summary, quantiles: Sequence[float]) -> bytes:
    pairs = zip(quantiles, value.quantiles, strict=False) if value.has_quantiles else ()
    return b"".join(
        (
            fixed64(b"\x21", value.count),
            double(b"\x29", value.sum),
            *[
                message(b"\x32", double(b"\x09", quantile) + double(b"\x11", number))
                for quantile, number in pairs
            ],
        )
    )


def exponential(value: ExpHistogram) -> bytes:
    return b"".join(
        (
            fixed64(b"\x21", value.count),
            b"\x29" + pack_double(value.sum) if value.sum is not None else b"",
            b"\x30" + zigzag(value.scale) if value.scale else b"",
            fixed64(b"\x39", value.zero_count),
            buckets(b"\x42", value.positive_offset, value.positive),
            buckets(b"\x4a", value.negative_offset, value.negative),
            double(b"\x71", value.zero_threshold),
        )
    )


def buckets(tag: bytes, offset: int, counts: Sequence[int]) -> bytes:
    if not counts:
        return b""
    content = b"\x08" + zigzag(offset) if offset else b""
    return message(tag, content + message(b"\x12", b"".join([varint(count) for count in counts])))
