"""Joining events by multiline parsers, one stream for each tag and source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tailrace.filters.multiline.holding import Origin, Way, hold, nothing_of, receipts_of, release
from tailrace.model import Chunk, Receipt, group_runs
from tailrace.plugin.multiline import Joined, MultilineParser, Stream

MOST_STREAMS = 4096
"""Streams whose state is kept; when another one comes, the one that was unused for longest is given out."""


class Source:
    """One stream, with the receipts of what it holds and about how many bytes that is."""

    __slots__ = ("held_bytes", "receipts", "stream", "way")

    def __init__(self, stream: Stream, way: Way) -> None:
        self.stream = stream
        self.way = way
        self.receipts: dict[Receipt, None] = {}
        self.held_bytes = 0

    def chunk(self, joined: Joined, nbytes: int) -> Chunk | None:
        """What is complete, and the shares of what is held now."""
        made = None
        if joined.bodies:
            receipts = dict.fromkeys(
                receipt for origins in joined.origins for receipt in receipts_of(origins)
            )
            held = self._held_bytes()
            made = self.way.chunk(
                joined.times,
                joined.bodies,
                joined.metadata,
                self.held_bytes + nbytes - held,
                receipts,
                [origins[0].group for origins in joined.origins],
            )
            self.held_bytes = held
        else:
            self.held_bytes += nbytes
        self._hold_what_is_open()
        return made

    def _held_bytes(self) -> int:
        return sum(group.size for group in self.stream.held())

    def _hold_what_is_open(self) -> None:
        now = dict.fromkeys(
            receipt for group in self.stream.held() for receipt in receipts_of(group.origin)
        )
        hold(receipt for receipt in now if receipt not in self.receipts)
        gone = [receipt for receipt in self.receipts if receipt not in now]
        self.receipts = now
        release(gone)


class Streams:
    """Mode `parser` of the filter."""

    def __init__(
        self,
        parsers: Sequence[MultilineParser],
        key_content: str,
        owner: Any,
        buffered: bool,
        limit: int,
        on_truncated: Callable[[], None],
        warn: Callable[[str], None],
    ) -> None:
        self._owner = owner
        self._buffered = buffered
        self._make_stream: Callable[[], Stream] = lambda: Stream(
            parsers,
            key_content=key_content,
            limit=limit,
            on_truncated=on_truncated,
            on_slow=lambda names: warn(
                f"multiline.parser {names}: a rule takes too long for a text, which stays alone"
            ),
        )
        self._sources: dict[Any, Source] = {}

    @property
    def held_bytes(self) -> int:
        return sum(source.held_bytes for source in self._sources.values())

    def process(self, chunk: Chunk, now_ns: int) -> tuple[Chunk, list[Chunk]]:
        """What goes on now, and what goes into the pipeline anew."""
        complete: list[Chunk] = []
        source = self._source(chunk, complete)
        joined = Joined()
        chunk.open()
        feed(source.stream, chunk, now_ns, joined)
        if not self._buffered:
            source.stream.flush(joined)
            result = Chunk(chunk.tag, joined.times, joined.bodies, joined.metadata, chunk.nbytes)
            result.stream, result.passed_by = chunk.stream, chunk.passed_by
            result.hops = chunk.hops
            result.groups = [origins[0].group for origins in joined.origins]
            return result, complete
        made = source.chunk(joined, chunk.nbytes)
        if made is not None:
            complete.append(made)
        return nothing_of(chunk), complete

    def _source(self, chunk: Chunk, complete: list[Chunk]) -> Source:
        key = chunk.tag, chunk.stream, chunk.passed_by, chunk.routed
        source = self._sources.pop(key, None)
        if source is None:
            if len(self._sources) >= MOST_STREAMS:
                oldest = self._sources.pop(next(iter(self._sources)))
                complete += self._flushed([oldest])
            source = Source(self._make_stream(), Way(chunk, self._owner))
        source.way.hops = chunk.hops
        self._sources[key] = source
        return source

    def flush(self) -> list[Chunk]:
        """Everything that is held, as it is."""
        return self._flushed(list(self._sources.values()))

    def _flushed(self, sources: list[Source]) -> list[Chunk]:
        made = []
        for source in sources:
            joined = Joined()
            source.stream.flush(joined)
            made.append(source.chunk(joined, 0))
        return [chunk for chunk in made if chunk is not None]

    def flush_due(self, before_ns: int) -> list[Chunk]:
        """What had its last event at or before a moment."""
        made = []
        for source in self._sources.values():
            joined = Joined()
            source.stream.flush_due(before_ns, joined)
            if joined.bodies:
                made.append(source.chunk(joined, 0))
        return [chunk for chunk in made if chunk is not None]


def feed(stream: Stream, chunk: Chunk, now_ns: int, joined: Joined) -> None:
    """Give the chunk's events to a stream; what is joined has the group of its first one."""
    bodies, times, metadata = chunk.bodies, chunk.times, chunk.metadata
    if chunk.groups is None:
        stream.feed_bodies(bodies, times, metadata, Origin(chunk.receipt, None), now_ns, joined)
        return
    for group, start, end in group_runs(chunk.groups):
        stream.feed_bodies(
            bodies[start:end],
            times[start:end],
            metadata and metadata[start:end],
            Origin(chunk.receipt, group),
            now_ns,
            joined,
        )
