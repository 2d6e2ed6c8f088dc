"""Metrics in Prometheus' text format, version 0.0.4.

Source: prometheus.io, "Exposition formats". Bounds are written as Fluent Bit writes them (`1.0`, not `1`). Names are made of what Prometheus
allows in them, as OpenTelemetry's "Prometheus compatibility" wants it: one dot in a name, and a server refuses all metrics there are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isfinite

from tailrace.model.metrics import (
    SHOWN_ORDER,
    ExpHistogram,
    Histogram,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    Summary,
)

CONTENT_TYPE = "text/plain; version=0.0.4"
TYPES = {
    MetricKind.COUNTER: "counter",
    MetricKind.GAUGE: "gauge",
    MetricKind.HISTOGRAM: "histogram",
    MetricKind.EXP_HISTOGRAM: "histogram",
    MetricKind.SUMMARY: "summary",
    MetricKind.UNTYPED: "untyped",
}


def encode(metrics: MetricSet, with_time: bool = False) -> str:
    """All metrics; `with_time` gives each sample its time in milliseconds. A metric without samples is left out."""
    static = [label(key, value) for key, value in metrics.static_labels.items()]
    parts: list[str] = []
    for metric in metrics.of_kind(*SHOWN_ORDER):
        if metric.samples:
            parts.append(head(metric))
            for sample in metric.ordered():
                _add_sample(parts, metric, sample, static, with_time)
    return "".join(parts)


def head(metric: Metric) -> str:
    """HELP and TYPE. A description of one space stands for none."""
    name = metric_name(metric.full_name)
    told = "" if metric.description == " " else f" {escape(metric.description)}"
    return f"# HELP {name}{told}\n# TYPE {name} {TYPES[metric.kind]}\n"


NOT_IN_METRIC = re.compile(r"[^a-zA-Z0-9_:]")
NOT_IN_LABEL = re.compile(r"[^a-zA-Z0-9_]")


@lru_cache(maxsize=4096)
def metric_name(name: str) -> str:
    """A metric's name with `_` for what may not stand in it."""
    made = NOT_IN_METRIC.sub("_", name)
    return f"_{made}" if not made or made[0].isdigit() else made


@lru_cache(maxsize=4096)
def label_name(key: str) -> str:
    """As `metric_name`, for the key of a label."""
    made = NOT_IN_LABEL.sub("_", key)
    return f"_{made}" if not made or made[0].isdigit() else made


def escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def label(key: str, value: str) -> str:
    value = escape(value).replace('"', '\\"')
    return f'{label_name(key)}="{value}"'


def labels_of(metric: Metric, sample: Sample) -> list[str]:
    """The labels of a sample; values of keys that become the same are joined, since a key may stand there once."""
    pairs = dict(metric.label_pairs(sample))
    if len({label_name(key) for key in pairs}) < len(pairs):
        joined: dict[str, str] = {}
        for key, text in sorted(pairs.items()):
            name = label_name(key)
            joined[name] = f"{joined[name]};{text}" if name in joined else text
        pairs = joined
    return [label(key, text) for key, text in pairs.items()]


def bound_text(bound: float) -> str:
    """A bound or quantile: short where that is exact, with a point if it is a plain whole number."""
    text = f"{bound:g}"
    if float(text) != bound or "e" in text:
        text = f"{bound:.17g}"
    if isfinite(bound) and "." not in text and "e" not in text:
        text += ".0"
    return text


def _add_sample(
    parts: list[str], metric: Metric, sample: Sample, static: list[str], with_time: bool
) -> None:
    name, value = metric_name(metric.full_name), sample.value
    labels = [*static, *labels_of(metric, sample)]
    end = f" {sample.time_ns // 1_000_000}\n" if with_time else "\n"

    def add(suffix: str, number: float, first: str = "") -> None:
        shown = ",".join([first, *labels] if first else labels)
        braces = f"{{{shown}}}" if shown else ""
        parts.append(f"{name}{suffix}{braces} {number:.17g}{end}")

    if isinstance(value, ExpHistogram):
        try:
            bounds, histogram = value.to_explicit()
        except ValueError:
            return
        _add_histogram(add, bounds, histogram, value.sum is not None)
    elif isinstance(value, Histogram):
        _add_histogram(add, metric.buckets, value, True)
    elif isinstance(value, Summary):
        if value.has_quantiles:
            for quantile, at in zip(metric.quantiles, value.quantiles, strict=False):
                add("", at, f'quantile="{bound_text(quantile)}"')
        add("_sum", value.sum)
        add("_count", value.count)
    else:
        add("", value)


def _add_histogram(
    add: Callable[..., None], bounds: Sequence[float], value: Histogram, with_sum: bool
) -> None:
    for bound, count in zip([*map(bound_text, bounds), "+Inf"], value.counts, strict=False):
        add("_bucket", count, f'le="{bound}"')
    if with_sum:
        add("_sum", value.sum)
    add("_count", value.count)
