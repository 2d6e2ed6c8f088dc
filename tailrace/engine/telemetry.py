"""What the agent tells of itself, as one set of metrics: the HTTP API, `fluentbit_metrics` and `tailrace top` read it.

Names, labels and descriptions that begin with `fluentbit_` are Fluent Bit's; `tailrace_` begins what it does not have.
Sets of several engines add up by `add_up`.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterable
from typing import Protocol

from tailrace import __version__
from tailrace.engine.books import LATENCY_BUCKETS, WAIT_BUCKETS, Books, OutputBook
from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.ports import InputPort, OutputPort
from tailrace.engine.service import ServiceOptions
from tailrace.model.metrics import (
    Histogram,
    Metric,
    MetricKind,
    MetricSet,
    Sample,
    copy_without_samples,
)
from tailrace.plugin.log import LEVELS, LogSink

COMPATIBLE_VERSION = "5.1.1"
COUNTER, GAUGE, HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
MOST_REASONS = 20
"""Reasons of one instance that are told apart; the rest counts as `other`."""
LONGEST_REASON = 80
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


class Observed(Protocol):
    """What is told of."""

    pipeline: Pipeline | None
    service: ServiceOptions | None
    metrics: MetricRegistry
    sink: LogSink
    started_at: float
    """Seconds since the epoch."""
    reloads: int


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


def collect(agent: Observed) -> MetricSet:
    """Everything, as of now."""
    write = Writer(time.time_ns())
    pipeline = agent.pipeline
    _write_agent(write, agent)
    if pipeline is not None:
        _write_storage(write, pipeline)
    _write_log(write, agent.sink)
    if pipeline is not None:
        pipeline.measure()
        _write_routes(write, pipeline.books)
        _write_inputs(write, pipeline)
        _write_plugins(write, agent.metrics, "fluentbit_input_")
        _write_processors(write, pipeline.books)
        _write_filters(write, pipeline)
        _write_plugins(write, agent.metrics, "fluentbit_filter_")
        _write_outputs(write, pipeline)
        _write_books(write, pipeline)
        write_keeping(write, pipeline)
        _write_plugins(write, agent.metrics)
    _write_process(write)
    return write.set


def _write_agent(write: Writer, agent: Observed) -> None:
    host = socket.gethostname() or "unknown"
    now = time.time()
    write.count(
        "fluentbit_uptime",
        "Number of seconds that Fluent Bit has been running.",
        int(now) - int(agent.started_at),
        hostname=host,
    )
    write.gauge(
        "fluentbit_process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        int(agent.started_at),
        hostname=host,
    )
    write.gauge(
        "fluentbit_build_info",
        "Build version information.",
        int(agent.started_at),
        hostname=host,
        version=COMPATIBLE_VERSION,
        os="linux" if os.uname().sysname == "Linux" else os.uname().sysname.lower(),
    )
    write.count(
        "fluentbit_hot_reloaded_times",
        "Collect the count of hot reloaded times.",
        agent.reloads,
        hostname=host,
    )
    write.gauge("tailrace_build_info", "Version of Tailrace.", 1, version=__version__)


def _write_storage(write: Writer, pipeline: Pipeline) -> None:
    on_disk, in_memory, loaded = storage_counts(pipeline)
    for name, description, value in (
        ("chunks", "Total number of chunks in the storage layer.", on_disk + in_memory),
        ("mem_chunks", "Total number of memory chunks.", in_memory),
        ("fs_chunks", "Total number of filesystem chunks.", on_disk),
        ("fs_chunks_up", "Total number of filesystem chunks up in memory.", loaded),
        ("fs_chunks_down", "Total number of filesystem chunks down.", on_disk - loaded),
    ):
        write.gauge(f"fluentbit_storage_{name}", description, value)


def storage_counts(pipeline: Pipeline) -> tuple[int, int, int]:
    """Chunks on disk, chunks in memory alone, and those on disk whose events are in memory too."""
    ports, backlog = pipeline.inputs, pipeline.backlog
    on_disk = sum(port.source.stored_chunks for port in ports) + backlog.stored_chunks
    in_memory = sum(port.book.held_chunks for port in ports)
    return on_disk, in_memory, min(on_disk, pipeline.loaded_chunks)


def _write_log(write: Writer, sink: LogSink) -> None:
    for level in ("error", "warn", "info", "debug", "trace"):
        write.count(
            "fluentbit_logger_logs_total",
            "Total number of logs",
            sink.counts.get(level, 0),
            message_type=level,
        )
    total = sum(sink.counts.get(level, 0) for level in LEVELS)
    for name, description, value in (
        ("enqueued", "Total number of logger queue enqueues", total),
        ("dropped", "Total number of logger queue drops", 0),
        ("drained", "Total number of logger queue records drained", total),
    ):
        write.count(f"fluentbit_logger_queue_{name}_total", description, value)


def _write_routes(write: Writer, books: Books) -> None:
    routes = [
        (source, output, route)
        for output, book in books.outputs.items()
        for source, route in book.routes.items()
    ]
    routes += [(source, "unmatched", route) for source, route in books.unmatched.items()]
    for source, output, route in routes:
        labels = {"input": source, "output": output}
        if route.records:
            write.count(
                "fluentbit_routing_logs_records_total",
                "Total log records routed from input to output",
                route.records,
                **labels,
            )
            write.count(
                "fluentbit_routing_logs_bytes_total",
                "Total bytes routed from input to output (logs)",
                route.bytes,
                **labels,
            )
        if route.dropped_records:
            write.count(
                "fluentbit_routing_logs_drop_records_total",
                "Total log records dropped during routing",
                route.dropped_records,
                **labels,
            )
            write.count(
                "fluentbit_routing_logs_drop_bytes_total",
                "Total bytes dropped during routing (logs)",
                route.dropped_bytes,
                **labels,
            )


def _write_inputs(write: Writer, pipeline: Pipeline) -> None:
    for name, book in pipeline.books.inputs.items():
        records, size = book.records + book.record_change, book.bytes + book.byte_change
        write.count("fluentbit_input_bytes_total", "Number of input bytes.", size, name=name)
        write.count("fluentbit_input_records_total", "Number of input records.", records, name=name)
    for port in pipeline.inputs:
        _write_rate(write, port, pipeline)
        _write_input_storage(write, port.name, input_storage(port, pipeline))
        if port.storage_type == "memrb":
            _write_ring(write, port, pipeline)
    for name in pipeline.books.inputs:
        if all(port.name != name for port in pipeline.inputs):
            _write_gauges_at_rest(write, name)
    _write_emitters(write, pipeline)
    for (name, tag), records in pipeline.books.tags.counts.items():
        write.count(
            "fluentbit_input_logs_tag_records_total",
            "Number of input log records by tag.",
            records,
            name=name,
            tag=tag,
        )
    for (name, reason), records in pipeline.books.tags.untracked.items():
        write.count(
            "fluentbit_input_logs_tag_records_untracked_total",
            "Number of input log records not tracked by tag.",
            records,
            name=name,
            reason=reason,
        )


def _write_emitters(write: Writer, pipeline: Pipeline) -> None:
    """What filters put into the pipeline anew stands under the names of Fluent Bit's emitters, which are inputs."""
    for instance in pipeline.plan.filters:
        book = pipeline.books.filters[instance.name]
        if not instance.plugin.emits and not hasattr(instance.options, "emitter_name"):
            continue
        name = getattr(instance.options, "emitter_name", "") or f"emitter_for_{instance.name}"
        _write_quiet_input(write, name, book.emitted, book.emitted_bytes)


def _write_quiet_input(write: Writer, name: str, records: int, nbytes: int) -> None:
    """Something that counts as an input but never waits."""
    write.count("fluentbit_input_bytes_total", "Number of input bytes.", nbytes, name=name)
    write.count("fluentbit_input_records_total", "Number of input records.", records, name=name)
    _write_gauges_at_rest(write, name)


def _write_gauges_at_rest(write: Writer, name: str) -> None:
    for key, description in RATE_GAUGES:
        write.gauge(f"fluentbit_input_{key}", description, 0, name=name)
    for kind, description in RING_COUNTERS:
        write.count(f"fluentbit_input_ring_buffer_{kind}_total", description, 0, name=name)
    _write_input_storage(write, name, {})


RATE_GAUGES = (
    ("rate_bytes", "Current input bytes per second."),
    ("rate_records", "Current input records per second."),
    ("rate_gate_limited", "Is the input rate gate currently limiting ingestion?"),
    ("rate_gate_busy_chunks", "Busy chunks considered by the input rate gate."),
    ("rate_gate_retry_attempts", "Retry attempts considered by the input rate gate."),
    ("ingestion_paused", "Is the input paused or not?"),
)
RING_COUNTERS = (
    ("writes", "Number of ring buffer writes."),
    ("retries", "Number of ring buffer retries."),
    ("retry_failures", "Number of ring buffer retry failures."),
)


def _write_rate(write: Writer, port: InputPort, pipeline: Pipeline) -> None:
    name = port.name
    records, size = port.rate_per_second()
    busy, tries = pipeline.pressure_of(name) if port.gate is not None else (0, 0)
    limited = port.gate is not None and port.gate.limited
    values = (int(size), int(records), int(limited), busy, tries, int(port.paused))
    for (key, description), value in zip(RATE_GAUGES, values, strict=True):
        write.gauge(f"fluentbit_input_{key}", description, value, name=name)
    for kind, description in RING_COUNTERS:
        write.count(f"fluentbit_input_ring_buffer_{kind}_total", description, 0, name=name)


def _write_input_storage(write: Writer, name: str, state: dict[str, int]) -> None:
    for key, description in (
        ("overlimit", "Is the input memory usage overlimit ?."),
        ("memory_bytes", "Memory bytes used by the chunks."),
        ("chunks", "Total number of chunks."),
        ("chunks_up", "Total number of chunks up in memory."),
        ("chunks_down", "Total number of chunks down."),
        ("chunks_busy", "Total number of chunks in a busy state."),
        ("chunks_busy_bytes", "Total number of bytes used by chunks in a busy state."),
    ):
        write.gauge(f"fluentbit_input_storage_{key}", description, state.get(key, 0), name=name)


def input_storage(port: InputPort, pipeline: Pipeline) -> dict[str, int]:
    """Chunks of one input that are not delivered; a chunk counts as busy while an output has it in hand."""
    on_disk = port.source.stored_chunks
    in_memory = port.book.held_chunks
    loaded = min(on_disk, pipeline.loaded_chunks)
    busy, busy_bytes = busy_chunks(pipeline, port.name)
    return {
        "overlimit": int(port.over_limit),
        "memory_bytes": port.book.held_bytes + port.source.loaded_bytes,
        "memory_limit": port.limit,
        "chunks": on_disk + in_memory,
        "chunks_up": in_memory + loaded,
        "chunks_down": on_disk - loaded,
        "chunks_busy": busy,
        "chunks_busy_bytes": busy_bytes,
    }


def busy_chunks(pipeline: Pipeline, source: str) -> tuple[int, int]:
    """Chunks of one input that an output has in hand, and their bytes."""
    items = [
        item for port in pipeline.outputs for item in port.queue.in_hand() if item.source == source
    ]
    return len(items), sum(item.packed for item in items)


def _write_ring(write: Writer, port: InputPort, pipeline: Pipeline) -> None:
    route = [
        book.routes[port.name]
        for book in pipeline.books.outputs.values()
        if port.name in book.routes
    ]
    write.count(
        "fluentbit_input_memrb_dropped_chunks",
        "Number of memrb dropped chunks.",
        port.ring_drops,
        name=port.name,
    )
    write.count(
        "fluentbit_input_memrb_dropped_bytes",
        "Number of memrb dropped bytes.",
        sum(each.dropped_bytes for each in route),
        name=port.name,
    )


def _write_filters(write: Writer, pipeline: Pipeline) -> None:
    emitting = {each.name for each in pipeline.plan.filters if each.plugin.emits}
    for name, book in pipeline.books.filters.items():
        if book.is_processor:
            continue
        for key, description, value in (
            ("records", "Total number of new records processed.", book.records),
            ("bytes", "Total number of new bytes processed.", book.bytes),
            ("add_records", "Total number of new added records.", book.added),
            ("drop_records", "Total number of dropped records.", book.removed),
            ("drop_bytes", "Total number of dropped bytes.", book.removed_bytes),
        ):
            write.count(f"fluentbit_filter_{key}_total", description, value, name=name)
        if book.emitted and name in emitting:
            write.count(
                "fluentbit_filter_emit_records_total",
                "Total number of emitted records",
                book.emitted,
                name=name,
            )


def _write_processors(write: Writer, books: Books) -> None:
    """Counts of processors that were run; of items where they are logs and there are some, as in Fluent Bit."""
    for labels, book in books.processors.items():
        for key, description, value, is_shown in (
            (
                "invocations",
                "Total number of processor unit invocations.",
                book.invocations,
                book.invocations,
            ),
            ("errors", "Total number of processor unit errors.", book.errors, book.errors),
            (
                "items_in",
                "Total number of items seen by processor units.",
                book.items_in,
                book.items_in,
            ),
            (
                "items_out",
                "Total number of items produced by processor units.",
                book.items_out,
                book.items_in,
            ),
            (
                "items_drop",
                "Total number of items dropped by processor units.",
                book.dropped,
                book.dropped,
            ),
            (
                "items_add",
                "Total number of items added by processor units.",
                book.added,
                book.added,
            ),
        ):
            if is_shown:
                named = dict(zip(PROCESSOR_LABELS, labels, strict=True))
                write.count(f"fluentbit_processor_{key}_total", description, value, **named)


PROCESSOR_LABELS = ("scope", "owner", "processor", "stage", "signal")


def _write_outputs(write: Writer, pipeline: Pipeline) -> None:
    for port in pipeline.outputs:
        book, name = port.queue.book, port.name
        for key, description, value in (
            ("proc_records", "Number of processed output records.", book.delivered),
            ("proc_bytes", "Number of processed output bytes.", book.delivered_bytes),
            ("errors", "Number of output errors.", book.errors),
            ("retries", "Number of output retries.", book.retries),
            (
                "retries_failed",
                "Number of abandoned batches because the maximum number of re-tries was reached.",
                book.retries_failed,
            ),
            ("dropped_records", "Number of dropped records.", lost_by(book)),
            ("retried_records", "Number of retried records.", book.retried_records),
        ):
            write.count(f"fluentbit_output_{key}_total", description, value, name=name)
        _write_output_gauges(write, port)
        for source, route in book.routes.items():
            if not any(route.latency):
                continue
            write.histogram(
                "fluentbit_output_latency_seconds",
                "End-to-end latency in seconds",
                LATENCY_BUCKETS,
                cumulated(route.latency, route.latency_sum),
                input=source,
                output=name,
            )
    for port in pipeline.outputs:
        book = port.queue.book
        if any(book.waits):
            write.histogram(
                "fluentbit_output_backpressure_wait_seconds",
                "Output backpressure wait in seconds",
                WAIT_BUCKETS,
                cumulated(book.waits, book.wait_sum),
                output=port.name,
            )


def lost_by(book: OutputBook) -> int:
    """Events that an output did not get: given up and refused ones."""
    return sum(book.dropped.values()) + sum(book.rejected.values())


def cumulated(counts: list[int], total: float) -> Histogram:
    """A histogram of counts per bucket."""
    sums, so_far = [], 0
    for count in counts:
        so_far += count
        sums.append(so_far)
    return Histogram(sums, total, so_far)


def _write_output_gauges(write: Writer, port: OutputPort) -> None:
    name, queue = port.name, port.queue
    connections = port.instance.plugin.connections()
    write.gauge(
        "fluentbit_output_upstream_total_connections",
        "Total Connection count.",
        connections.total,
        name=name,
    )
    write.gauge(
        "fluentbit_output_upstream_busy_connections",
        "Busy Connection count.",
        connections.busy,
        name=name,
    )
    limit = queue.settings.disk_limit
    free = 100.0 * max(0, limit - queue.disk_bytes) / limit if limit else 100.0
    write.gauge(
        "fluentbit_output_chunk_available_capacity_percent",
        "Available chunk capacity (percent)",
        free,
        name=name,
    )
    items = list(queue.items())
    for key, description, value in (
        ("queue_records", "Events that wait for this output.", queue.book.in_flight),
        ("queue_chunks", "Chunks that wait for this output.", len(items)),
        ("queue_bytes", "Memory of what waits for this output.", queue.nbytes),
        ("queue_disk_bytes", "Size of the files that wait for this output.", queue.disk_bytes),
        ("queue_limit_bytes", "Most memory of what waits.", queue.settings.hard_limit),
        ("queue_age_seconds", "Age of the oldest chunk that waits.", queue.oldest_age()),
        ("queue_retrying", "Batches that wait for their next try.", queue.waiting_retries),
        ("queue_full", "Whether inputs wait for this output.", int(queue.is_full)),
        ("failing", "Failed deliveries in a row.", queue.breaker.failures),
    ):
        write.gauge(f"tailrace_output_{key}", description, value, name=name)


def _write_books(write: Writer, pipeline: Pipeline) -> None:
    """Where every event went, and what does not add up: `tailrace_accounting_remainder` is 0 while the books balance."""
    books = pipeline.books
    for name, book in books.outputs.items():
        for key, description, value in (
            ("routed", "Events routed to this output.", book.routed),
            ("delivered", "Events delivered.", book.delivered),
            ("kept", "Events kept on disk for a later run.", book.kept),
        ):
            write.count(f"tailrace_output_{key}_records_total", description, value, name=name)
        _write_reasons(write, "output", "dropped", name, book.dropped)
        _write_reasons(write, "output", "rejected", name, book.rejected)
    for input_name, input_book in books.inputs.items():
        _write_reasons(write, "input", "dropped", input_name, input_book.dropped)
    for filter_name, filter_book in books.filters.items():
        _write_reasons(write, "filter", "dropped", filter_name, filter_book.dropped)
        write.count(
            "tailrace_filter_failed_chunks_total",
            "Chunks that the filter failed on; their events went on unchanged.",
            filter_book.failed_chunks,
            name=filter_name,
        )
    write.count(
        "tailrace_pipeline_received_records_total",
        "Events that inputs gave.",
        sum(book.records for book in books.inputs.values()),
    )
    write.count(
        "tailrace_pipeline_passed_records_total",
        "Events that came through all filters.",
        books.passed,
    )
    write.count(
        "tailrace_pipeline_unrouted_records_total", "Events that no output wanted.", books.unrouted
    )
    about = "Events that the books have lost sight of; 0 while they balance."
    write.gauge("tailrace_accounting_remainder", about, books.remainder(), where="pipeline")
    for name, book in books.outputs.items():
        write.gauge("tailrace_accounting_remainder", about, book.remainder, where=name)
    for (kind, instance), seconds in pipeline.busy_seconds.items():
        write.count(
            "tailrace_instance_busy_seconds_total",
            "Seconds that the event loop spent in this instance.",
            seconds,
            kind=kind,
            name=instance,
        )


def _write_reasons(write: Writer, kind: str, what: str, name: str, reasons: dict[str, int]) -> None:
    """Counts by reason. Reasons may hold a server's words, so that they are cut and limited in number."""
    told: dict[str, int] = {}
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        shown = " ".join(reason[:LONGEST_REASON].split())
        if shown not in told and len(told) >= MOST_REASONS:
            shown = "other"
        told[shown] = told.get(shown, 0) + count
    for reason, count in told.items():
        write.count(
            f"tailrace_{kind}_{what}_records_total",
            f"Events {what}, by reason.",
            count,
            name=name,
            reason=reason,
        )


PLACED = ("fluentbit_input_", "fluentbit_filter_")
"""What plugins count under such names stands beside what the engine counts there."""


def _write_plugins(write: Writer, registry: MetricRegistry, prefix: str = "") -> None:
    """What plugins count of their own under names that begin so; without a prefix, all that stands with none."""
    for family in registry.families.values():
        if prefix != next((each for each in PLACED if family.name.startswith(each)), ""):
            continue
        kind = COUNTER if family.kind == "counter" else GAUGE
        metric = write.metric(kind, family.name, family.description, family.labels)
        metric.samples += [
            Sample(labels, float(value), write.now_ns) for labels, value in family.values.items()
        ]


def write_keeping(write: Writer, pipeline: Pipeline) -> None:
    """The memory budget, the state of the filesystem storage, and dead letters."""
    write.gauge(
        "tailrace_memory_limit_bytes", "Memory that events may wait in.", pipeline.budget.limit
    )
    write.gauge(
        "tailrace_memory_held_bytes",
        "What inputs hold of messages that are not whole.",
        pipeline.held_bytes,
    )
    if pipeline.storage is not None:
        write.gauge(
            "tailrace_storage_full",
            "Whether the disk takes nothing, so that inputs wait.",
            int(pipeline.disk_is_full),
        )
        write.count(
            "tailrace_storage_damaged_files_total",
            "Chunk files of which not all could be read.",
            pipeline.storage.damaged_files,
        )
    if pipeline.dead_letters is not None:
        write.count(
            "tailrace_dead_letters_records_total",
            "Events that were kept as dead letters.",
            pipeline.dead_letters.kept,
        )
        write.count(
            "tailrace_dead_letters_lost_records_total",
            "Events given up that could not be kept: the limit or the disk.",
            pipeline.dead_letters.lost,
        )


def _write_process(write: Writer) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    write.count(
        "tailrace_process_cpu_seconds_total",
        "CPU time of the process, user and system.",
        usage.ru_utime + usage.ru_stime,
    )
    write.gauge(
        "tailrace_process_resident_memory_bytes", "Memory of the process.", resident_bytes()
    )


def resident_bytes() -> int:
    """The memory that the process has now; its peak where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


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
