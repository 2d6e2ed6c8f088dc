"""Take everything and keep nothing: to measure a pipeline or to silence a route.

Example:
    Name  null
    Match *

With a `format` the events are encoded before they are thrown away, which shows what that format costs.
"""

from collections.abc import Callable

from tailrace.config import option
from tailrace.model import LOGS, METRICS, PROFILES, TRACES, Chunk
from tailrace.plugin import Output, OutputOptions, output_plugin
from tailrace.plugin.log import Log


class NullOptions(OutputOptions):
    format: str = option("")
    """Encode the events in this format first: msgpack, json, json_stream or json_lines; default: do nothing."""

    json_date_format: str = "double"
    """Form of the date: double, epoch, epoch_ms, epoch_us, iso8601 or java_sql_timestamp."""

    json_date_key: str = "date"
    """Key of the date; `false`: no date."""


@output_plugin("null")
class Null(Output[NullOptions]):
    handles = LOGS | METRICS | TRACES | PROFILES
    preferred_bytes = 1 << 16

    def __init__(self, options: NullOptions) -> None:
        super().__init__(options)
        self.encode = encoder(options, self.context.log) if options.format else None

    async def flush(self, chunk: Chunk) -> None:
        """Deliver nothing."""
        if self.encode is not None and chunk.kind is LOGS:
            self.encode(chunk)


def encoder(options: NullOptions, log: Log) -> Callable[[Chunk], bytes]:
    """What turns a chunk into bytes of the format that was asked for; what it needs is imported for it alone."""
    from tailrace.net.formats import LAYOUTS, known_layout

    layout = known_layout(options.format, LAYOUTS, log)
    if layout == "msgpack":
        from tailrace.wire.msgpack import encode_events

        return lambda chunk: encode_events(chunk.times, chunk.metadata, chunk.bodies, chunk.groups)
    from tailrace.wire.records import text_encoder

    return text_encoder(options.json_date_key, options.json_date_format, layout)
