"""What is told of inputs: records, rates, their share of the storage, and what filters emit as inputs."""

from __future__ import annotations

from tailrace.engine.pipeline import Pipeline
from tailrace.engine.ports import InputPort
from tailrace.engine.telemetry.writer import Writer

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


def write_inputs(write: Writer, pipeline: Pipeline) -> None:
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
