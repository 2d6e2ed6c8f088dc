"""Joins what many clients send into one chunk after another, and lets them feel when the pipeline is full.

A source is a connection: it is paused when more waits than a batch, and goes on when that has been taken.
"""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from tailrace.model import Chunk
from tailrace.net.acceptor import Acceptor
from tailrace.plugin.base import Emit, Input, InputO

BATCH_BYTES = 128 * 1024
"""What makes a batch, and from what amount on a source that brings more is paused."""
FLOOD_BYTES = 8 * BATCH_BYTES
"""From this amount on all sources are paused, also those that bring something only now."""


LAST_LOOK_SECONDS, MOST_LAST_LOOKS = 0.02, 10


class Source(Protocol):
    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Connection(Source, Protocol):
    heard_at: float
    """When something came last."""


async def until_quiet(connection: Connection) -> None:
    """Let it read on at the end, until nothing comes for a moment, and not for ever: what the system holds for it would be lost."""
    for _ in range(MOST_LAST_LOOKS):
        before = connection.heard_at
        await asyncio.sleep(LAST_LOOK_SECONDS)
        if connection.heard_at == before:
            break


P = TypeVar("P")


class Inflow(ABC, Generic[P]):
    """Pieces of any kind that wait for the pipeline; `sources` are those that may be paused for them."""

    def __init__(self) -> None:
        self.sources: set[Source] = set()
        self.pieces: deque[P] = deque()
        self.nbytes = 0
        self._paused: set[Source] = set()
        self._something = asyncio.Event()

    def add(self, source: Source, piece: P, nbytes: int) -> None:
        """Take a piece of `nbytes` raw bytes; the source may be paused for it."""
        self.pieces.append(piece)
        self.nbytes += nbytes
        self._something.set()
        if self.nbytes > FLOOD_BYTES:
            for each in self.sources - self._paused:
                self._pause(each)
        elif self.nbytes > BATCH_BYTES and source not in self._paused:
            self._pause(source)

    def _pause(self, source: Source) -> None:
        self._paused.add(source)
        source.pause()

    def forget(self, source: Source) -> None:
        """The source has ended; its pieces stay."""
        self.sources.discard(source)
        self._paused.discard(source)

    def took(self, nbytes: int) -> None:
        """So much waits no more: once less than a batch is left the sources go on."""
        self.nbytes -= nbytes
        if self.nbytes <= BATCH_BYTES:
            paused, self._paused = self._paused, set()
            for source in paused:
                source.resume()

    @abstractmethod
    def take(self) -> Chunk | None:
        """A chunk of what waits; None if nothing of it is an event."""

    async def run(self, emit: Emit) -> None:
        """Emit what comes, until cancelled; what waits then is for `drain`."""
        while True:
            await self._something.wait()
            while self.pieces:
                chunk = self.take()
                if chunk is not None:
                    await emit(chunk)
            self._something.clear()

    def drain(self, put: Callable[[Chunk], Any]) -> None:
        """Hand on all that waits."""
        while self.pieces:
            chunk = self.take()
            if chunk is not None:
                put(chunk)


class Gatherer(Inflow[P]):
    """Pieces that belong together: `take` makes one chunk of all that waits."""

    def __init__(self, make_chunk: Callable[[list[P]], Chunk | None]) -> None:
        super().__init__()
        self._make_chunk = make_chunk

    def take(self) -> Chunk | None:
        pieces, nbytes = list(self.pieces), self.nbytes
        self.pieces.clear()
        self.took(nbytes)
        chunk = self._make_chunk(pieces) if pieces else None
        if chunk is not None:
            chunk.nbytes = max(nbytes, 1)
        return chunk


class InflowInput(Input[InputO]):
    """An input whose clients' pieces wait in `inflow`. When it ends `stop` lets the clients hand over what they have."""

    inflow: Inflow[Any]

    @property
    def held_bytes(self) -> int:
        return self.inflow.nbytes

    async def run(self, emit: Emit) -> None:
        try:
            await self.inflow.run(emit)
        except asyncio.CancelledError:
            self.inflow.drain(self.context.emit)  # before `stop`, which may wait for its receipts
            await self.stop()
            self.inflow.drain(self.context.emit)
            raise

    def give_up(self, count: int, message: str, reason: str) -> None:
        """Tell and count what is dropped."""
        self.context.log.warn(message)
        self.context.drop(count, reason)


class ServerInput(InflowInput[InputO]):
    """Such an input whose clients have connections; `start` makes its `acceptor` and calls `open`."""

    acceptor: Acceptor
    is_open = False
    grace_seconds: ClassVar[float] = 0.0
    """How long work for clients may go on at the end."""

    @property
    def held_bytes(self) -> int:
        return super().held_bytes + (self.acceptor.held_bytes if self.is_open else 0)

    async def open(self, sockets: Sequence[socket.socket]) -> None:
        await self.acceptor.open(sockets)
        self.is_open = True

    async def stop(self) -> None:
        if self.is_open:
            self.is_open = False
            await self.acceptor.close(self.grace_seconds)
