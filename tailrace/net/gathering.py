"""Joins what many clients send into one chunk after another, and lets them feel when the pipeline is full.

A source is a connection: it is paused when more waits than a batch, and goes on when that has been taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from tailrace.model import Chunk
from tailrace.plugin.base import Emit

BATCH_BYTES = 128 * 1024
"""What makes a batch, and from what amount on a source that brings more is paused."""
FLOOD_BYTES = 8 * BATCH_BYTES
"""From this amount on all sources are paused, also those that bring something only now."""


class Source(Protocol):
    def pause(self) -> None: ...

    def resume(self) -> None: ...


P = TypeVar("P")


class Gatherer(Generic[P]):
    """Pieces of any kind that wait; `run` makes chunks of them. `sources` are those that may be paused."""

    def __init__(self, make_chunk: Callable[[list[P]], Chunk | None]) -> None:
        self.sources: set[Source] = set()
        self._make_chunk = make_chunk
        self._pieces: list[P] = []
        self._nbytes = 0
        self._paused: set[Source] = set()
        self._something = asyncio.Event()

    def add(self, source: Source, piece: P, nbytes: int) -> None:
        """Take a piece of `nbytes` raw bytes; the source may be paused for it."""
        self._pieces.append(piece)
        self._nbytes += nbytes
        self._something.set()
        if self._nbytes > FLOOD_BYTES:
            for each in self.sources - self._paused:
                self._pause(each)
        elif self._nbytes > BATCH_BYTES and source not in self._paused:
            self._pause(source)

    def _pause(self, source: Source) -> None:
        self._paused.add(source)
        source.pause()

    def forget(self, source: Source) -> None:
        """The source has ended; its pieces stay."""
        self.sources.discard(source)
        self._paused.discard(source)

    def take(self) -> Chunk | None:
        """All that waits as one chunk, and the sources go on."""
        pieces, self._pieces = self._pieces, []
        nbytes, self._nbytes = self._nbytes, 0
        self._something.clear()
        paused, self._paused = self._paused, set()
        for source in paused:
            source.resume()
        chunk = self._make_chunk(pieces) if pieces else None
        if chunk is not None:
            chunk.nbytes = max(nbytes, 1)
        return chunk

    async def run(self, emit: Emit) -> None:
        """Emit what comes, until cancelled; what waits then is for `take`."""
        while True:
            await self._something.wait()
            chunk = self.take()
            if chunk is not None:
                await emit(chunk)
