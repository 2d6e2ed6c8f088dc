"""Turn cumulative counters and histograms into deltas: what was added since the sample before.

Gauges, sums that may fall, and what is a delta already stay as they are. The first sample of a series only begins it.

Example:
    Name          cumulative_to_delta
    Initial_value keep
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import orjson

from tailrace.config import Seconds, option
from tailrace.config.types import one_of
from tailrace.model import METRICS, Chunk
from tailrace.model.metrics import (
    Aggregation,
    ExpHistogram,
    Histogram,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    Value,
)
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin

SUMMED = (MetricKind.COUNTER, MetricKind.HISTOGRAM, MetricKind.EXP_HISTOGRAM)
SECOND = 1_000_000_000


class CumulativeToDeltaOptions(ProcessorOptions):
    initial_value: str = option("unset", reader=one_of("unset", "auto", "keep", "drop"))
    """The first sample of a series: drop, keep (as it is), auto (keep if the series began after this agent), unset: as `drop_first` says."""

    drop_first: bool = option(True)
    """Without `initial_value`: drop the first sample of a series."""

    drop_on_reset: bool = option(True)
    """Drop the sample in which a series began anew; off: its value is the delta."""

    max_staleness: Seconds = option(3600.0)
    """Forget series of which nothing came for this long; 0: never."""

    max_series: int = option(65536)
    """Most series to remember, the longest unseen go first; 0: any number."""


@dataclass(slots=True)
class Series:
    """The last sample of one series; `seen_ns` is by the agent's clock."""

    value: Value
    time_ns: int
    seen_ns: int


@processor_plugin("cumulative_to_delta")
class CumulativeToDelta(Processor[CumulativeToDeltaOptions]):
    handles = METRICS

    def __init__(self, options: CumulativeToDeltaOptions) -> None:
        super().__init__(options)
        self._series: OrderedDict[Any, Series] = OrderedDict()
        self._began_ns = self.context.clock.time_ns()
        self._first = options.initial_value
        if self._first == "unset":
            self._first = "drop" if options.drop_first else "keep"

    def process(self, chunk: Chunk) -> Chunk:
        metrics: MetricSet = chunk.payload
        now_ns = self.context.clock.time_ns()
        origin = orjson.dumps(metrics.external, default=str, option=orjson.OPT_NON_STR_KEYS)
        kept = []
        for metric in metrics.metrics:
            if is_cumulative(metric):
                key = (origin, metric.kind, metric.full_name)
                metric.samples = [
                    sample for sample in metric.samples if self._turn(metric, sample, key, now_ns)
                ]
                metric.aggregation = Aggregation.DELTA
            if metric.samples:
                kept.append(metric)
        self._forget(now_ns)
        metrics.metrics = kept
        chunk.count = 1 if kept else 0
        return chunk

    def _turn(self, metric: Metric, sample: Sample, key: Any, now_ns: int) -> bool:
        """Make a sample the difference to the one before; whether it stays."""
        series_key = (key, tuple(metric.label_pairs(sample)))
        known = self._series.get(series_key)
        current = Series(sample.value, sample.time_ns, now_ns)
        if known is None:
            self._series[series_key] = current
            return self._keeps_first(sample)
        if sample.time_ns <= known.time_ns:
            return False
        self._series[series_key] = current
        self._series.move_to_end(series_key)
        delta = difference(sample.value, known.value)
        if delta is None:
            if self.options.drop_on_reset:
                return False
            sample.start_ns = sample.time_ns if sample.start_ns is None else sample.start_ns
            return True
        sample.value, sample.start_ns = delta, known.time_ns
        return True

    def _keeps_first(self, sample: Sample) -> bool:
        if self._first == "auto":
            began = sample.time_ns if sample.start_ns is None else sample.start_ns
            return began >= self._began_ns
        return self._first == "keep"

    def _forget(self, now_ns: int) -> None:
        """Let go of series that are too many or too old; the longest unseen stand first."""
        series, options = self._series, self.options
        oldest_ns = now_ns - int(options.max_staleness * SECOND)
        while series:
            first = next(iter(series))
            too_many = 0 < options.max_series < len(series)
            too_old = options.max_staleness > 0 and series[first].seen_ns < oldest_ns
            if not too_many and not too_old:
                return
            del series[first]


def is_cumulative(metric: Metric) -> bool:
    return (
        metric.kind in SUMMED
        and metric.aggregation is Aggregation.CUMULATIVE
        and not metric.allow_reset
    )


def difference(now: Value, before: Value) -> Value | None:
    """What was added; None if the series began anew in between."""
    if isinstance(now, Histogram) and isinstance(before, Histogram):
        return histogram_difference(now, before)
    if isinstance(now, ExpHistogram) and isinstance(before, ExpHistogram):
        return exponential_difference(now, before)
    if isinstance(now, int | float) and isinstance(before, int | float) and now >= before:
        return now - before
    return None


def histogram_difference(now: Histogram, before: Histogram) -> Histogram | None:
    if len(now.counts) != len(before.counts) or now.count < before.count:
        return None
    counts = [a - b for a, b in zip(now.counts, before.counts, strict=True)]
    if min(counts, default=0) < 0:
        return None
    return Histogram(counts, now.sum - before.sum, now.count - before.count)


def exponential_difference(now: ExpHistogram, before: ExpHistogram) -> ExpHistogram | None:
    """Of histograms of one scale; a change of scale counts as a new beginning, since buckets no longer correspond."""
    if (
        now.scale != before.scale
        or now.zero_threshold != before.zero_threshold
        or now.count < before.count
        or now.zero_count < before.zero_count
    ):
        return None
    positive = bucket_difference(
        now.positive_offset, now.positive, before.positive_offset, before.positive
    )
    negative = bucket_difference(
        now.negative_offset, now.negative, before.negative_offset, before.negative
    )
    if positive is None or negative is None:
        return None
    total = None if now.sum is None or before.sum is None else now.sum - before.sum
    return ExpHistogram(
        now.scale,
        now.zero_count - before.zero_count,
        now.zero_threshold,
        now.positive_offset,
        positive,
        now.negative_offset,
        negative,
        now.count - before.count,
        total,
    )


def bucket_difference(
    offset: int, counts: list[int], offset_before: int, before: list[int]
) -> list[int] | None:
    """Counts by bucket less those before; None if one has fallen."""
    known = {offset_before + index: count for index, count in enumerate(before) if count}
    found = [count - known.pop(offset + index, 0) for index, count in enumerate(counts)]
    if known or min(found, default=0) < 0:
        return None
    return found
