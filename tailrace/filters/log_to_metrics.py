"""Make metrics of events: count them, or take a field's value into a gauge or a histogram.

Example:
    Name               log_to_metrics
    Match              web
    Tag                metrics
    Metric_mode        counter
    Metric_name        requests
    Metric_description Requests by status
    Label_field        status

The metrics go out under `tag` as a chunk of their own: after each event, or every `flush_interval_sec`. More label values than
`max_series` are not counted, which the log tells once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from tailrace.config import ConfigError, KeyText, Size, option
from tailrace.config.types import Reader, read_float, read_key_text, text
from tailrace.model import Body, Chunk
from tailrace.model.accessor import Accessor, AccessorError
from tailrace.model.metrics import (
    DEFAULT_BUCKETS,
    Metric,
    MetricKind,
    MetricSet,
    metrics_chunk,
)
from tailrace.model.regex import RegexError, budget, compile_regex
from tailrace.plugin import Filter, FilterOptions, filter_plugin

MODES = {
    "counter": MetricKind.COUNTER,
    "gauge": MetricKind.GAUGE,
    "histogram": MetricKind.HISTOGRAM,
}
KUBERNETES_LABELS = ("namespace_name", "pod_name", "container_name", "docker_id", "pod_id")
EACH_UP_TO = 100
"""Of larger chunks only the state after the last event is given, where there is no interval."""
CHUNK_SECONDS = 2.0
LONGEST_LABEL = 252
NUMBER = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")

Label = tuple[str, str]
"""Name, and the accessor of its value."""


def read_label_field(value: Any) -> Label:
    name = text(value)
    return name, name


def read_label(value: Any) -> Label:
    name, accessor = read_key_text(value)
    return name, accessor


class LogToMetricsOptions(FilterOptions):
    tag: str = option("")
    """Tag of the metrics. Required."""

    metric_mode: str = option("counter")
    """counter (how many events), gauge (the last value) or histogram (values by bucket)."""

    metric_name: str = option("a")
    """Name of the metric."""

    metric_namespace: str = option("log_metric")
    """First part of the full name."""

    metric_subsystem: str = option("")
    """Second part of the full name; default: the mode."""

    metric_description: str = option("")
    """What the metric is about. Required."""

    value_field: str = option("")
    """The field of the value, for gauges and histograms."""

    labels: list[Label] = option(
        many=True,
        sequence=(
            ("label_field", Reader("field", read_label_field)),
            ("add_label", Reader("label", read_label)),
        ),
    )
    """Labels in order: `label_field FIELD` is named as its field, `add_label NAME FIELD` otherwise."""

    bucket: list[float] = option(many=True, reader=Reader("number", read_float))
    """Upper bound of a histogram's bucket. May be given many times."""

    regex: list[KeyText] = option(many=True)
    """Take only events whose field matches: `FIELD REGEX`."""

    exclude: list[KeyText] = option(many=True)
    """Leave out events whose field matches: `FIELD REGEX`."""

    kubernetes_mode: bool = option(False)
    """Add the labels namespace_name, pod_name, container_name, docker_id and pod_id of the field `kubernetes`."""

    discard_logs: bool = option(False)
    """Drop all events afterwards."""

    flush_interval_sec: int = option(0)
    """Give the metrics at this interval instead of after each event."""

    flush_interval_nsec: int = option(0)
    """Nanoseconds to add to `flush_interval_sec`."""

    emitter_name: str = option("")
    """Name under which the metrics come into the pipeline."""

    emitter_mem_buf_limit: Size = option(10_000_000)
    """Accepted for compatibility: metrics wait in the queues of their outputs, which have limits of their own."""

    max_series: int = option(10_000)
    """Most combinations of label values; 0: any number."""


@filter_plugin("log_to_metrics")
class LogToMetrics(Filter[LogToMetricsOptions]):
    padding = None

    def __init__(self, options: LogToMetricsOptions) -> None:
        super().__init__(options)
        self._kind = self._check()
        labels = [*options.labels]
        if options.kubernetes_mode:
            labels = [(name, f"$kubernetes['{name}']") for name in KUBERNETES_LABELS] + labels
        self._labels = [accessor_of(accessor, "label").get for _, accessor in labels]
        self._value = (
            None
            if self._kind is MetricKind.COUNTER
            else accessor_of(options.value_field, "value_field").get
        )
        self._rules = self._make_rules()
        self._metrics = MetricSet()
        self._metric: Metric = self._metrics.metric(
            self._kind,
            options.metric_name,
            options.metric_description,
            [name.removeprefix("$") for name, _ in labels],
            namespace=options.metric_namespace,
            subsystem=options.metric_subsystem or options.metric_mode,
            buckets=tuple(sorted(options.bucket) or DEFAULT_BUCKETS)
            if self._kind is MetricKind.HISTOGRAM
            else (),
        )
        self._interval = options.flush_interval_sec + options.flush_interval_nsec / 1e9
        self._changed = False
        self._told = False
        if self._interval > 0:
            self.context.every(self._interval, self._give)

    def _check(self) -> MetricKind:
        options = self.options
        if not options.tag:
            raise ConfigError("tag is missing.", "Add: tag TAG, for the metrics.")
        if not options.metric_description:
            raise ConfigError("metric_description is missing.", "Add: metric_description TEXT.")
        kind = MODES.get(options.metric_mode.lower())
        if kind is None:
            raise ConfigError(
                f"metric_mode: '{options.metric_mode}' is no mode.",
                f"Give one of: {', '.join(MODES)}.",
            )
        if kind is not MetricKind.COUNTER and not options.value_field:
            raise ConfigError(
                f"value_field is missing, which a {options.metric_mode} needs.",
                "Add: value_field FIELD.",
            )
        return kind

    def _make_rules(self) -> Callable[[Body], bool]:
        """Whether an event counts."""
        wanted = [matcher(*rule) for rule in self.options.regex]
        unwanted = [matcher(*rule) for rule in self.options.exclude]
        return lambda body: (
            all(matches(body) for matches in wanted)
            and not any(matches(body) for matches in unwanted)
        )

    def process(self, chunk: Chunk) -> Chunk:
        one_by_one = self._interval <= 0 and chunk.count <= EACH_UP_TO
        now_ns = self.context.clock.time_ns()
        changed = False
        with budget(CHUNK_SECONDS):
            for body in chunk.bodies:
                if not self._rules(body) or not self._take(body, now_ns):
                    continue
                changed = True
                if one_by_one:
                    self._emit()
        if changed and self._interval > 0:
            self._changed = True
        elif changed and not one_by_one:
            self._emit()
        return chunk.select([False] * chunk.count) if self.options.discard_logs else chunk

    def _take(self, body: Body, now_ns: int) -> bool:
        """Count one event; whether anything changed."""
        labels = tuple([label_text(get(body)) for get in self._labels])
        metric, most = self._metric, self.options.max_series
        if most and len(metric.samples) >= most and metric.find(labels) is None:
            if not self._told:
                self.context.log.error(
                    f"more than {most} combinations of labels (max_series): new ones are not counted"
                )
            self._told = True
            return False
        if self._value is None:
            metric.add(1.0, now_ns, labels)
            return True
        value = number_of(self._value(body))
        if value is None:
            self.context.log.debug(f"an event has no number in {self.options.value_field}")
            return False
        if self._kind is MetricKind.GAUGE:
            metric.set(float(value), now_ns, labels)
        else:
            metric.observe(value, now_ns, labels)
        return True

    def _give(self) -> None:
        if self._changed:
            self._changed = False
            self._emit()

    def _emit(self) -> None:
        self.context.emit(metrics_chunk(self.options.tag, deepcopy(self._metrics)))

    def drain(self) -> list[Chunk]:
        """What has changed since the last interval."""
        if not self._changed:
            return []
        self._changed = False
        return [metrics_chunk(self.options.tag, deepcopy(self._metrics))]


def accessor_of(path: str, what: str) -> Accessor:
    try:
        return Accessor(path)
    except AccessorError as error:
        raise ConfigError(f"{what}: {error}") from error


def matcher(field: str, pattern: str) -> Callable[[Body], bool]:
    """A test of one body; only texts match."""
    try:
        search = compile_regex(pattern).search
    except RegexError as error:
        raise ConfigError(f"regex: {error}") from error
    get = accessor_of(field, "regex").get

    def matches(body: Body) -> bool:
        value = get(body)
        return isinstance(value, str) and search(value) is not None

    return matches


def label_text(value: Any) -> str:
    """A label's value: texts and numbers; anything else is empty, as is what is missing."""
    if isinstance(value, str):
        return value[:LONGEST_LABEL]
    if isinstance(value, bool):
        return ""
    if isinstance(value, float):
        return f"{value:f}"
    return str(value) if isinstance(value, int) else ""


def number_of(value: Any) -> float | None:
    """A number, or a text that begins with one."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and (found := NUMBER.match(value)):
        return float(found.group())
    return None
