"""Keep or drop metrics by their name, or samples by a label.

Example:
    Name        metrics_selector
    Metric_name /_total$/
    Action      include
"""

from __future__ import annotations

from collections.abc import Callable

from tailrace.config import ConfigError, one_of, option
from tailrace.model import METRICS, Chunk
from tailrace.model.metrics import Metric, MetricSet
from tailrace.model.regex import RegexError, budget, compile_regex
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin

MATCH_SECONDS = 1.0
"""How long all names of one set may take a regular expression."""


class MetricsSelectorOptions(ProcessorOptions):
    metric_name: str = option("", last_wins=True)
    """Text that the full name begins with (or holds, see `operation_type`), or a regular expression between slashes."""

    context: str = option(
        "metric_name", last_wins=True, reader=one_of("metric_name", "delete_label_value")
    )
    """metric_name: choose metrics by their names; delete_label_value: drop samples that have the `label`."""

    action: str = option("include", reader=one_of("include", "exclude"))
    """What happens to metrics that match: include (keep only them) or exclude."""

    label: str = option("")
    """With delete_label_value: `KEY VALUE` of the label whose samples go."""

    operation_type: str = option("prefix", reader=one_of("prefix", "substring"))
    """How `metric_name` is compared: prefix or substring."""


@processor_plugin("metrics_selector")
class MetricsSelector(Processor[MetricsSelectorOptions]):
    handles = METRICS

    def __init__(self, options: MetricsSelectorOptions) -> None:
        super().__init__(options)
        self._apply = (
            self._label_dropper() if options.context == "delete_label_value" else self._chooser()
        )

    def process(self, chunk: Chunk) -> Chunk:
        with budget(MATCH_SECONDS):
            chunk.payload = self._apply(chunk.payload)
        chunk.count = 1 if chunk.payload.metrics else 0
        return chunk

    def _chooser(self) -> Callable[[MetricSet], MetricSet]:
        options = self.options
        if not options.metric_name:
            raise ConfigError("metric_name is missing.", "Add: metric_name TEXT.")
        matches = name_matcher(options.metric_name, options.operation_type)
        wanted = options.action == "include"

        def choose(metrics: MetricSet) -> MetricSet:
            return with_metrics(
                metrics, [each for each in metrics.metrics if matches(each.full_name) is wanted]
            )

        return choose

    def _label_dropper(self) -> Callable[[MetricSet], MetricSet]:
        key, _, value = self.options.label.strip().partition(" ")
        value = value.strip()
        if not key or not value:
            raise ConfigError(
                f"label: '{self.options.label}' will not do.",
                "Give key and value, as: label path /a.",
            )

        def drop(metrics: MetricSet) -> MetricSet:
            for metric in metrics.metrics:
                metric.samples = [
                    sample
                    for sample in metric.samples
                    if (key, value) not in metric.label_pairs(sample)
                ]
            return with_metrics(metrics, [each for each in metrics.metrics if each.samples])

        return drop


def name_matcher(pattern: str, operation: str) -> Callable[[str], bool]:
    """A test of a full name."""
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        try:
            search = compile_regex(pattern).search
        except RegexError as error:
            raise ConfigError(f"metric_name: {error}") from error
        return lambda name: search(name) is not None
    if operation == "substring":
        return lambda name: pattern in name
    return lambda name: name.startswith(pattern)


def with_metrics(metrics: MetricSet, chosen: list[Metric]) -> MetricSet:
    return MetricSet(chosen, metrics.static_labels, metrics.internal, metrics.external)
