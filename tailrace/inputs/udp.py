"""Take records from UDP datagrams: JSON values, or text up to a separator.

Example:
    Name   udp
    Listen 0.0.0.0
    Port   5170
    Format none

    a datagram "one\\ntwo"  ->  {"log": "one"}, {"log": "two"}

Each datagram stands for itself. Nobody is told of a datagram that is lost: when the pipeline is full, or the agent is busy
for longer than the socket's buffer lasts, the system drops what comes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from tailrace.config import group
from tailrace.model import Chunk
from tailrace.net.gathering import Gatherer, InflowInput
from tailrace.net.listener import datagram_socket
from tailrace.net.options import ListenOptions
from tailrace.net.payload import PayloadOptions, Piece, address_of, make_payload
from tailrace.plugin import InputOptions, input_plugin
from tailrace.plugin.log import Log

DEFAULT_PORT = 5170
LARGEST_DATAGRAM = 65_535
BURST = 256
"""Datagrams that are read before others in the loop get their turn."""
BUFFER_BYTES = 4 << 20
"""What the socket is asked to hold; the system may allow less (net.core.rmem_max)."""
FORCE_BUFFER = 33
"""SO_RCVBUFFORCE: beyond rmem_max, for those who may administer the network."""


Datagram = tuple[bytes, Any]
"""What came, and from where."""


class UdpOptions(InputOptions):
    listen: ListenOptions = group()
    payload: PayloadOptions = group()


class Drain:
    """Takes what a socket holds, as long as it may. The protocol classes of asyncio lost 0.2 % where this lost none."""

    def __init__(
        self, source: socket.socket, take: Callable[[list[Datagram]], None], log: Log
    ) -> None:
        self.source = source
        self.take = take
        self.log = log
        self.is_paused = True

    def pause(self) -> None:
        if not self.is_paused:
            self.is_paused = True
            asyncio.get_running_loop().remove_reader(self.source)

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            asyncio.get_running_loop().add_reader(self.source, self.run)

    def run(self) -> None:
        found: list[Datagram] = []
        receive = self.source.recvfrom
        try:
            for _ in range(BURST):
                found.append(receive(LARGEST_DATAGRAM))  # noqa: PERF401  # what came before an error is kept
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.log.warn(f"can't receive: {error.strerror}")
        if found:
            self.take(found)

    def close(self) -> None:
        """Take what is there, then close the socket."""
        self.pause()
        self.is_paused = False
        self.run()
        self.source.close()


@input_plugin("udp")
class Udp(InflowInput[UdpOptions]):
    padding = 4

    def __init__(self, options: UdpOptions) -> None:
        super().__init__(options)
        self.payload = make_payload(options.payload, self.context)
        asked = max(options.payload.chunk_size, options.payload.buffer_size)
        self.limit = asked or LARGEST_DATAGRAM
        self.inflow: Gatherer[list[Datagram]] = Gatherer(self.read)
        self.drain: Drain | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.drain.source.getsockname()[1]) if self.drain is not None else 0

    async def start(self) -> None:
        listen, log = self.options.listen, self.context.log
        made = datagram_socket(
            listen.listen, listen.port or DEFAULT_PORT, share_port=listen.net_share_port
        )
        widen(made)
        self.drain = Drain(made, self.take, log)
        self.inflow.sources.add(self.drain)
        self.drain.resume()
        log.info(f"listening on {listen.listen}:{self.port}")

    def take(self, datagrams: list[Datagram]) -> None:
        """Keep what came; it is read when the pipeline takes it, so that the socket is emptied first."""
        assert self.drain is not None
        self.inflow.add(self.drain, datagrams, sum(len(data) for data, _ in datagrams))

    def read(self, batches: list[list[Datagram]]) -> Chunk | None:
        """A chunk of all that has come."""
        datagrams = [
            each
            for batch in batches
            for each in batch
            if len(each[0]) <= self.limit or self.refuse(each)
        ]
        pieces: list[Piece] = []
        wants_sender = bool(self.options.payload.source_address_key)
        each_taken = self.payload.take_each([data for data, _ in datagrams])
        for (_, address), taken in zip(datagrams, each_taken, strict=True):
            records, _, refused, why = taken
            if records:
                pieces.append(Piece(address_of("udp", address) if wants_sender else "", records))
            if refused:
                sender = address_of("udp", address)
                self.give_up(refused, f"{sender}: dropped: {why}", "unreadable")
        return self.payload.chunk(self.tag, pieces) if pieces else None

    def refuse(self, datagram: Datagram) -> bool:
        """Count a datagram that is too long; always False."""
        size, sender = len(datagram[0]), address_of("udp", datagram[1])
        why = f"a datagram of {size} bytes is longer than {self.limit} (buffer_size)"
        self.give_up(1, f"{sender}: dropped: {why}", "too long")
        return False

    async def stop(self) -> None:
        if self.drain is not None:
            self.drain.close()
            self.inflow.forget(self.drain)
            self.drain = None


def widen(made: socket.socket) -> None:
    """Have the system hold as much as it allows while the agent is busy."""
    try:
        made.setsockopt(socket.SOL_SOCKET, FORCE_BUFFER, BUFFER_BYTES)
    except OSError:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
