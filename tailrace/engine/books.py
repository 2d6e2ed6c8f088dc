"""The books of the pipeline: where every event went, at every moment.

    in + added = removed + routed + unrouted
    per output: routed to it = delivered + dropped(reason) + rejected(reason) + kept + in flight

`Books.check` gives what does not add up; it is empty at every moment between two turns of the loop.

Plain classes: dataclasses of this many fields would cost 3 ms of every start.
"""

from __future__ import annotations

from bisect import bisect_left


class InputBook:
    """Events of one input; `bytes` as MessagePack, `in_flight_bytes` raw."""

    __slots__ = (
        "byte_change",
        "bytes",
        "dropped",
        "held_bytes",
        "held_chunks",
        "in_flight_bytes",
        "record_change",
        "records",
    )

    def __init__(self, records: int = 0) -> None:
        self.records = records
        self.bytes = 0
        self.record_change = 0
        """What its processors made of its records: Fluent Bit counts an input behind them."""
        self.byte_change = 0
        self.in_flight_bytes = 0
        self.held_bytes = 0
        """In flight as MessagePack."""
        self.held_chunks = 0
        self.dropped: dict[str, int] = {}


class ProcessorBook:
    """How often one processor was run, and the logs before and behind it; under Fluent Bit's labels."""

    __slots__ = ("added", "dropped", "errors", "invocations", "items_in", "items_out")

    def __init__(self) -> None:
        self.invocations = 0
        self.errors = 0
        self.items_in = 0
        self.items_out = 0
        self.dropped = 0
        self.added = 0

    def count(self, before: int, after: int) -> None:
        """A chunk of logs had so many events before and behind it."""
        self.items_in += before
        self.items_out += after
        if after < before:
            self.dropped += before - after
        else:
            self.added += after - before


ProcessorLabels = tuple[str, str, str, str, str]
"""Scope (input or output), owner, processor, stage (its place), signal."""


class FilterBook:
    """What one filter added and took away; `emitted` it put into the pipeline anew."""

    __slots__ = (
        "added",
        "bytes",
        "dropped",
        "emitted",
        "emitted_bytes",
        "failed_chunks",
        "is_processor",
        "records",
        "removed",
        "removed_bytes",
    )

    def __init__(self, added: int = 0, removed: int = 0, emitted: int = 0) -> None:
        self.records = 0
        self.bytes = 0
        """As MessagePack, of chunks that the filter changed, after it."""
        self.added = added
        self.removed = removed
        self.removed_bytes = 0
        self.emitted = emitted
        self.emitted_bytes = 0
        self.failed_chunks = 0
        self.dropped: dict[str, int] = {}
        self.is_processor = False
        """It is no filter: Fluent Bit tells of it under other names."""


WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
LATENCY_BUCKETS = (0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 30.0)


class RouteBook:
    """What became of one input's events at one output, and how long they took, in seconds."""

    __slots__ = (
        "bytes",
        "dropped_bytes",
        "dropped_records",
        "latency",
        "latency_sum",
        "records",
    )

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.dropped_records = 0
        self.dropped_bytes = 0
        self.latency = [0] * (len(LATENCY_BUCKETS) + 1)
        """Chunks by the bound of `LATENCY_BUCKETS` that they stay within, then the rest; not cumulative."""
        self.latency_sum = 0.0

    def deliver(self, records: int, nbytes: int, seconds: float) -> None:
        self.records += records
        self.bytes += nbytes
        self.latency[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self.latency_sum += seconds

    def drop(self, records: int, nbytes: int) -> None:
        self.dropped_records += records
        self.dropped_bytes += nbytes


class OutputBook:
    """What became of the events routed to one output."""

    __slots__ = (
        "delivered",
        "delivered_bytes",
        "dropped",
        "errors",
        "in_flight",
        "kept",
        "rejected",
        "retried_records",
        "retries",
        "retries_failed",
        "routed",
        "routes",
        "wait_sum",
        "waits",
    )

    def __init__(self, routed: int = 0, delivered: int = 0, in_flight: int = 0) -> None:
        self.routed = routed
        self.delivered = delivered
        self.delivered_bytes = 0
        self.in_flight = in_flight
        self.kept = 0
        """Written to the filesystem at the end, for a later run."""
        self.dropped: dict[str, int] = {}
        self.rejected: dict[str, int] = {}
        self.retries = 0
        self.retried_records = 0
        self.retries_failed = 0
        self.errors = 0
        self.waits = [0] * (len(WAIT_BUCKETS) + 1)
        """Retries by the bound of `WAIT_BUCKETS` that their wait stays within; not cumulative."""
        self.wait_sum = 0.0
        self.routes: dict[str, RouteBook] = {}
        """By the name of the source."""

    def wait(self, seconds: float) -> None:
        """Count a retry that waits so long."""
        self.waits[bisect_left(WAIT_BUCKETS, seconds)] += 1
        self.wait_sum += seconds

    def drop(self, count: int, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + count

    def reject(self, count: int, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + count

    @property
    def remainder(self) -> int:
        """0 while the books balance."""
        gone = self.delivered + sum(self.dropped.values()) + sum(self.rejected.values())
        return self.routed - gone - self.kept - self.in_flight


class TagBook:
    """Events by the input that they came from and their tag, as far as the limits go."""

    __slots__ = ("counts", "untracked")

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}
        self.untracked: dict[tuple[str, str], int] = {}
        """Events that are not counted by their tag, by input and reason."""

    def add(self, name: str, tag: str, records: int, most_series: int, longest: int) -> None:
        """Limits of 0 and less are none."""
        key = name, tag
        if longest > 0 and len(tag.encode("utf-8", "surrogateescape")) > longest:
            self._pass_over(name, "tag_length_limit", records)
        elif key in self.counts or not 0 < most_series <= len(self.counts):
            self.counts[key] = self.counts.get(key, 0) + records
        else:
            self._pass_over(name, "max_series", records)

    def _pass_over(self, name: str, reason: str, records: int) -> None:
        self.untracked[name, reason] = self.untracked.get((name, reason), 0) + records


class Books:
    """The books of one pipeline, by instance name."""

    __slots__ = (
        "filters",
        "inputs",
        "outputs",
        "passed",
        "processors",
        "tags",
        "unmatched",
        "unrouted",
    )

    def __init__(
        self,
        inputs: dict[str, InputBook] | None = None,
        filters: dict[str, FilterBook] | None = None,
        outputs: dict[str, OutputBook] | None = None,
        passed: int = 0,
        unrouted: int = 0,
    ) -> None:
        self.inputs = {} if inputs is None else inputs
        self.filters = {} if filters is None else filters
        self.outputs = {} if outputs is None else outputs
        self.tags = TagBook()
        self.passed = passed
        """Events that came through all filters."""
        self.unrouted = unrouted
        """Events that no output wanted."""
        self.processors: dict[ProcessorLabels, ProcessorBook] = {}
        self.unmatched: dict[str, RouteBook] = {}
        """The same of logs, by their source."""

    def remainder(self) -> int:
        """Events that came in and went nowhere; 0 while the books balance."""
        came = sum(book.records for book in self.inputs.values())
        came += sum(book.added + book.emitted for book in self.filters.values())
        went = sum(book.removed for book in self.filters.values()) + self.passed
        return came - went

    def check(self) -> list[str]:
        """What does not add up, in words."""
        wrong = []
        if self.remainder():
            wrong.append(f"{self.remainder()} events came in and neither passed nor were removed")
        for name, book in self.outputs.items():
            if book.remainder:
                wrong.append(f"output {name}: {book.remainder} routed events are unaccounted for")
        return wrong
