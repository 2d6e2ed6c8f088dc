"""The metrics of several engines as those of one agent."""

from __future__ import annotations

from collections.abc import Iterable

from tailrace.model.metrics import Histogram, Metric, MetricSet, Sample, copy_without_samples

HIGHEST = frozenset(
    {
        "fluentbit_uptime",
        "fluentbit_process_start_time_seconds",
        "fluentbit_build_info",
        "fluentbit_hot_reloaded_times",
        "fluentbit_input_ingestion_paused",
        "fluentbit_input_rate_gate_limited",
        "fluentbit_input_storage_overlimit",
        "fluentbit_output_chunk_available_capacity_percent",
        "tailrace_build_info",
        "tailrace_storage_full",
        "tailrace_output_queue_age_seconds",
        "tailrace_output_queue_full",
        "tailrace_output_failing",
        "tailrace_input_file_lag_seconds",
    }
)
"""Metrics of which several engines' values do not add up: the highest counts."""


def add_up(sets: Iterable[MetricSet]) -> MetricSet:
    """The metrics of several engines as those of one agent."""
    total = MetricSet()
    known: dict[str, Metric] = {}
    for each in sets:
        for metric in each.metrics:
            name = metric.full_name
            target = known.get(name)
            if target is None:
                target = known[name] = copy_without_samples(metric)
                total.metrics.append(target)
            for sample in metric.samples:
                _add_sample(target, sample, name in HIGHEST)
    return total


def _add_sample(target: Metric, sample: Sample, highest: bool) -> None:
    before = target.find(sample.labels)
    value = sample.value
    if before is None:
        made = (
            Histogram(list(value.counts), value.sum, value.count)
            if isinstance(value, Histogram)
            else value
        )
        target.set(made, sample.time_ns, sample.labels)
    elif isinstance(value, Histogram) and isinstance(before.value, Histogram):
        counts = [a + b for a, b in zip(before.value.counts, value.counts, strict=True)]
        before.value = Histogram(
            counts, before.value.sum + value.sum, before.value.count + value.count
        )
    elif isinstance(value, int | float) and isinstance(before.value, int | float):
        before.value = max(before.value, value) if highest else before.value + value
