"""Metrics in the MessagePack form in which Fluent Bit stores and forwards them (cmetrics, encoder version 2).

    {"meta": {"cmetrics": {}, "external": {}, "processing": {"static_labels": [[key, value]]}},
     "metrics": [{"meta": {"ver": 2, "type": 0, "opts": {...}, "labels": [key], ...}, "values": [...]}]}

Sums and quantiles of summaries, and sums of exponential histograms, are the bits of a double as an integer.
What OpenTelemetry says of a data point beside its value stands in the external metadata, under `otlp.metrics.KIND.NAME.datapoints`, by a
hash of the sample's labels and its time. Several sets may follow one another. What is read is not trusted: anything else is a `MetricsError`.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import Any

import msgpack

from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    Summary,
    Value,
)
from tailrace.wire.sets import as_float, as_int, as_list, as_map, as_text, read_sets

VERSION = 2
MOST_SAMPLES = 1_000_000
WRITTEN_ORDER = (
    MetricKind.COUNTER,
    MetricKind.GAUGE,
    MetricKind.UNTYPED,
    MetricKind.SUMMARY,
    MetricKind.HISTOGRAM,
    MetricKind.EXP_HISTOGRAM,
)
KIND_NAMES = {kind: kind.name.lower() for kind in MetricKind}
INTEGER_AS_SIGNED, INTEGER_AS_UNSIGNED = 1, 2


class MetricsError(ValueError):
    """Bytes that are no metrics; says what is wrong and where."""


# Writing


def encode(metrics: MetricSet) -> bytes:
    """One set."""
    static = [[key, value] for key, value in metrics.static_labels.items()]
    meta = {
        "cmetrics": metrics.internal,
        "external": _external(metrics),
        "processing": {"static_labels": static},
    }
    maps = [_metric_map(metric) for metric in metrics.of_kind(*WRITTEN_ORDER)]
    packed: bytes = msgpack.packb(
        {"meta": meta, "metrics": maps}, unicode_errors="surrogateescape", default=str
    )
    return packed


def _metric_map(metric: Metric) -> dict[str, Any]:
    kind = metric.kind
    meta: dict[str, Any] = {
        "ver": VERSION,
        "type": int(kind),
        "opts": {
            "ns": metric.namespace,
            "ss": metric.subsystem,
            "name": metric.name,
            "desc": metric.description,
            "unit": metric.unit,
        },
        "labels": list(metric.label_keys),
    }
    if kind is MetricKind.HISTOGRAM:
        meta["buckets"] = [float(bound) for bound in metric.buckets]
    if kind in (MetricKind.HISTOGRAM, MetricKind.EXP_HISTOGRAM, MetricKind.COUNTER):
        meta["aggregation_type"] = int(metric.aggregation)
    if kind is MetricKind.SUMMARY:
        meta["quantiles"] = [float(quantile) for quantile in metric.quantiles]
    name = metric.full_name
    return {"meta": meta, "values": [_sample_map(name, sample) for sample in metric.ordered()]}


def _external(metrics: MetricSet) -> dict[str, Any]:
    """The external metadata, with what is told of data points."""
    told: dict[str, Any] = {}
    for metric in metrics.metrics:
        points = {
            f"{_hash(metric.full_name, sample):x}:{sample.time_ns}": {
                "start_time_unix_nano": sample.start_ns or 0,
                **sample.told,
            }
            for sample in metric.samples
            if sample.told
        }
        if points:
            told.setdefault(KIND_NAMES[metric.kind], {})[metric.full_name] = points
    if not told:
        return metrics.external
    made = dict(metrics.external)
    otlp = made["otlp"] = dict(_map_or_empty(made.get("otlp")))
    kinds = otlp["metrics"] = dict(_map_or_empty(otlp.get("metrics")))
    for kind, by_name in told.items():
        names = kinds[kind] = dict(_map_or_empty(kinds.get(kind)))
        for name, points in by_name.items():
            names[name] = {**_map_or_empty(names.get(name)), "datapoints": points}
    return made


def _hash(name: str, sample: Sample) -> int:
    """64 bits for a sample's labels; 0 for none, as in CMetrics. Any hash does: readers take that of the sample."""
    if not sample.labels:
        return 0
    labels = "\0".join([value or "" for value in sample.labels])
    text = f"{name}\0{labels}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def _map_or_empty(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _sample_map(name: str, sample: Sample) -> dict[str, Any]:
    made: dict[str, Any] = {"ts": sample.time_ns}
    if sample.start_ns is not None:
        made["start_ts"] = sample.start_ns
    value = sample.value
    if isinstance(value, Histogram):
        made["histogram"] = {
            "buckets": value.counts,
            "sum": float(value.sum),
            "count": value.count,
        }
    elif isinstance(value, ExpHistogram):
        made["exp_histogram"] = {
            "scale": value.scale,
            "zero_count": value.zero_count,
            "zero_threshold": float(value.zero_threshold),
            "positive_offset": value.positive_offset,
            "positive_buckets": value.positive,
            "negative_offset": value.negative_offset,
            "negative_buckets": value.negative,
            "count": value.count,
            "sum_set": int(value.sum is not None),
            "sum": bits_of(0.0 if value.sum is None else value.sum),
        }
    elif isinstance(value, Summary):
        made["summary"] = {
            "quantiles_set": int(value.has_quantiles),
            "quantiles": [bits_of(each) for each in value.quantiles],
            "count": value.count,
            "sum": bits_of(value.sum),
        }
    else:
        made["value"] = float(value)
        if isinstance(value, int):
            _add_exact(made, value)
    if sample.labels:
        made["labels"] = list(sample.labels)
    made["hash"] = _hash(name, sample) if sample.told else 0
    return made


def _add_exact(made: dict[str, Any], value: int) -> None:
    """An integer, beside its double."""
    if -(1 << 63) <= value < 1 << 63:
        made["value_type"], made["value_int64"] = INTEGER_AS_SIGNED, value
    elif 0 <= value < 1 << 64:
        made["value_type"], made["value_uint64"] = INTEGER_AS_UNSIGNED, value


def bits_of(value: float) -> int:
    return int.from_bytes(struct.pack(">d", value), "big")


def of_bits(bits: int) -> float:
    return float(struct.unpack(">d", (bits & (1 << 64) - 1).to_bytes(8, "big"))[0])


# Reading


def decode(data: bytes) -> list[MetricSet]:
    """All sets that the bytes hold."""
    return read_sets(data, "metrics", _read_set, MetricsError)


def _read_set(value: Any) -> MetricSet:
    top = as_map(value, "metrics")
    meta = as_map(top.get("meta", {}), "meta")
    processing = as_map(meta.get("processing", {}), "processing")
    static = {
        as_text(pair[0], "label"): as_text(pair[1], "label")
        for pair in as_list(processing.get("static_labels", []), "static_labels")
        if len(as_list(pair, "static label")) == 2
    }
    made = MetricSet(
        static_labels=static,
        internal=as_map(meta.get("cmetrics", {}), "cmetrics"),
        external=as_map(meta.get("external", {}), "external"),
    )
    count = 0
    told = _map_or_empty(_map_or_empty(made.external.get("otlp")).get("metrics"))
    for each in as_list(top.get("metrics", []), "metrics"):
        metric = _read_metric(as_map(each, "metric"), told)
        count += len(metric.samples)
        if count > MOST_SAMPLES:
            raise ValueError(f"more than {MOST_SAMPLES} samples")
        made.metrics.append(metric)
    for by_name in told.values():
        for each in _map_or_empty(by_name).values():
            _map_or_empty(each).pop("datapoints", None)  # they are the samples' own now
    return made


def _read_metric(value: dict[str, Any], told: dict[str, Any]) -> Metric:
    meta = as_map(value.get("meta", {}), "meta")
    opts = as_map(meta.get("opts", {}), "opts")
    metric = Metric(
        MetricKind(as_int(meta.get("type", 0), "type")),
        as_text(opts.get("name", ""), "name"),
        as_text(opts.get("desc", ""), "desc"),
        tuple(as_text(key, "label") for key in as_list(meta.get("labels", []), "labels")),
        as_text(opts.get("ns", ""), "ns"),
        as_text(opts.get("ss", ""), "ss"),
        as_text(opts.get("unit", ""), "unit"),
        Aggregation(as_int(meta.get("aggregation_type", 0), "aggregation_type")),
        tuple(as_float(each, "bucket") for each in as_list(meta.get("buckets", []), "buckets")),
        tuple(
            as_float(each, "quantile") for each in as_list(meta.get("quantiles", []), "quantiles")
        ),
    )
    known = _map_or_empty(_map_or_empty(told.get(KIND_NAMES[metric.kind])).get(metric.full_name))
    points = _map_or_empty(known.get("datapoints"))
    for each in as_list(value.get("values", []), "values"):
        sample = _read_sample(metric, as_map(each, "value"))
        if points:
            key = f"{as_int(each.get('hash', 0), 'hash'):x}:{sample.time_ns}"
            sample.told = _read_told(_map_or_empty(points.get(key)))
        metric.samples.append(sample)
    return metric


def _read_told(point: dict[str, Any]) -> dict[str, Any] | None:
    """What is worth keeping of what is told of a data point; None if nothing is."""
    kept = ("min", "max", "exemplars")
    made: dict[str, Any] = {key: point[key] for key in kept if key in point}
    if point.get("flags"):
        made["flags"] = point["flags"]
    if point.get("has_sum") is False:
        made["has_sum"] = False
    return made or None


def _read_sample(metric: Metric, value: dict[str, Any]) -> Sample:
    labels = tuple(
        None if each is None else as_text(each, "label")
        for each in as_list(value.get("labels", []), "labels")
    )
    start = value.get("start_ts")
    return Sample(
        labels,
        _read_value(metric, value),
        as_int(value.get("ts", 0), "ts"),
        None if start is None else as_int(start, "start_ts"),
    )


def _read_value(metric: Metric, value: dict[str, Any]) -> Value:
    if metric.kind is MetricKind.HISTOGRAM:
        shape = as_map(value.get("histogram", {}), "histogram")
        counts = _counts(shape, "buckets")
        if len(counts) != len(metric.buckets) + 1:
            raise ValueError(f"{len(counts)} counts for {len(metric.buckets)} buckets and +Inf")
        return Histogram(
            counts, as_float(shape.get("sum", 0.0), "sum"), as_int(shape.get("count", 0), "count")
        )
    if metric.kind is MetricKind.SUMMARY:
        shape = as_map(value.get("summary", {}), "summary")
        return Summary(
            [of_bits(each) for each in _counts(shape, "quantiles")],
            of_bits(as_int(shape.get("sum", 0), "sum")),
            as_int(shape.get("count", 0), "count"),
            bool(shape.get("quantiles_set", 0)),
        )
    if metric.kind is MetricKind.EXP_HISTOGRAM:
        return _read_exp_histogram(as_map(value.get("exp_histogram", {}), "exp_histogram"))
    for exact in ("value_int64", "value_uint64"):
        if exact in value:
            return as_int(value[exact], exact)
    return as_float(value.get("value", 0.0), "value")


def _read_exp_histogram(shape: dict[str, Any]) -> ExpHistogram:
    return ExpHistogram(
        as_int(shape.get("scale", 0), "scale"),
        as_int(shape.get("zero_count", 0), "zero_count"),
        as_float(shape.get("zero_threshold", 0.0), "zero_threshold"),
        as_int(shape.get("positive_offset", 0), "positive_offset"),
        _counts(shape, "positive_buckets"),
        as_int(shape.get("negative_offset", 0), "negative_offset"),
        _counts(shape, "negative_buckets"),
        as_int(shape.get("count", 0), "count"),
        of_bits(as_int(shape.get("sum", 0), "sum")) if shape.get("sum_set") else None,
    )


def _counts(shape: dict[str, Any], key: str) -> list[int]:
    return [as_int(each, key) for each in as_list(shape.get(key, []), key)]
