"""Change the labels of metrics: delete, update, upsert, insert or hash them, in this order.

Example:
    name:   labels
    insert: zone z1

    hits{path="/a"} = 3  becomes  hits{path="/a",zone="z1"} = 3

Names of labels are compared without regard to letter case. Values may hold `$TAG` and `$TAG[n]`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from tailrace.config import ConfigError, KeyText, option
from tailrace.model import METRICS, Chunk
from tailrace.model.accessor import AccessorError, Template
from tailrace.model.metrics import Metric, MetricSet, Sample
from tailrace.plugin import Processor, ProcessorOptions, processor_plugin


class LabelsOptions(ProcessorOptions):
    update: list[KeyText] = option(many=True)
    """`NAME VALUE`: give the label this value where it is. May be given many times."""

    insert: list[KeyText] = option(many=True)
    """`NAME VALUE`: add the label to all metrics, unless one has it already. May be given many times."""

    upsert: list[KeyText] = option(many=True)
    """`NAME VALUE`: give the label this value, and add it where it is not. May be given many times."""

    delete: list[str] = option(many=True)
    """`NAME`: take the label away. May be given many times."""

    hash: list[str] = option(many=True)
    """`NAME`: replace the label's value by its SHA-256 in hexadecimal. May be given many times."""


Step = Callable[[MetricSet, str], None]
"""Changes a set, which came under a tag."""


@processor_plugin("labels")
class Labels(Processor[LabelsOptions]):
    handles = METRICS

    def __init__(self, options: LabelsOptions) -> None:
        super().__init__(options)
        self.steps: list[Step] = [
            *(deletion(name) for name in options.delete),
            *(update(name, value) for name, value in options.update),
            *(upsert(name, value) for name, value in options.upsert),
            *(insertion(name, value) for name, value in options.insert),
            *(hashing(name) for name in options.hash),
        ]
        if not self.steps:
            self.context.log.warn(
                "nothing is to be done: give insert, upsert, update, delete or hash"
            )

    def process(self, chunk: Chunk) -> Chunk:
        metrics = copy_of(chunk.payload)
        for step in self.steps:
            step(metrics, chunk.tag)
        chunk.payload = metrics
        chunk.count = 1 if metrics.metrics else 0
        return chunk


def copy_of(metrics: MetricSet) -> MetricSet:
    """A set whose labels may be changed; values are shared."""
    return replace(
        metrics,
        static_labels=dict(metrics.static_labels),
        metrics=[
            replace(metric, samples=[replace(sample) for sample in metric.samples], _index={})
            for metric in metrics.metrics
        ],
    )


def template(value: str) -> Template:
    try:
        return Template(value)
    except AccessorError as error:
        raise ConfigError(f"'{value}': {error}") from error


def deletion(name: str) -> Step:
    def step(metrics: MetricSet, tag: str) -> None:
        if has_label(metrics, name):
            for metric in metrics.metrics:
                remove(metric, name)
        elif (static := static_name(metrics, name)) is not None:
            del metrics.static_labels[static]

    return step


def update(name: str, value: str) -> Step:
    made = template(value)

    def step(metrics: MetricSet, tag: str) -> None:
        text = made.render({}, tag)
        for metric in metrics.metrics:
            index = index_of(metric, name)
            if index >= 0:
                set_all(metric, index, text)
        if (static := static_name(metrics, name)) is not None:
            metrics.static_labels[static] = text

    return step


def upsert(name: str, value: str) -> Step:
    made = template(value)

    def step(metrics: MetricSet, tag: str) -> None:
        text = made.render({}, tag)
        if not has_label(metrics, name):
            metrics.static_labels[static_name(metrics, name) or name] = text
            return
        for metric in metrics.metrics:
            index = index_of(metric, name)
            if index >= 0:
                set_all(metric, index, text)
            else:
                add(metric, name, text)

    return step


def insertion(name: str, value: str) -> Step:
    made = template(value)

    def step(metrics: MetricSet, tag: str) -> None:
        if has_label(metrics, name) or static_name(metrics, name) is not None:
            return
        text = made.render({}, tag)
        for metric in metrics.metrics:
            add(metric, name, text)

    return step


def hashing(name: str) -> Step:
    def step(metrics: MetricSet, tag: str) -> None:
        if has_label(metrics, name):
            for metric in metrics.metrics:
                hash_all(metric, index_of(metric, name))
        elif (static := static_name(metrics, name)) is not None:
            metrics.static_labels[static] = digest(metrics.static_labels[static])

    return step


# Labels of one metric


def index_of(metric: Metric, name: str) -> int:
    """The place of a label among the metric's keys, or -1."""
    wanted = name.lower()
    for index, key in enumerate(metric.label_keys):
        if key.lower() == wanted:
            return index
    return -1


def has_label(metrics: MetricSet, name: str) -> bool:
    return any(index_of(metric, name) >= 0 for metric in metrics.metrics)


def static_name(metrics: MetricSet, name: str) -> str | None:
    """How a static label of this name is written, if there is one."""
    wanted = name.lower()
    return next((key for key in metrics.static_labels if key.lower() == wanted), None)


def set_all(metric: Metric, index: int, text: str) -> None:
    """Give a label its value in all samples that have labels."""
    for sample in metric.samples:
        if sample.labels:
            put(sample, index, text)


def add(metric: Metric, name: str, text: str) -> None:
    """A label more, behind the others, in all samples."""
    index = len(metric.label_keys)
    metric.label_keys = (*metric.label_keys, name)
    for sample in metric.samples:
        put(sample, index, text)


def put(sample: Sample, index: int, text: str) -> None:
    labels = [*sample.labels, *([None] * (index + 1 - len(sample.labels)))]
    labels[index] = text
    sample.labels = tuple(labels)


def remove(metric: Metric, name: str) -> None:
    index = index_of(metric, name)
    if index < 0:
        return
    keys = metric.label_keys
    metric.label_keys = (*keys[:index], *keys[index + 1 :])
    for sample in metric.samples:
        labels = (*sample.labels[:index], *sample.labels[index + 1 :])
        sample.labels = labels if any(label is not None for label in labels) else ()


def hash_all(metric: Metric, index: int) -> None:
    for sample in metric.samples:
        if 0 <= index < len(sample.labels) and (value := sample.labels[index]):
            put(sample, index, digest(value))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
