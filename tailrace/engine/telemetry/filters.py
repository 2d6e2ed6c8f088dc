"""What is told of filters and processors."""

from __future__ import annotations

from tailrace.engine.books import Books
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.telemetry.writer import Writer

PROCESSOR_LABELS = ("scope", "owner", "processor", "stage", "signal")


def write_filters(write: Writer, pipeline: Pipeline) -> None:
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


def write_processors(write: Writer, books: Books) -> None:
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
