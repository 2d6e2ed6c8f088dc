"""Metrics: counters, gauges, histograms, exponential histograms, summaries and untyped values with labels.

A chunk of metrics (`kind` METRICS) carries one `MetricSet` as its payload and counts as one event, as in Fluent Bit.
Names consist of namespace, subsystem and name, joined by underscores. Times are nanoseconds since the epoch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from tailrace.model.chunk import METRICS, Chunk

Labels = tuple[str | None, ...]
"""Values of a metric's label keys, in their order; None where a sample has not that label."""

DEFAULT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BYTES_PER_SAMPLE = 64


class MetricKind(IntEnum):
    """What a metric is; the numbers are cmetrics' own."""

    COUNTER = 0
    GAUGE = 1
    HISTOGRAM = 2
    SUMMARY = 3
    UNTYPED = 4
    EXP_HISTOGRAM = 5


class Aggregation(IntEnum):
    """Whether values count from a start (cumulative) or since the sample before (delta)."""

    UNSPECIFIED = 0
    DELTA = 1
    CUMULATIVE = 2


@dataclass(slots=True)
class Histogram:
    """Observations by upper bound. `counts` are cumulative, the last one is that of +Inf."""

    counts: list[int]
    sum: float = 0.0
    count: int = 0


@dataclass(slots=True)
class Summary:
    """Values at the metric's quantiles; `has_quantiles` is False when only sum and count are known."""

    quantiles: list[float]
    sum: float = 0.0
    count: int = 0
    has_quantiles: bool = True


@dataclass(slots=True)
class ExpHistogram:
    """Observations in buckets that grow by 2 ** (2 ** -scale), as OpenTelemetry defines them; counts are per bucket."""

    scale: int = 0
    zero_count: int = 0
    zero_threshold: float = 0.0
    positive_offset: int = 0
    positive: list[int] = field(default_factory=list)
    negative_offset: int = 0
    negative: list[int] = field(default_factory=list)
    count: int = 0
    sum: float | None = None

    def to_explicit(self) -> tuple[list[float], Histogram]:
        """Upper bounds and a histogram of the same observations; `ValueError` if the scale is beyond floats."""
        try:
            base = 2.0 ** (2.0**-self.scale)
            below = [-(base ** (self.negative_offset + n)) for n in range(len(self.negative))]
            above = [base ** (self.positive_offset + n + 1) for n in range(len(self.positive))]
        except OverflowError as error:
            raise ValueError(
                f"an exponential histogram of scale {self.scale} has no bounds"
            ) from error
        if base <= 1.0:
            raise ValueError(f"an exponential histogram of scale {self.scale} has no bounds")
        bounds, counts, total = [], [], 0
        for bound, number in zip(reversed(below), reversed(self.negative), strict=True):
            total += number
            bounds.append(bound)
            counts.append(total)
        lonely = bool(self.negative) == bool(self.positive)
        if self.zero_count or self.zero_threshold > 0 or lonely:
            if self.zero_threshold > 0:
                bounds.append(-self.zero_threshold)
                counts.append(total)
            total += self.zero_count
            bounds.append(0.0)
            counts.append(total)
            if self.zero_threshold > 0:
                bounds.append(self.zero_threshold)
                counts.append(total)
        for bound, number in zip(above, self.positive, strict=True):
            total += number
            bounds.append(bound)
            counts.append(total)
        counts.append(max(self.count, total))
        return bounds, Histogram(counts, self.sum or 0.0, counts[-1])


Value = int | float | Histogram | Summary | ExpHistogram
"""An integer stays one on its way (OTLP's `asInt`); what the agent counts itself is a float, as in CMetrics."""


@dataclass(slots=True)
class Sample:
    """One value at one time; a number, or what the metric's kind has instead."""

    labels: Labels
    value: Value
    time_ns: int
    start_ns: int | None = None
    """Since when a cumulative value counts, where that is known."""
    told: dict[str, Any] | None = None
    """What OpenTelemetry says of a data point beside its value, by CMetrics' names: `flags`, `min`, `max`, `has_sum` (False), `exemplars`."""


@dataclass(slots=True)
class Metric:
    """One metric with all its samples."""

    kind: MetricKind
    name: str
    description: str = ""
    label_keys: tuple[str, ...] = ()
    namespace: str = ""
    subsystem: str = ""
    unit: str = ""
    aggregation: Aggregation = Aggregation.UNSPECIFIED
    buckets: tuple[float, ...] = ()
    """Histograms: the upper bounds without +Inf."""
    quantiles: tuple[float, ...] = ()
    """Summaries: from 0 to 1."""
    samples: list[Sample] = field(default_factory=list)
    allow_reset: bool = False
    """Counters: whether it may fall (an OpenTelemetry sum that is not monotonic)."""
    _index: dict[Labels, Sample] = field(default_factory=dict, repr=False, compare=False)

    @property
    def full_name(self) -> str:
        """Namespace, subsystem and name as others see it."""
        return "_".join(part for part in (self.namespace, self.subsystem, self.name) if part)

    def set(self, value: Value, time_ns: int, labels: Sequence[str | None] = ()) -> Sample:
        """Give the sample of these labels a value; it is made if need be."""
        sample = self._sample(tuple(labels), time_ns)
        sample.value = value
        return sample

    def add(self, amount: float, time_ns: int, labels: Sequence[str | None] = ()) -> Sample:
        """Count `amount` more."""
        sample = self._sample(tuple(labels), time_ns)
        assert isinstance(sample.value, int | float)
        sample.value += amount
        return sample

    def observe(self, value: float, time_ns: int, labels: Sequence[str | None] = ()) -> Sample:
        """Count an observation in a histogram."""
        sample = self._sample(tuple(labels), time_ns)
        histogram = sample.value
        assert isinstance(histogram, Histogram)
        for index in range(bisect_left(self.buckets, value), len(histogram.counts)):
            histogram.counts[index] += 1
        histogram.sum += value
        histogram.count += 1
        return sample

    def find(self, labels: Sequence[str | None] = ()) -> Sample | None:
        """The sample of these labels."""
        if len(self._index) != len(self.samples):
            self._index = {sample.labels: sample for sample in self.samples}
        return self._index.get(tuple(labels))

    def _sample(self, labels: Labels, time_ns: int) -> Sample:
        sample = self.find(labels)
        if sample is None:
            sample = Sample(labels, self._zero(), time_ns)
            self.samples.append(sample)
            self._index[labels] = sample
        sample.time_ns = time_ns
        return sample

    def _zero(self) -> Value:
        if self.kind is MetricKind.HISTOGRAM:
            return Histogram([0] * (len(self.buckets) + 1))
        if self.kind is MetricKind.SUMMARY:
            return Summary([0.0] * len(self.quantiles), has_quantiles=False)
        if self.kind is MetricKind.EXP_HISTOGRAM:
            return ExpHistogram()
        return 0.0

    def label_pairs(self, sample: Sample) -> Iterator[tuple[str, str]]:
        """Keys and values of the labels that a sample has."""
        for key, value in zip(self.label_keys, sample.labels, strict=False):
            if value is not None:
                yield key, value

    def ordered(self) -> list[Sample]:
        """The samples as encoders give them: that without labels first."""
        return sorted(self.samples, key=lambda sample: bool(sample.labels))


@dataclass(slots=True)
class MetricSet:
    """Metrics that belong together; `static_labels` hold for all samples."""

    metrics: list[Metric] = field(default_factory=list)
    static_labels: dict[str, str] = field(default_factory=dict)
    internal: dict[str, Any] = field(default_factory=dict)
    """What the producer says of itself (cmetrics' internal metadata)."""
    external: dict[str, Any] = field(default_factory=dict)
    """Where the metrics come from (OpenTelemetry resource and scope)."""

    def metric(
        self,
        kind: MetricKind,
        name: str,
        description: str = "",
        label_keys: Sequence[str] = (),
        **more: Any,
    ) -> Metric:
        """The metric of this kind and full name; made if it is not there yet, with `more` of its fields."""
        made = Metric(kind, name, description, tuple(label_keys), **more)
        for each in self.metrics:
            if each.kind is kind and each.full_name == made.full_name:
                return each
        self.metrics.append(made)
        return made

    def of_kind(self, *kinds: MetricKind) -> Iterator[Metric]:
        """Metrics kind by kind, in the order in which they were made."""
        for kind in kinds:
            yield from (metric for metric in self.metrics if metric.kind is kind)

    @property
    def sample_count(self) -> int:
        return sum(len(metric.samples) for metric in self.metrics)


SHOWN_ORDER = (
    MetricKind.COUNTER,
    MetricKind.GAUGE,
    MetricKind.SUMMARY,
    MetricKind.HISTOGRAM,
    MetricKind.EXP_HISTOGRAM,
    MetricKind.UNTYPED,
)
"""The order of kinds in text forms."""


def metrics_chunk(tag: str, metrics: MetricSet, nbytes: int = 0) -> Chunk:
    """A chunk of metrics. `nbytes`: its raw size where that is known."""
    size = nbytes or BYTES_PER_SAMPLE * max(1, metrics.sample_count)
    return Chunk.of_payload(tag, METRICS, metrics, 1, size)


def joined_sets(sets: Iterable[MetricSet]) -> MetricSet:
    """One set of several: samples of one metric stand together, a later sample of the same labels replaces the earlier."""
    joined = MetricSet()
    known: dict[tuple[MetricKind, str], Metric] = {}
    given = list(sets)
    is_common = all(each.static_labels == given[0].static_labels for each in given)
    if given and is_common:
        joined.static_labels = dict(given[0].static_labels)
    for each in given:
        joined.internal = joined.internal or each.internal
        joined.external = joined.external or each.external
        for metric in each.metrics:
            key = (metric.kind, metric.full_name)
            target = known.get(key)
            if target is None or not _same_shape(target, metric):
                target = known[key] = copy_without_samples(metric)
                joined.metrics.append(target)
            pairs = {} if is_common else each.static_labels
            for sample in metric.samples:
                named = {**pairs, **dict(metric.label_pairs(sample))}
                labels = tuple(named.pop(key, None) for key in target.label_keys)
                if named:
                    _widen(target, tuple(named))
                    labels = (*labels, *named.values())
                made = target.set(
                    sample.value, sample.time_ns, labels if named or any(labels) else ()
                )
                made.start_ns, made.told = sample.start_ns, sample.told
    return joined


def copy_without_samples(metric: Metric) -> Metric:
    """The same metric, still empty."""
    return Metric(
        metric.kind,
        metric.name,
        metric.description,
        metric.label_keys,
        metric.namespace,
        metric.subsystem,
        metric.unit,
        metric.aggregation,
        metric.buckets,
        metric.quantiles,
        [],
        metric.allow_reset,
    )


def _same_shape(one: Metric, other: Metric) -> bool:
    return one.buckets == other.buckets and one.quantiles == other.quantiles


def _widen(metric: Metric, keys: tuple[str, ...]) -> None:
    """Add label keys; the samples there are have none of them."""
    missing: Labels = (None,) * len(keys)
    before: Labels = (None,) * len(metric.label_keys)
    metric.label_keys = (*metric.label_keys, *keys)
    for sample in metric.samples:
        sample.labels = (*(sample.labels or before), *missing)
    metric._index.clear()
