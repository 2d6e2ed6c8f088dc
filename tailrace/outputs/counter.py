"""Print how many events each flush holds.

Example:
    Name  counter
    Match *

    {"ts":1700000000.000000,"serialized_events":3,"log_records":3,"total":3}
"""

from __future__ import annotations

import sys

from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk
from tailrace.plugin import Output, OutputOptions, Retry, output_plugin


class CounterOptions(OutputOptions):
    """It takes what every output takes."""


@output_plugin("counter")
class Counter(Output[CounterOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES

    async def flush(self, chunk: Chunk) -> None:
        seconds = self.context.clock.time_ns() / 1e9
        logs = chunk.count if chunk.kind is LOGS else 0
        line = (
            f'{{"ts":{seconds:.6f},"serialized_events":{chunk.count},'
            f'"log_records":{logs},"total":{chunk.count}}}\n'
        )
        try:
            sys.stdout.write(line)
            sys.stdout.flush()
        except OSError as error:
            raise Retry(f"standard output can't be written: {error.strerror}") from error
