"""The books of the pipeline: where every event went, at every moment.

    in + added = removed + routed + unrouted
    per output: routed to it = delivered + dropped(reason) + rejected(reason) + kept + in flight

`Books.check` gives what does not add up; it is empty at every moment between two turns of the loop.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field


@dataclass(slots=True)
class InputBook:
    """Events of one input; `bytes` as MessagePack, `in_flight_bytes` raw."""

    records: int = 0
    bytes: int = 0
    in_flight_bytes: int = 0
    held_bytes: int = 0
    """In flight as MessagePack."""
    held_chunks: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class FilterBook:
    """What one filter added and took away; `emitted` it put into the pipeline anew."""

    records: int = 0
    bytes: int = 0
    """As MessagePack, of chunks that the filter changed, after it."""
    added: int = 0
    removed: int = 0
    removed_bytes: int = 0
    emitted: int = 0
    emitted_bytes: int = 0
    failed_chunks: int = 0
    dropped: dict[str, int] = field(default_factory=dict)


WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
LATENCY_BUCKETS = (0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 20.0, 30.0)


@dataclass(slots=True)
class RouteBook:
    """What became of one input's events at one output, and how long they took, in seconds."""

    records: int = 0
    bytes: int = 0
    dropped_records: int = 0
    dropped_bytes: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS) + 1))
    """Chunks by the bound of `LATENCY_BUCKETS` that they stay within, then the rest; not cumulative."""
    latency_sum: float = 0.0

    def deliver(self, records: int, nbytes: int, seconds: float) -> None:
        self.records += records
        self.bytes += nbytes
        self.latency[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self.latency_sum += seconds

    def drop(self, records: int, nbytes: int) -> None:
        self.dropped_records += records
        self.dropped_bytes += nbytes


@dataclass(slots=True)
class OutputBook:
    """What became of the events routed to one output."""

    routed: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    in_flight: int = 0
    kept: int = 0
    """Written to the filesystem at the end, for a later run."""
    dropped: dict[str, int] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    retried_records: int = 0
    retries_failed: int = 0
    errors: int = 0
    waits: list[int] = field(default_factory=lambda: [0] * (len(WAIT_BUCKETS) + 1))
    """Retries by the bound of `WAIT_BUCKETS` that their wait stays within; not cumulative."""
    wait_sum: float = 0.0
    routes: dict[str, RouteBook] = field(default_factory=dict)
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


@dataclass(slots=True)
class Books:
    """The books of one pipeline, by instance name."""

    inputs: dict[str, InputBook] = field(default_factory=dict)
    filters: dict[str, FilterBook] = field(default_factory=dict)
    outputs: dict[str, OutputBook] = field(default_factory=dict)
    passed: int = 0
    """Events that came through all filters."""
    unrouted: int = 0
    """Events that no output wanted."""
    unmatched: dict[str, RouteBook] = field(default_factory=dict)
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
