"""One connection of a client that speaks the Forward protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tailrace.model import Chunk, Decoded, Receipt
from tailrace.net.acceptor import Outflow, peer_of
from tailrace.net.gathering import BATCH_BYTES, until_quiet
from tailrace.wire.compression import CompressionError, decompress
from tailrace.wire.forward import ForwardError
from tailrace.wire.forward.admission import MOST_PING_BYTES, Challenge
from tailrace.wire.forward.entries import Entries, read_entries, read_packed
from tailrace.wire.forward.reading import (
    Listed,
    Message,
    Packed,
    Singles,
    ack,
    read_messages,
)
from tailrace.wire.forward.stream import MessageStream
from tailrace.wire.packed import (
    borders,
    count_packed,
    decode_packed,
    grouped,
    split_packed,
    unpack_value,
    with_text_keys,
)

if TYPE_CHECKING:
    from tailrace.inputs.forward import Forward

LOG_SIGNAL = 0
MOST_UNREAD_ACKS = 1 << 20
"""Bytes of answers that a client may leave unread; then its connection is closed."""
MESSAGE_PADDING = 4
"""What Fluent Bit writes more than need be for an event that came as a message of its own; the other modes have none."""


class Session(asyncio.Protocol):
    """Reads messages, hands their events on and acknowledges them when their receipts are settled."""

    def __init__(self, owner: Forward) -> None:
        self.owner = owner
        self.transport: Any = None
        self.peer = ""
        self.challenge = Challenge(owner.guard) if owner.guard is not None else None
        """What the client has to prove itself against, until it has."""
        self.stream = MessageStream(MOST_PING_BYTES if self.challenge else owner.limit)
        self.since = self.heard_at = owner.acceptor.now()
        self.unacknowledged = 0
        """Messages whose client waits for an answer."""
        self.all_acknowledged = asyncio.Event()
        self.outflow = Outflow()
        self.is_over = False

    # The connection

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.peer = peer_of(transport) or "a local client"
        self.owner.inflow.sources.add(self)
        if self.challenge is not None:
            transport.write(self.challenge.helo())

    def eof_received(self) -> bool:
        """A client that sends no more may still wait for answers."""
        if self.unacknowledged:
            self.owner.acceptor.spawn(self.finish())
        return bool(self.unacknowledged)

    def connection_lost(self, error: Exception | None) -> None:
        if self.stream.pending and not self.is_over and self.challenge is None:
            self.owner.give_up(1, f"{self.peer}: a message is cut off", "cut off")
        self.is_over = True
        self.all_acknowledged.set()  # nobody waits any more
        self.owner.inflow.forget(self)
        self.owner.acceptor.forget(self)

    @property
    def held_bytes(self) -> int:
        return self.stream.pending

    def pause(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing() and not self.is_over:
            self.transport.resume_reading()

    def look(self, now: float) -> None:
        listen = self.owner.options.listen
        if self.challenge is not None:
            if listen.net_accept_timeout and now - self.since > listen.net_accept_timeout:
                self.owner.context.log.warn(f"{self.peer}: the handshake takes too long; closed")
                self.end()
            return
        idle = listen.net_io_timeout
        if idle and now - self.heard_at > idle and not self.unacknowledged:
            self.owner.context.log.debug(f"{self.peer}: silent for {idle:g} s, closed")
            self.end()
        elif self.outflow.stands_still(self.transport, now, idle):
            self.transport.abort()

    def shut(self) -> None:
        """Take what has come, but no more; who waits for answers gets a moment for them."""
        self.owner.acceptor.spawn(self.leave())

    async def leave(self) -> None:
        """What the system holds for this connection would be lost with it, and not all clients ask for answers."""
        await until_quiet(self)
        self.pause()
        self.is_over = True
        await self.finish()

    async def finish(self) -> None:
        if self.unacknowledged:
            await self.all_acknowledged.wait()
        self.transport.close()

    def end(self) -> None:
        self.is_over = True
        self.transport.close()

    def refuse(self, why: str) -> None:
        """Count what can't be taken, and close."""
        self.owner.give_up(1, f"{self.peer}: {why}; the connection is closed", "protocol error")
        self.end()

    # Messages

    def data_received(self, data: bytes) -> None:
        if self.is_over:
            return
        self.heard_at = self.owner.acceptor.now()
        block, count, error = self.stream.feed(data)
        if self.challenge is not None:
            if not count and not error:
                return
            ping = borders(block)[0][0][1] if count else 0
            if not self.admit(self.challenge, unpack_value(block[:ping]) if ping else None, error):
                self.end()
                return
            block, count = block[ping:], count - 1
        try:
            if count:
                self.take(read_messages(block, count))
        except ForwardError as problem:
            error = str(problem)
        if error:
            self.refuse(error)

    def take(self, messages: list[Message | ForwardError]) -> None:
        """Hand on the events of messages, up to one that can't be taken."""
        for message in messages:
            if type(message) is Packed:
                self.put_packed(message)
            elif type(message) is Singles:
                self.put_singles(message)
            elif type(message) is Listed:
                self.put_entries(message, read_entries(message.entries), message.nbytes)
            elif type(message) is ForwardError:
                raise message

    def admit(self, challenge: Challenge, ping: Any, error: str) -> bool:
        """Whether the client may send from now on."""
        log = self.owner.context.log
        try:
            if error:
                raise ForwardError(error)
            pong, is_admitted = challenge.check(ping)
        except ForwardError as problem:
            log.error(f"{self.peer}: refused: {problem}")
            return False
        self.transport.write(pong)
        if not is_admitted:
            log.warn(f"{self.peer}: refused: no such user, or another password")
            return False
        self.challenge = None
        self.stream.limit = self.owner.limit
        return True

    # Events

    def put_singles(self, message: Singles) -> None:
        times, metadata, bodies = message.times, message.metadata, with_text_keys(message.bodies)
        events = (
            Decoded(times, None, bodies) if metadata is None else grouped(times, metadata, bodies)
        )
        chunk = self.chunk_of(message.tag, events, message.nbytes)
        chunk.padding = MESSAGE_PADDING
        self.put([chunk], message.chunks)

    def chunk_of(self, tag: str, events: Decoded, nbytes: int) -> Chunk:
        times, metadata, bodies, groups = events
        return Chunk(self.owner.tag_of(tag), times, bodies, metadata, nbytes, groups)

    def put_entries(self, message: Listed | Packed, entries: Entries, nbytes: int) -> None:
        if entries.refused:
            why = (
                f"{self.peer}: dropped {entries.refused} entries of '{message.tag}': {entries.why}"
            )
            self.owner.give_up(entries.refused, why, "no event")
        acks = [] if message.chunk is None else [message.chunk]
        self.put([self.chunk_of(message.tag, entries.events, nbytes)], acks)

    def put_packed(self, message: Packed) -> None:
        owner = self.owner
        data = message.entries
        if message.encoding:
            try:
                data = decompress(message.encoding, data, owner.limit)
            except CompressionError as error:
                raise ForwardError(
                    f"entries of '{message.tag}' can't be unpacked: {error}"
                ) from error
        tag = owner.tag_of(message.tag)
        acks = [] if message.chunk is None else [message.chunk]
        if message.signal != LOG_SIGNAL:
            self.put(owner.payload_chunks(tag, message.signal, data), acks)
            return
        total = count_packed(data, message.size) if data else 0
        if total is None:
            self.put_entries(message, read_packed(data), len(data))
            return
        parts = split_packed(data, total, BATCH_BYTES)
        self.put(
            [Chunk.of_packed(tag, part, count, decode_packed) for part, count in parts],
            acks,
        )

    def put(self, chunks: list[Chunk], acks: list[str | bytes]) -> None:
        """Hand events on; `acks` are sent when all have ended."""
        owner = self.owner
        wanted = []
        for chunk in chunks:
            if chunk.tag and chunk.count:
                wanted.append(chunk)
            elif chunk.count:
                owner.give_up(chunk.count, f"{self.peer}: dropped: events without a tag", "no tag")
        if acks:
            self.unacknowledged += len(acks)
            self.all_acknowledged.clear()
            receipt = Receipt(lambda _: self.acknowledge(acks), urgent=True)
            receipt.hold(len(wanted) + 1)
            for chunk in wanted:
                shared = Receipt(urgent=True)
                shared.follow(receipt)
                chunk.receipt = shared
        for chunk in wanted:
            owner.inflow.add(self, chunk, chunk.nbytes)
        if acks:
            receipt.release()

    def acknowledge(self, acks: list[str | bytes]) -> None:
        self.unacknowledged -= len(acks)
        if not self.unacknowledged:
            self.all_acknowledged.set()
        if self.transport.is_closing():
            return
        self.transport.write(b"".join(map(ack, acks)))
        if self.transport.get_write_buffer_size() > MOST_UNREAD_ACKS:
            self.owner.context.log.error(f"{self.peer}: reads no answers; the connection is closed")
            self.transport.abort()
