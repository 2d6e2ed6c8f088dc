"""Take everything and keep nothing: to measure a pipeline or to silence a route.

Example:
    Name  null
    Match *
"""

from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk
from tailrace.plugin import Output, OutputOptions, output_plugin


@output_plugin("null")
class Null(Output[OutputOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES

    async def flush(self, chunk: Chunk) -> None:
        """Deliver nothing."""
