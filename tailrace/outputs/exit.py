"""End the agent after some flushes, events or seconds; for tests.

Example:
    Name         exit
    Match        *
    Record_Count 100

Without an option it ends the agent at the first flush. Other outputs deliver what they have.
"""

from __future__ import annotations

from tailrace.config import option
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk
from tailrace.plugin import Output, OutputOptions, output_plugin


class ExitOptions(OutputOptions):
    flush_count: int = option(-1)
    """End at this flush; -1: does not count."""

    record_count: int = option(-1)
    """End when so many events have come; -1: does not count."""

    time_count: int = option(-1)
    """End at the first flush after so many seconds; -1: does not count."""


@output_plugin("exit")
class Exit(Output[ExitOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES

    def __init__(self, options: ExitOptions) -> None:
        super().__init__(options)
        counts = (options.flush_count, options.record_count, options.time_count)
        self.most_flushes = 1 if counts == (-1, -1, -1) else options.flush_count
        self.flushes = 0
        self.records = 0
        self.started_at = self.context.clock.monotonic()
        self.is_over = False

    async def flush(self, chunk: Chunk) -> None:
        options = self.options
        self.flushes += 1
        self.records += chunk.count if chunk.kind is LOGS else 0
        seconds = self.context.clock.monotonic() - self.started_at
        is_enough = (
            0 <= self.most_flushes <= self.flushes
            or 0 <= options.record_count <= self.records
            or 0 < options.time_count < seconds
        )
        if is_enough and not self.is_over:
            self.is_over = True
            self.context.log.info("the agent stops: enough has come")
            self.context.stop_agent()
