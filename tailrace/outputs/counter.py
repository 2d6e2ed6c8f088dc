"""Print how many events each flush holds.

Example:
    Name  counter
    Match *

    {"ts":1700000000.000000,"serialized_events":3,"log_records":3,"total":3}

Serialized events are all that the flush holds as MessagePack: before and behind the log records of an OpenTelemetry resource there is one more each.
"""

from __future__ import annotations

from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk, group_runs
from tailrace.plugin import Output, OutputOptions, Retry, output_plugin
from tailrace.plugin.console import write_stdout
from tailrace.wire.packed import may_hold_marks


class CounterOptions(OutputOptions):
    """It takes what every output takes."""


@output_plugin("counter")
class Counter(Output[CounterOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES

    async def flush(self, chunk: Chunk) -> None:
        seconds = self.context.clock.time_ns() / 1e9
        logs = chunk.count if chunk.kind is LOGS else 0
        events = chunk.count + (marks_of(chunk) if logs else 0)
        line = (
            f'{{"ts":{seconds:.6f},"serialized_events":{events},'
            f'"log_records":{logs},"total":{events}}}\n'
        )
        try:
            await write_stdout(line.encode())
        except OSError as error:
            raise Retry(f"standard output can't be written: {error.strerror}") from error


def marks_of(chunk: Chunk) -> int:
    """How many events mark begin and end of its groups."""
    if chunk.packed is not None and not may_hold_marks(chunk.packed):
        return 0
    return sum(2 for group, _, _ in group_runs(chunk.groups or ()) if group is not None)
