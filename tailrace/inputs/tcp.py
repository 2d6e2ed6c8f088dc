"""Take records from TCP connections: JSON values, or text up to a separator.

Example:
    Name   tcp
    Listen 0.0.0.0
    Port   5170
    Format json

    {"a": 1}{"a": 2}  ->  two events
    [1, 2]            ->  {"msg": [1, 2]}

A client whose data the pipeline can't take fast enough has to wait: nothing is read from it meanwhile. TCP has no way to
confirm a record, so what is under way when the agent is killed is lost; use the inputs `forward` or `http` where that matters.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tailrace.config import group
from tailrace.net.acceptor import Acceptor, accept_settings
from tailrace.net.gathering import Gatherer, ServerInput, until_quiet
from tailrace.net.listener import listening_socket
from tailrace.net.options import ListenOptions, ServerTLSOptions
from tailrace.net.payload import PayloadOptions, Piece, address_of, make_payload
from tailrace.net.tls import server_tls
from tailrace.plugin import InputOptions, input_plugin

DEFAULT_PORT = 5170
LARGE_BYTES = 1 << 20
"""From here on what is not whole is read again only when it has grown by an eighth, or after a second."""


class TcpOptions(InputOptions):
    listen: ListenOptions = group()
    tls: ServerTLSOptions = group()
    payload: PayloadOptions = group()


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, owner: Tcp) -> None:
        self.owner = owner
        self.transport: Any = None
        self.sender = ""
        self.parts: list[bytes] = []
        """What is no whole record yet."""
        self.size = 0
        self.looked_at_size = 0
        self.heard_at = owner.acceptor.now()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.sender = address_of("tcp", transport.get_extra_info("peername"))
        self.owner.inflow.sources.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.read()
        if b"".join(self.parts).strip():
            self.owner.give_up(1, f"{self.sender}: a record is cut off", "cut off")
        self.owner.inflow.forget(self)
        self.owner.acceptor.forget(self)

    @property
    def held_bytes(self) -> int:
        return self.size

    def pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.owner.acceptor.now()
        if not self.size and data[0] in b"\r\n":
            data = data[1:]  # Compat: a message that is only a line's end (conformance: tcp_none)
        self.parts.append(data)
        self.size += len(data)
        if self.size < LARGE_BYTES or self.size > self.looked_at_size * 9 // 8:
            self.read()

    def read(self) -> None:
        """Take the whole records of what has come."""
        data = b"".join(self.parts)
        payload = self.owner.payload
        step = len(data) if not payload.has_long_record(data) else payload.limit
        rest, start = b"", 0
        while start < len(data):
            part = rest + data[start : start + step - len(rest)]
            start += len(part) - len(rest)
            rest = self.take(part)
            if len(rest) >= payload.limit:
                self.cut_off()
                return
        self.parts = [rest] if rest else []
        self.size = self.looked_at_size = len(rest)

    def take(self, data: bytes) -> bytes:
        """Hand on the whole records; what is left."""
        owner = self.owner
        records, rest, refused, why = owner.payload.take(data)
        if records:
            owner.inflow.add(self, Piece(self.sender, records), len(data) - len(rest))
        if refused:
            owner.give_up(refused, f"{self.sender}: dropped: {why}", "unreadable")
        return rest

    def cut_off(self) -> None:
        owner = self.owner
        self.parts, self.size = [], 0
        limit = owner.payload.limit
        owner.give_up(
            1,
            f"{self.sender}: a record is longer than {limit} bytes (buffer_size); the connection is closed",
            "too long",
        )
        self.transport.close()

    def look(self, now: float) -> None:
        if self.size > LARGE_BYTES and self.size > self.looked_at_size:
            self.read()
        idle = self.owner.options.listen.net_io_timeout
        if idle and now - self.heard_at > idle:
            self.owner.context.log.debug(f"{self.sender}: silent for {idle:g} s, closed")
            self.transport.close()

    def shut(self) -> None:
        self.owner.acceptor.spawn(self.leave())

    async def leave(self) -> None:
        await until_quiet(self)
        self.transport.close()


@input_plugin("tcp")
class Tcp(ServerInput[TcpOptions]):
    padding = 4
    grace_seconds = 0.5  # for what has come

    def __init__(self, options: TcpOptions) -> None:
        super().__init__(options)
        self.payload = make_payload(options.payload, self.context)
        self.tls = server_tls(options.tls, self.context.config_dir, self.context.log)
        self.inflow: Gatherer[Piece] = Gatherer(lambda pieces: self.payload.chunk(self.tag, pieces))

    async def start(self) -> None:
        options, log = self.options, self.context.log
        listen = options.listen
        if options.payload.parser and options.payload.format != "none":
            log.debug("a parser reads lines: format none")
        made = listening_socket(
            listen.listen,
            listen.port or DEFAULT_PORT,
            backlog=listen.net_backlog,
            share_port=listen.net_share_port,
        )
        settings = accept_settings(listen, options.tls, self.tls)
        look_seconds = listen.net_io_timeout / 4 if listen.net_io_timeout else 1.0
        self.acceptor = Acceptor(lambda: Session(self), log, settings, look_seconds)
        await self.open([made])
        log.info(f"listening on {listen.listen}:{self.acceptor.ports[0]}")
