"""Chunks that wait for the pipeline, and the connections that have to wait for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from tailrace.model import LOGS, Chunk, merge
from tailrace.net.gathering import BATCH_BYTES, FLOOD_BYTES, Source
from tailrace.plugin import Emit, joined


class Inflow:
    """A queue between connections and the pipeline: a source is paused when more than a batch waits, all when it is a flood."""

    def __init__(self) -> None:
        self.sources: set[Source] = set()
        self._chunks: deque[Chunk] = deque()
        self._nbytes = 0
        self._paused: set[Source] = set()
        self._something = asyncio.Event()

    def add(self, source: Source, chunk: Chunk) -> None:
        self._chunks.append(chunk)
        self._nbytes += chunk.nbytes
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
        """The source has ended; its chunks stay."""
        self.sources.discard(source)
        self._paused.discard(source)

    def take(self) -> Chunk:
        """The next chunk; small ones of one tag that stand together are one."""
        first = self._chunks.popleft()
        chunks, nbytes = [first], first.nbytes
        while self._chunks and nbytes < BATCH_BYTES and belong_together(first, self._chunks[0]):
            chunks.append(self._chunks.popleft())
            nbytes += chunks[-1].nbytes
        self._nbytes -= nbytes
        if self._nbytes <= BATCH_BYTES and self._paused:
            paused, self._paused = self._paused, set()
            for source in paused:
                source.resume()
        merged = merge(chunks)
        if len(chunks) > 1:
            merged.receipt = joined([chunk.receipt for chunk in chunks])
        return merged

    async def run(self, emit: Emit) -> None:
        """Emit what comes, until cancelled; what waits then is for `drain`."""
        while True:
            await self._something.wait()
            while self._chunks:
                await emit(self.take())
            self._something.clear()

    def drain(self, put: Callable[[Chunk], Any]) -> None:
        """Hand on all that waits."""
        while self._chunks:
            put(self.take())


def belong_together(first: Chunk, second: Chunk) -> bool:
    """Whether two chunks may become one without being decoded for it."""
    return (
        second.tag == first.tag
        and first.kind is LOGS
        and second.kind is LOGS
        and first.decoded
        and second.decoded
    )
