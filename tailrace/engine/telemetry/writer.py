"""Samples of one moment, under names made as Fluent Bit makes them."""

from __future__ import annotations

from tailrace.model.metrics import Histogram, Metric, MetricKind, MetricSet, Sample

COUNTER, GAUGE, HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM


SUBSYSTEMS = (
    "input_metrics",
    "routing_logs",
    "input",
    "processor",
    "filter",
    "output",
    "storage",
    "logger",
    "build",
)


class Writer:
    """Adds samples of one moment to a set."""

    def __init__(self, now_ns: int) -> None:
        self.set = MetricSet()
        self.now_ns = now_ns
        self._known: dict[str, Metric] = {}

    def metric(
        self, kind: MetricKind, name: str, description: str, keys: tuple[str, ...]
    ) -> Metric:
        """A metric by its full name, which is made of namespace, subsystem and name as in Fluent Bit."""
        metric = self._known.get(name)
        if metric is None:
            namespace, _, rest = name.partition("_")
            subsystem = next((each for each in SUBSYSTEMS if rest.startswith(f"{each}_")), "")
            last = rest[len(subsystem) + 1 :] if subsystem else rest
            metric = Metric(kind, last, description, keys, namespace, subsystem)
            self.set.metrics.append(metric)
            self._known[name] = metric
        return metric

    def count(self, name: str, description: str, value: float, /, **labels: str) -> None:
        self._add(COUNTER, name, description, value, labels)

    def gauge(self, name: str, description: str, value: float, /, **labels: str) -> None:
        self._add(GAUGE, name, description, value, labels)

    def _add(
        self, kind: MetricKind, name: str, description: str, value: float, labels: dict[str, str]
    ) -> None:
        metric = self.metric(kind, name, description, tuple(labels))
        metric.samples.append(Sample(tuple(labels.values()), float(value), self.now_ns))

    def histogram(
        self,
        name: str,
        description: str,
        bounds: tuple[float, ...],
        value: Histogram,
        /,
        **labels: str,
    ) -> None:
        metric = self.metric(HISTOGRAM, name, description, tuple(labels))
        metric.buckets = bounds
        metric.samples.append(Sample(tuple(labels.values()), value, self.now_ns))
