"""The books: where every event went, why, and what plugins count of their own."""

from __future__ import annotations

from tailrace.engine.metrics import MetricRegistry
from tailrace.engine.pipeline import Pipeline
from tailrace.engine.telemetry.writer import COUNTER, GAUGE, Writer
from tailrace.model.metrics import Sample

MOST_REASONS = 20
"""Reasons of one instance that are told apart; the rest counts as `other`."""


LONGEST_REASON = 80


def write_books(write: Writer, pipeline: Pipeline) -> None:
    """Where every event went, and what does not add up: `tailrace_accounting_remainder` is 0 while the books balance."""
    books = pipeline.books
    for name, book in books.outputs.items():
        for key, description, value in (
            ("routed", "Events routed to this output.", book.routed),
            ("delivered", "Events delivered.", book.delivered),
            ("kept", "Events kept on disk for a later run.", book.kept),
        ):
            write.count(f"tailrace_output_{key}_records_total", description, value, name=name)
        write_reasons(write, "output", "dropped", name, book.dropped)
        write_reasons(write, "output", "rejected", name, book.rejected)
    for input_name, input_book in books.inputs.items():
        write_reasons(write, "input", "dropped", input_name, input_book.dropped)
    for filter_name, filter_book in books.filters.items():
        write_reasons(write, "filter", "dropped", filter_name, filter_book.dropped)
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


def write_reasons(write: Writer, kind: str, what: str, name: str, reasons: dict[str, int]) -> None:
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


def write_plugins(write: Writer, registry: MetricRegistry, prefix: str = "") -> None:
    """What plugins count of their own under names that begin so; without a prefix, all that stands with none."""
    for family in registry.families.values():
        if prefix != next((each for each in PLACED if family.name.startswith(each)), ""):
            continue
        kind = COUNTER if family.kind == "counter" else GAUGE
        metric = write.metric(kind, family.name, family.description, family.labels)
        metric.samples += [
            Sample(labels, float(value), write.now_ns) for labels, value in family.values.items()
        ]
