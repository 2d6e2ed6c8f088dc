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
from tailrace.net.formats import LAYOUTS, chunk_encoder, known_layout, raw_lines
from tailrace.net.options import ConnectOptions, HostOptions, ProxyTLSOptions, TLSOptions
from tailrace.net.tls import client_tls, proxy_tls
from tailrace.net.upstream import Server, Upstream
from tailrace.plugin import Output, OutputOptions, output_plugin


class TCPOptions(OutputOptions):
    server: HostOptions = group()
    tls: TLSOptions = group()
    tls_proxy: ProxyTLSOptions = group("tls.proxy.")
    net: ConnectOptions = group()

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
        context = self.context
        self.encode = self.encoder()
        self.upstream = Upstream(
            Server(
                options.server.host or "127.0.0.1",
                options.server.port or 5170,
                tls_name=options.tls.tls_vhost,
            ),
            options.net,
            context,
            client_tls(options.tls, context.config_dir, context.log),
            tls_debug=options.tls.tls_debug,
            one_way=True,
            proxy_tls=lambda: proxy_tls(options.tls_proxy, context.config_dir),
        )

    def encoder(self) -> Callable[[Chunk], bytes]:
        options = self.options
        if options.raw_message_key:
            lines = raw_lines("raw_message_key", options.raw_message_key)
            return lambda chunk: b"".join(lines(chunk))
        layout = known_layout(options.format, LAYOUTS, self.context.log)
        return chunk_encoder(layout, options.json_date_key, options.json_date_format, self.context)

    async def stop(self) -> None:
        await self.upstream.close()

    async def flush(self, chunk: Chunk) -> None:
        async with self.upstream.connection() as connection:
            await connection.send(self.encode(chunk))
            await asyncio.sleep(0)  # lets the loop see that the other side has hung up
            connection.check()
