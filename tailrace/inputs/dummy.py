"""Make events of a given text, to try a pipeline out.

Example:
    Name  dummy
    Dummy {"message": "hello"}
    Rate  5
"""

from __future__ import annotations

import asyncio
from typing import Any

from tailrace.config import option
from tailrace.model import Chunk
from tailrace.model.chunk import deep_copy
from tailrace.plugin import Emit, Input, InputOptions, input_plugin
from tailrace.wire.json import decode_stream

DEFAULT = {"message": "dummy"}


class DummyOptions(InputOptions):
    dummy: str = option('{"message":"dummy"}')
    """The body as a JSON object, several one after another, or a list. Text that is none gives the default message."""

    metadata: str = option("{}")
    """The metadata as a JSON object."""

    samples: int = option(0)
    """Stop after so many collections; 0: never."""

    rate: int = option(1)
    """Collections a second."""

    interval_sec: int = option(0)
    """Seconds between collections, instead of `rate`."""

    interval_nsec: int = option(0)
    """Nanoseconds to add to `interval_sec`."""

    copies: int = option(1)
    """Events of one collection."""

    start_time_sec: int = option(-1)
    """Time of the first event, seconds since the epoch; then time goes on as it does; -1: the present."""

    start_time_nsec: int = option(-1)
    """Nanoseconds of that time."""

    fixed_timestamp: bool = option(False)
    """Give every event the time of `start_time_sec` and `start_time_nsec`."""

    flush_on_startup: bool = option(False)
    """Make the first events at once instead of after the first interval."""

    test_hang_on_exit: bool = option(False)
    """Accepted for compatibility: a switch of the original's own tests, without effect."""


@input_plugin("dummy")
class Dummy(Input[DummyOptions]):
    padding = 0

    def __init__(self, options: DummyOptions) -> None:
        super().__init__(options)
        self.bodies = self.objects(options.dummy, DEFAULT)
        self.meta = self.objects(options.metadata, {})[0]
        self.base_ns: int | None = None

    def objects(self, text: str, default: dict[str, Any]) -> list[dict[str, Any]]:
        """The objects in a text, or the default with a warning."""
        data = text.encode("utf-8", "surrogateescape") + b"\n"
        values, consumed, error = decode_stream(data)
        if error is not None or consumed < len(data) or not values:
            why = error or "it has no end"
            self.context.log.warn(f"{text!r} is no JSON ({why}); the default is used")
            return [default]
        found = values[0] if len(values) == 1 and isinstance(values[0], list) else values
        if not found or not all(isinstance(item, dict) for item in found):
            self.context.log.warn(f"{text!r} is no JSON object; the default is used")
            return [default]
        return found

    @property
    def interval(self) -> float:
        options = self.options
        seconds = options.interval_sec + options.interval_nsec / 1e9
        return seconds if seconds > 0 else 1 / max(1, options.rate)

    def time_ns(self) -> int:
        """The time of the next event."""
        options, now = self.options, self.context.clock.time_ns()
        if options.start_time_sec < 0 and options.start_time_nsec < 0:
            return now
        start = max(0, options.start_time_sec) * 1_000_000_000 + max(0, options.start_time_nsec)
        if options.fixed_timestamp:
            return start
        if self.base_ns is None:
            self.base_ns = now
        return start + now - self.base_ns

    def collect(self) -> Chunk:
        times, bodies = [], []
        for _ in range(max(1, self.options.copies)):
            for body in self.bodies:
                times.append(self.time_ns())
                bodies.append(deep_copy(body))
        metadata = [dict(self.meta) for _ in bodies] if self.meta else None
        return Chunk(self.tag, times, bodies, metadata)

    async def run(self, emit: Emit) -> None:
        clock = self.context.clock
        collected, due = 0, clock.monotonic()
        if not self.options.flush_on_startup:
            due += self.interval
        while self.options.samples <= 0 or collected < self.options.samples:
            wait = due - clock.monotonic()
            if wait > 0:
                await clock.sleep(wait)
            due = max(due + self.interval, clock.monotonic() - 1)
            await emit(self.collect())
            collected += 1
        await asyncio.Event().wait()
