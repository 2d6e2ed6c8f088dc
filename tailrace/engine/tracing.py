"""Chunk traces: what each stage made of an input's events, for whoever looks (`/api/v1/trace`, `--trace`, `tailrace tap`).

The records of a trace have Fluent Bit's shape: type 1 is what the input gave, 2 what a filter made of it, 3 what goes
to the outputs, 4 what an output said (0 refused, 1 delivered, 2 to be tried again). Times are whole seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tailrace.engine.build import Instance
from tailrace.model import LOGS, Chunk

INPUT, FILTER, PRE_OUTPUT, OUTPUT = 1, 2, 3, 4
REFUSED, DELIVERED, RETRYING = 0, 1, 2
MOST_RECORDS = 1000
"""Events of one chunk that a trace shows."""

Deliver = Callable[[int, dict[str, Any]], None]
"""Takes one record of a trace with its time in nanoseconds."""


class Tracer:
    """Traces the chunks of one input until it is told to stop or a limit is reached.

    `most_chunks`, `most_seconds`: 0 is without limit.
    """

    def __init__(
        self,
        source: Instance,
        prefix: str,
        deliver: Deliver,
        most_chunks: int = 0,
        most_seconds: float = 0.0,
    ) -> None:
        self.source = source
        self.deliver = deliver
        self._prefix = prefix
        self._count = 0
        self._most_chunks = most_chunks
        self._ends_at = time.monotonic() + most_seconds if most_seconds else 0.0

    @property
    def is_over(self) -> bool:
        """Whether a limit is reached."""
        if self._most_chunks and self._count >= self._most_chunks:
            return True
        return bool(self._ends_at) and time.monotonic() > self._ends_at

    def begin(self, chunk: Chunk) -> Trace | None:
        """The trace of one chunk as its input gave it; None if there is none to be made."""
        if chunk.kind is not LOGS or self.is_over:
            return None
        trace = Trace(self, f"{self._prefix}{self._count}")
        self._count += 1
        trace.tell_input(INPUT, chunk)
        return trace


class Trace:
    """One chunk on its way."""

    __slots__ = ("_id", "_tracer")

    def __init__(self, tracer: Tracer, trace_id: str) -> None:
        self._tracer = tracer
        self._id = trace_id

    def tell_input(self, kind: int, chunk: Chunk) -> None:
        """Type 1 or 3."""
        now = time.time_ns()
        self._tracer.deliver(
            now,
            {
                "type": kind,
                "trace_id": self._id,
                **names_of(self._tracer.source),
                "records": records_of(chunk),
                "start_time": now // 10**9,
                "end_time": now // 10**9,
            },
        )

    def tell_filter(self, instance: Instance, chunk: Chunk, start_ns: int) -> None:
        now = time.time_ns()
        self._tracer.deliver(
            now,
            {
                "type": FILTER,
                "start_time": start_ns // 10**9,
                "end_time": now // 10**9,
                "trace_id": self._id,
                **names_of(instance),
                "records": records_of(chunk),
            },
        )

    def tell_output(self, instance: Instance, result: int) -> None:
        now = time.time_ns()
        self._tracer.deliver(
            now,
            {
                "type": OUTPUT,
                "trace_id": self._id,
                **names_of(instance),
                "return": result,
                "start_time": now // 10**9,
                "end_time": now // 10**9,
            },
        )


def names_of(instance: Instance) -> dict[str, str]:
    """The numbered name, and the alias if it has one."""
    names = {"plugin_instance": instance.unique}
    if instance.name != instance.unique:
        names["plugin_alias"] = instance.name
    return names


def records_of(chunk: Chunk) -> list[dict[str, Any]]:
    """The events as a trace shows them; bodies are copied, since filters go on changing them."""
    shown = (
        chunk.copy(deep=True)
        if chunk.count <= MOST_RECORDS
        else chunk.slice(0, MOST_RECORDS).copy(deep=True)
    )
    records: list[dict[str, Any]] = [
        {"timestamp": time_ns // 10**9, "record": body}
        for time_ns, body in zip(shown.times, shown.bodies, strict=True)
    ]
    for record, group in zip(records, shown.groups or (), strict=False):
        if group is not None:
            record["group"] = group.body
    return records
