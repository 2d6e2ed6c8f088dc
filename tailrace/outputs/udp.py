"""Send events over UDP, one datagram for each.

Example:
    Name   udp
    Match  *
    Host   logs.example
    Port   5170
    Format json_lines

UDP promises nothing: a datagram that got lost on its way is not missed here. An event that is too large for a datagram is refused.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from tailrace.config import group, option
from tailrace.model import Chunk
from tailrace.net.formats import LAYOUTS, event_encoder, known_layout, raw_lines
from tailrace.net.options import ConnectOptions, HostOptions
from tailrace.net.upstream import resolve
from tailrace.plugin import Output, OutputOptions, Partial, Reject, Retry, output_plugin

APPLY = (
    "net_dns_mode",
    "net_dns_resolver",
    "net_dns_prefer_ipv4",
    "net_dns_prefer_ipv6",
    "net_source_address",
)
TURN = 256
"""Datagrams between two pauses in which others have their turn."""
TOO_LARGE = "the event is too large for a datagram"


class UDPOptions(OutputOptions):
    server: HostOptions = group()
    net: ConnectOptions = group()

    format: str = option("msgpack")
    """msgpack, json (an array of one), json_stream or json_lines. Compat: the documented default of Fluent Bit is json_lines, but it sends msgpack."""

    json_date_format: str = option("double")
    """double, iso8601, iso8601_ns, epoch, epoch_ms or java_sql_timestamp."""

    json_date_key: str = option("date")
    """The key of the time in JSON; false leaves it out."""

    raw_message_key: str = option("")
    """Send this alone, with a newline: a template such as $log. `format` does not count then."""


@output_plugin("udp")
class UDP(Output[UDPOptions]):
    def __init__(self, options: UDPOptions) -> None:
        super().__init__(options)
        self.host = options.server.host or "127.0.0.1"
        self.port = options.server.port or 5170
        self.encode = self.encoder()
        self.socket: socket.socket | None = None
        for name, spec in options.net._declared.items():
            if name not in APPLY and getattr(options.net, name) != spec.default:
                self.context.log.warn(f"{spec.name} means nothing for UDP and is passed over")

    def encoder(self) -> Callable[[Chunk], list[bytes]]:
        options = self.options
        if options.raw_message_key:
            return raw_lines("raw_message_key", options.raw_message_key)
        layout = known_layout(options.format, LAYOUTS, self.context.log)
        return event_encoder(layout, options.json_date_key, options.json_date_format, self.context)

    @property
    def confirms(self) -> bool:
        return False

    async def stop(self) -> None:
        self.close()

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    async def flush(self, chunk: Chunk) -> None:
        too_large: list[int] = []
        try:
            sock = self.socket or await self.open()
            for index, message in enumerate(self.encode(chunk)):
                if not await send(sock, message):
                    too_large.append(index)
                if index % TURN == TURN - 1:
                    await asyncio.sleep(0)
        except OSError as error:
            self.close()
            why = error.strerror or str(error)
            raise Retry(f"{self.host}:{self.port} can't be sent to: {why}") from error
        if len(too_large) == chunk.count and too_large:
            raise Reject(TOO_LARGE)
        if too_large:
            refused = [(chunk.slice(index, index + 1), TOO_LARGE) for index in too_large]
            raise Partial(TOO_LARGE, None, refused)

    async def open(self) -> socket.socket:
        """A socket that sends to the server; its name is resolved anew. `OSError` if there is none."""
        net, service = self.options.net, self.context.service
        addresses = await resolve(
            self.host,
            self.port,
            net.net_dns_prefer_ipv4 or bool(service("dns.prefer_ipv4")),
            net.net_dns_prefer_ipv6 or bool(service("dns.prefer_ipv6")),
            socket.SOCK_DGRAM,
        )
        failure: OSError | None = None
        for family, address in addresses:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            try:
                sock.setblocking(False)
                if net.net_source_address:
                    sock.bind((net.net_source_address, 0))
                sock.connect(address)
            except OSError as error:
                sock.close()
                failure = error
            else:
                self.socket = sock
                return sock
        raise failure or OSError(f"{self.host} has no address")


async def send(sock: socket.socket, message: bytes) -> bool:
    """Send a datagram, waiting for room; False if it is too large for one."""
    while True:
        try:
            sock.send(message)
        except BlockingIOError:
            await writable(sock)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                return False
            raise
        else:
            return True


async def writable(sock: socket.socket) -> None:
    """Wait until the socket takes something."""
    loop = asyncio.get_running_loop()
    room = asyncio.Event()
    loop.add_writer(sock, room.set)
    try:
        await room.wait()
    finally:
        loop.remove_writer(sock)
