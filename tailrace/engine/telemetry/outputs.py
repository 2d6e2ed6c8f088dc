"""What is told of outputs: deliveries, latencies, queues, and of the routes to them."""

from __future__ import annotations

from tailrace.engine.books import LATENCY_BUCKETS, WAIT_BUCKETS, Books, OutputBook
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.ports import OutputPort
from tailrace.engine.telemetry.writer import Writer
from tailrace.model.metrics import Histogram


def write_routes(write: Writer, books: Books) -> None:
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


def write_outputs(write: Writer, pipeline: Pipeline) -> None:
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
