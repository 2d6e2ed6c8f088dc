"""Metrics in the text form of Fluent Bit's stdout, a line for each sample.

    2023-11-14T22:13:20.000000000Z hits{path="/a"} = 3

Label values stand in quotes as they are. Format of `cmt_encode_text.c`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tailrace.model.metrics import (
    SHOWN_ORDER,
    ExpHistogram,
    Histogram,
    Metric,
    MetricSet,
    Sample,
    Summary,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000


def encode(metrics: MetricSet) -> str:
    """All samples, each with its line feed."""
    return "".join(
        line(metrics, metric, sample)
        for metric in metrics.of_kind(*SHOWN_ORDER)
        for sample in metric.ordered()
    )


def line(metrics: MetricSet, metric: Metric, sample: Sample) -> str:
    """One sample."""
    pairs = [*metrics.static_labels.items(), *metric.label_pairs(sample)]
    labels = ",".join([f'{key}="{value}"' for key, value in pairs])
    labels = f"{{{labels}}}" if pairs else ""
    return (
        f"{time_text(sample.time_ns)} {metric.full_name}{labels} = {value_text(metric, sample)}\n"
    )


def time_text(time_ns: int) -> str:
    """RFC 3339 with nine digits; a time that has no such form is given in seconds."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    try:
        whole = EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"{seconds}.{nanoseconds:09d}"
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def value_text(metric: Metric, sample: Sample) -> str:
    """The value in the notation of its kind."""
    value = sample.value
    if isinstance(value, Histogram):
        bounds = [*(f"{bound:g}" for bound in metric.buckets), "+Inf"]
        buckets = ", ".join(
            [f"{bound}={count}" for bound, count in zip(bounds, value.counts, strict=False)]
        )
        return f"{{ buckets = {{ {buckets} }}, sum={value.sum:g}, count={value.count} }}"
    if isinstance(value, Summary):
        pairs = ", ".join(
            [f"{q:g}={at:g}" for q, at in zip(metric.quantiles, value.quantiles, strict=False)]
        )
        shown = f"{pairs} " if pairs else ""
        return f"{{ quantiles = {{ {shown}}}, sum={value.sum:g}, count={value.count} }}"
    if isinstance(value, ExpHistogram):
        total = "unset" if value.sum is None else f"{value.sum:.17g}"
        return (
            f"{{ scale={value.scale}, zero_count={value.zero_count}, "
            f"zero_threshold={value.zero_threshold:.17g}, "
            f"positive={{offset={value.positive_offset}, bucket_counts={value.positive}}}, "
            f"negative={{offset={value.negative_offset}, bucket_counts={value.negative}}}, "
            f"count={value.count}, sum={total} }}"
        )
    return f"{value:.17g}"
