"""Send events over TCP, with or without TLS.

Example:
    Name   tcp
    Match  *
    Host   logs.example
    Port   5170
    Format json_lines

Nothing comes back over this protocol: what the system took counts as delivered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tailrace.config import group, option
from tailrace.model import Chunk
from tailrace.net.client import ClientOptions, open_upstream
from tailrace.net.formats import LAYOUTS, chunk_encoder, known_layout, raw_lines
from tailrace.plugin import Connections, Output, OutputOptions, output_plugin


class TCPOptions(OutputOptions):
    client: ClientOptions = group()

    format: str = option("msgpack")
    """msgpack, json (an array), json_stream or json_lines. An unknown one is reported and counts as msgpack."""

    json_date_format: str = option("double")
    """double, iso8601, iso8601_ns, epoch, epoch_ms or java_sql_timestamp."""

    json_date_key: str = option("date")
    """The key of the time in JSON; false leaves it out."""

    raw_message_key: str = option("")
    """Send this alone, a line for each event: a template such as $log. `format` does not count then."""


@output_plugin("tcp")
class TCP(Output[TCPOptions]):
    def __init__(self, options: TCPOptions) -> None:
        super().__init__(options)
        self.encode = self.encoder()
        self.upstream = open_upstream(options.client, self.context, port=5170, one_way=True)

    def encoder(self) -> Callable[[Chunk], bytes]:
        options = self.options
        if options.raw_message_key:
            lines = raw_lines("raw_message_key", options.raw_message_key)
            return lambda chunk: b"".join(lines(chunk))
        layout = known_layout(options.format, LAYOUTS, self.context.log)
        return chunk_encoder(layout, options.json_date_key, options.json_date_format, self.context)

    def connections(self) -> Connections:
        return self.upstream.connections()

    @property
    def confirms(self) -> bool:
        return False

    async def stop(self) -> None:
        await self.upstream.close()

    async def flush(self, chunk: Chunk) -> None:
        async with self.upstream.connection() as connection:
            await connection.send(self.encode(chunk))
            await asyncio.sleep(0)  # lets the loop see that the other side has hung up
            connection.check()
